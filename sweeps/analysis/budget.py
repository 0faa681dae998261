"""How long the models were trained, and whether the best β would be another had it been longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd

from sweeps.analysis.curve import Line
from sweeps.analysis.summary import Axes, ConfigurationEntry, Summary
from sweeps.analysis.verdict import Judgement, judge
from sweeps.labels import NOTHING
from sweeps.study.command import quoted, sweep
from sweeps.study.folder import StudyFolder
from sweeps.study.manifest import STEPS, command_line
from sweeps.study.study import Study
from sweeps.study.trials import text

SETTLED = 0.01
"""A loss that falls by less over the last tenth of the steps counts as about still."""


LEARNT = 0.1
"""Images held out that are clearly reconstructed worse than others by more: learnt by heart."""


@dataclass(frozen=True)
class Budget:
    """How many images each model saw, how much its validation loss still changed, by what sources.

    `falling` is by how much that of the best configuration still fell, empty where that is no more
    than `SETTLED`; `learnt`, by how much worse it reconstructs images held out than those it was
    trained on, empty where that is not clearly more than `LEARNT`. `command` trains the best β and
    its neighbours twice as long, `compare` tells what became of the best β; they are empty where
    there is nothing to compare. `sources` says how many trials are of others than those the study
    was begun with, empty where none is.
    """

    images: str
    change: str
    falling: str
    learnt: str
    command: str
    compare: str
    sources: str


@dataclass(frozen=True)
class Check:
    """The best β of one line by two budgets; `answer` says whether it holds, moves or is open."""

    answer: str
    axes: Axes
    latent_dim: int
    short: Judgement
    long: Judgement
    fewer_images: str
    more_images: str


def budget(read: Summary) -> Budget:
    """Describe the budget of a study's complete trainings."""
    trained = _longer(read)
    return Budget(
        images=_images(read),
        change=_change(_changes(read)),
        falling=falling(read, read.overall) if read.overall else "",
        learnt=_learnt(read),
        command=trained,
        compare=_compare(read.study.folder) if trained else "",
        sources=_sources(read.study),
    )


def _sources(study: Study) -> str:
    results = study.results.values()
    others = sum("sources_changed_from" in result.versions for result in results)
    if not others:
        return ""
    return f"{others} of {len(results)} trials are of sources that had changed since the first"


def _compare(folder: StudyFolder) -> str:
    return f"sweeps report {quoted(folder.root)} {quoted(folder.longer.root)}"


def budget_checks(first: Summary, second: Summary) -> list[Check]:
    """Compare the best β of two studies that differ in nothing but the number of steps.

    It holds if by the longer one it lies at most one step of the shorter one's grid away. At the
    border of what the longer one tried it may lie farther still: that is left open.
    """
    a, b = first.study.manifest, second.study.manifest
    keys = {*a.settings, *b.settings}
    differing = {key for key in keys if a.settings.get(key) != b.settings.get(key)}
    if differing != {STEPS} or a.objective != b.objective or a.axes != b.axes:
        return []
    if a.steps is None or b.steps is None:
        return []
    short, long = sorted((first, second), key=lambda read: read.study.manifest.steps or 0)
    other = {(line.axes, line.latent_dim): line for line in _finished(long)}
    return [
        _check(line, other[line.axes, line.latent_dim], _images(short), _images(long))
        for line in _finished(short)
        if (line.axes, line.latent_dim) in other
    ]


def _check(short: Line, long: Line, fewer: str, more: str) -> Check:
    before, after = judge(short), judge(long)
    if before.best is None or after.best is None:
        raise TypeError("expected lines with complete configurations")  # see `_finished`
    at_border = after.best.beta in (long.betas[0], long.betas[-1])
    steps = _steps(short, before.best.beta, after.best.beta)
    answer = "moves" if steps > 1 else "open" if steps > 0 and at_border else "holds"
    return Check(answer, short.axes, short.latent_dim, before, after, fewer, more)


def _steps(line: Line, before: float, after: float) -> float:
    """Return how many steps of a line's grid lie between two β; beyond its ends is one more."""
    grid = np.arange(len(line.betas))
    places = np.interp(np.log([before, after]), np.log(line.betas), grid)
    is_beyond = not line.betas[0] <= after <= line.betas[-1]
    return round(abs(float(places[1] - places[0])), 9) + is_beyond


def _finished(read: Summary) -> list[Line]:
    return [line.finished() for line in read.lines(read.objective) if line.complete.any()]


def _images(read: Summary) -> str:
    done = read.population.trials[read.population.trials["state"] == "complete"]
    seen = pd.to_numeric(done["images_seen"]).dropna()
    if seen.empty:
        return NOTHING
    low, high = int(seen.min()), int(seen.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _changes(read: Summary, slugs: Sequence[str] | None = None) -> list[float]:
    """Return the relative changes that are known, of all complete trainings or of some."""
    trials = read.population.trials
    kept = trials["state"] == "complete"
    if slugs is not None:
        kept &= trials["slug"].isin(slugs)
    found: list[float] = pd.to_numeric(trials.loc[kept, "loss_change"]).dropna().tolist()
    return found


def _change(changes: Sequence[float]) -> str:
    if not changes:
        return NOTHING
    largest = max(changes, key=abs)
    return f"{100 * median(changes):+.1f} % (median), {100 * largest:+.1f} % (largest)"


def falling(read: Summary, configuration: ConfigurationEntry) -> str:
    """Say by how much a configuration's loss still fell, nothing where it had settled.

    It is the median over its seeds of the change over the last tenth of the steps.
    """
    changes = _changes(read, [trial.slug for trial in read.trials_of(configuration)])
    fell = -median(changes) if changes else 0.0
    return f"{100 * fell:.1f} %" if fell > SETTLED else ""


def _learnt(read: Summary) -> str:
    own = [] if read.overall is None else [one.slug for one in read.trials_of(read.overall)]
    results = [read.study.results[slug] for slug in own if slug in read.study.results]
    found = [result.recon_excess for result in results if result.recon_excess]
    if not found:
        return ""
    # three standard errors: of few images held out, and all seeds have the same ones
    least = median(one["relative"] - 3 * one["standard_error"] for one in found)
    return f"{100 * median(one['relative'] for one in found):.0f} %" if least > LEARNT else ""


def _longer(read: Summary) -> str:
    """Return the command that trains the best β and its neighbours for twice the steps."""
    best, study = read.overall, read.study
    steps = study.manifest.steps
    if best is None or steps is None:
        return ""
    line = [
        c for c in read.configurations if (c.facet, c.latent_dim) == (best.facet, best.latent_dim)
    ]
    at = line.index(best)
    betas = [configuration.beta for configuration in line[max(at - 1, 0) : at + 2]]
    trials = read.trials_of(best)
    values = {key: [text(value)] for key, value in study.trial(trials[0].slug).coordinates}
    values |= {"beta": list(map(text, betas)), "seed": [str(trial.seed) for trial in trials]}
    values |= {STEPS: [str(2 * int(steps))], "study": [study.folder.longer.name]}
    return command_line(sweep(study.manifest, values)) if len(betas) > 1 else ""
