"""The best β and its neighbours on fresh seeds: what to train, and what came of it.

The seeds that chose a best β flatter it: noise helped to choose. What it scores on seeds that had
no say, and whether it still beats its neighbours there, is what can be relied on.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from scipy import special  # scipy.stats takes 0.8 s to load, which the end of a study need not pay

from bvae.exceptions import ConfigError
from sweeps.analysis.best import best_configurations
from sweeps.analysis.curve import Curves, Line, ScoredConfiguration, configuration, lines
from sweeps.analysis.table import ended, score_names, trials_table
from sweeps.statistics.contrasts import differences, residual_noise
from sweeps.statistics.intervals import CONFIDENCE
from sweeps.study.command import sweeps, with_seeds
from sweeps.study.study import Study, open_study
from sweeps.study.trials import Trial, in_order

MIN_SEEDS = 3


class ConfirmationAnswer(StrEnum):
    """Whether the best β beats both neighbours on fresh seeds."""

    CONFIRMED = "confirmed"
    NOT_RESOLVED = "not resolved"
    REFUTED = "refuted"


@dataclass(frozen=True)
class FreshTrials:
    """What is to be trained: a study's best configuration, its neighbours, and new seeds."""

    best: ScoredConfiguration
    betas: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def trials(self) -> list[Trial]:
        """Every training, in the order to run."""
        shared = {"latent_dim": self.best.latent_dim, **dict(self.best.axes)}
        return in_order(
            Trial.of({"beta": beta, "seed": seed, **shared})
            for seed in self.seeds
            for beta in self.betas
        )


@dataclass(frozen=True)
class Gap:
    """How far the best β lies above a neighbour on fresh seeds, with its 95 % interval."""

    beta: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Confirmation:
    """The best configuration by the seeds that chose it and by fresh ones, and its neighbours."""

    chosen: ScoredConfiguration
    fresh: ScoredConfiguration
    gaps: tuple[Gap, ...]

    @property
    def answer(self) -> ConfirmationAnswer:
        """Whether it holds: every gap above 0, or one of them below."""
        if any(gap.high < 0 for gap in self.gaps):
            return ConfirmationAnswer.REFUTED
        holds = bool(self.gaps) and all(gap.low > 0 for gap in self.gaps)
        return ConfirmationAnswer.CONFIRMED if holds else ConfirmationAnswer.NOT_RESOLVED

    def __str__(self) -> str:
        """Say both means, and what the best β is above its neighbours."""
        seeds = f"{self.fresh.n} fresh seeds"
        above = ", ".join(
            f"{gap.mean:+.3f} over beta={gap.beta:g} ({gap.low:+.3f} to {gap.high:+.3f})"
            for gap in self.gaps
            if math.isfinite(gap.mean)
        )
        return (
            f"beta={self.chosen.beta:g} latent_dim={self.chosen.latent_dim} on {seeds}: "
            f"{self.chosen.score} {self.fresh.mean:.3f} (95 % interval {self.fresh.low:.3f} to "
            f"{self.fresh.high:.3f}), on the seeds that chose it {self.chosen.mean:.3f}; "
            f"best above its neighbours: {self.answer}: {above or 'none is trained'}"
        )


def requested(study: Study) -> FreshTrials:
    """Return what confirms a study: the best and its neighbours, as many seeds, at least three.

    The best goes by the trials that have ended, as every answer; its neighbours are those of the
    whole grid, ended or not.

    Raises:
        ConfigError: no configuration of the study is complete.
    """
    objective, axes = study.manifest.objective, study.manifest.axes
    if objective not in score_names(study) or study.counts["complete"] == 0:
        raise ConfigError(f"{study.name}: no trial has the score {objective} yet; {_way(study)}")
    frame = trials_table(study)
    best = best_configurations(Curves(ended(frame), axes).lines(objective)).overall
    if best is None:
        raise ConfigError(
            f"{study.name}: no configuration is complete, so none is best; {_way(study)}"
        )
    through = _line_through(best, frame)
    assert through is not None  # where it was found
    line, at = through
    betas = tuple(line.betas[max(at - 1, 0) : at + 2].tolist())
    first = 1 + max(int(str(trial.values["seed"])) for trial in study.trials)
    n_seeds = max(MIN_SEEDS, len(line.seeds))
    return FreshTrials(best, betas, tuple(range(first, first + n_seeds)))


def _way(study: Study) -> str:
    """Say what leads to a best configuration: what is left, failed trials, or a second seed."""
    if study.left:
        return f"continue with: {sweeps('resume', study.folder.root)}"
    if study.counts["failed"]:
        return f"queue what has failed again with: {sweeps('retry', study.folder.root)}"
    first = min(int(str(trial.values["seed"])) for trial in study.trials)
    more = with_seeds(study, [first, first + 1])
    return f"it compares two seeds of a configuration; train them with: {more}"


def confirmation(study: Study) -> Confirmation | None:
    """Return what fresh seeds say of a study's best configuration, once it is complete on them."""
    try:
        fresh = open_study(study.folder.confirming.root)
        wanted = requested(study)
    except ConfigError:  # nothing is best, or nothing was asked for
        return None
    if wanted.best.score not in score_names(fresh):
        return None
    frame = trials_table(fresh)
    frame = frame[frame["beta"].isin(wanted.betas) & frame["seed"].isin(wanted.seeds)]
    through = _line_through(wanted.best, frame)
    if through is None or not through[0].complete[through[1]]:
        return None
    return Confirmation(wanted.best, configuration(*through), tuple(gaps(*through)))


def gaps(line: Line, at: int) -> Iterator[Gap]:
    """Yield how far configuration number `at` lies above every other, over the seeds both have.

    Mean ± t·se of the paired differences, their variance pooled over the configurations that have
    not collapsed, as everywhere. The configurations were chosen by other seeds, so nothing is paid
    for choosing.
    """
    open_configurations = ~line.collapsed
    members = (
        open_configurations if open_configurations.sum() > 1 else np.ones_like(open_configurations)
    )
    noise = residual_noise(line.values, members=members)
    mean, error = differences(line.values, noise, end=at)
    t = float(special.stdtrit(noise.df, 0.5 + CONFIDENCE / 2)) if noise.df > 0 else math.nan
    for i in range(len(line.betas)):
        if i != at:
            gap, half = -float(mean[i]), t * float(error[i])
            yield Gap(float(line.betas[i]), gap, gap - half, gap + half)


def _line_through(best: ScoredConfiguration, frame: pd.DataFrame) -> tuple[Line, int] | None:
    """Return the line of a configuration and its number there, if the frame has it."""
    for line in lines(frame, score_names=[best.score], axes=[axis for axis, _ in best.axes]):
        if (line.axes, line.latent_dim) == (best.axes, best.latent_dim) and best.beta in line.betas:
            return line, line.betas.tolist().index(best.beta)
    return None
