"""`hydra.sweeper.until=resolved`: seeds are added one by one until the answer is known.

A study so begun is a grid. Whenever all of its trials have ended one looks at it: where verdict,
best β or latent size are open, configurations get one more seed, which
`sweeps.statistics.sequential` picks. The manifest is written before anything is trained, so a
killed command goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sweeps.analysis.curve import Line
from sweeps.analysis.latent_sizes import LatentSizes, margin_of
from sweeps.analysis.summary import Summary, summarize
from sweeps.analysis.verdict import Judgement
from sweeps.labels import counted
from sweeps.statistics.intervals import Bools
from sweeps.statistics.sequential import MAX_LOOKS, open_configurations
from sweeps.study.study import Study
from sweeps.study.trials import Trial, in_order


@dataclass(frozen=True)
class Look:
    """What one look at a study has found.

    `added` are the trials that the study got; where it got none, `resolved` says whether nothing is
    open, or the budget is spent.
    """

    resolved: bool
    added: tuple[Trial, ...]
    text: str


def look(study: Study, *, n_trials: int | None) -> Look:
    """Look at a study whose trials have all ended, and add what the answer still takes.

    Args:
        study: just opened, so that its results are those on disk.
        n_trials: how many trials it may have at most; None: up to ten looks decide.
    """
    read = summarize(study)
    best = read.judged_best(read.objective)
    if best is None or best.best is None or best.best.collapsed:
        return Look(False, (), "not resolved: every configuration has collapsed; try smaller β")
    wanted = _wanted(read, best)
    if not wanted:
        return Look(True, (), "resolved: verdict, best β and latent size are settled")
    if study.manifest.looks + 1 >= MAX_LOOKS:
        return Look(False, (), f"not resolved after {MAX_LOOKS} looks")
    size = len(study.manifest.trials) + len(wanted)
    if n_trials is not None and size > n_trials:
        return Look(False, (), f"not resolved: the budget of {n_trials} trials is spent")
    trials = [trial.values for trial in in_order([*study.trials, *wanted])]
    longer = replace(study.manifest, trials=trials, looks=study.manifest.looks + 1)
    longer.write(study.folder.manifest)
    return Look(False, tuple(wanted), f"not resolved yet: {counted(len(wanted), 'more trial')}")


def _wanted(read: Summary, best: Judgement) -> list[Trial]:
    """Return one more seed of every configuration that is open, in the facet of the best."""
    score = read.objective
    latents = read.latents(score)
    answer = latents.smallest or best.latent_dim
    found: list[Trial] = []
    for line in read.lines(score):
        if line.axes == best.axes:
            done = line.finished
            open_ = np.zeros(len(done.betas), dtype=np.bool_)
            if line.latent_dim == answer:
                open_ |= open_configurations(
                    done.values, done.collapsed, margin=margin_of(score), level=read.level
                )
            if _is_open(latents, line.latent_dim):
                open_ |= done.betas == _best_beta(latents, line.latent_dim)
            found += _one_more(done, open_)
    return found


def _is_open(latents: LatentSizes, latent_dim: int) -> bool:
    """Whether a latent size may suffice, or may be what the others lose against."""
    if latents.smallest is not None:
        return False
    sizes = [size for size in latents.sizes if size.best.latent_dim == latent_dim]
    return any(size.high >= -latents.margin for size in sizes)


def _best_beta(latents: LatentSizes, latent_dim: int) -> float:
    return next(size.best.beta for size in latents.sizes if size.best.latent_dim == latent_dim)


def _one_more(line: Line, open_: Bools) -> Sequence[Trial]:
    """Return a trial of a seed that the line does not have, the same at all that are open."""
    seed = max(line.seeds) + 1
    return [
        Trial.of({**dict(line.axes), "beta": beta, "latent_dim": line.latent_dim, "seed": seed})
        for beta in line.betas[open_].tolist()
    ]
