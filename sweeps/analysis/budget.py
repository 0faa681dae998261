"""How long the models were trained, and the command that tells what longer training would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from sweeps.analysis.summary import ConfigurationEntry, Summary
from sweeps.labels import NOTHING
from sweeps.study.command import sweep, sweeps, typed_anywhere
from sweeps.study.manifest import STEPS
from sweeps.study.study import Study
from sweeps.study.trials import canonical

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


def budget(read: Summary) -> Budget:
    """Describe the budget of a study's complete trainings."""
    trained, folder = _longer(read), read.study.folder
    return Budget(
        images=_images(read),
        change=_change(_changes(read)),
        falling=falling(read, read.overall) if read.overall else "",
        learnt=_learnt(read),
        command=trained,
        compare=sweeps("report", folder.root, folder.longer.root) if trained else "",
        sources=_sources(read.study),
    )


def _sources(study: Study) -> str:
    results = study.results.values()
    others = sum("sources_changed_from" in result.versions for result in results)
    if not others:
        return ""
    return f"{others} of {len(results)} trials are of sources that had changed since the first"


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
    values = {key: [value] for key, value in study.trial(trials[0].slug).coordinates}
    values |= {"beta": list(map(canonical, betas)), "seed": [trial.seed for trial in trials]}
    values |= {STEPS: [2 * int(steps)], "study": [study.folder.longer.name]}
    return typed_anywhere(study, sweep(study, values)) if len(betas) > 1 else ""
