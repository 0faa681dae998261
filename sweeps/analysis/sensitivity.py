"""Configurations whose score depends on how the codes were read: sampled, or without dead latents.

A mean that carries a factor far below the noise of its latent is read by a classifier all the same.
Where scores of means and of samples, or of all and of active latents, part, such latents are there,
and the height of the curve says more about the metric than about the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bvae.metrics.scores import ACTIVE, SAMPLED
from sweeps.analysis.curve import Curves, Line
from sweeps.statistics.intervals import configuration_means
from sweeps.study.trials import text

TOLERANCE = 0.05
WORDS = {SAMPLED: "on samples", ACTIVE: "of active latents alone"}


@dataclass(frozen=True)
class Flag:
    """A configuration in which one score has two values.

    Attributes:
        axes, latent_dim, beta: the configuration.
        score: the score of the means of all latents; `value`, its mean over the seeds that have
            both; `other` and `other_value`, those of the other representation.
    """

    axes: tuple[tuple[str, Any], ...]
    latent_dim: int
    beta: float
    score: str
    value: float
    other: str
    other_value: float

    @property
    def difference(self) -> float:
        """How far the other representation lies above the score."""
        return self.other_value - self.value

    def __str__(self) -> str:
        where = [f"beta={self.beta:g}", f"latent_dim={self.latent_dim}"]
        where += [f"{name}={text(value)}" for name, value in self.axes]
        how = WORDS[self.other.removeprefix(self.score)]
        values = f"{self.value:.3f}, {how} {self.other_value:.3f} ({self.difference:+.3f})"
        return f"{' '.join(where)}  {self.score} {values}"


def flags(curves: Curves, *, score_names: Sequence[str]) -> tuple[Flag, ...]:
    """Return every configuration and pair of representations that differ by more than .05.

    In order of the scores; names of representations (`mig_sampled`) stand for their score.
    """
    scores = dict.fromkeys(name.removesuffix(SAMPLED).removesuffix(ACTIVE) for name in score_names)
    pairs = [(name, name + end) for name in scores for end in WORDS]
    return tuple(
        flag
        for score, other in pairs
        if {score, other} <= set(curves.trials.columns)
        for one, two in zip(curves.lines(score), curves.lines(other), strict=True)
        for flag in _of_line(one, two)
    )


def _of_line(plain: Line, other: Line) -> Iterator[Flag]:
    both = np.isfinite(plain.values) & np.isfinite(other.values)
    value = configuration_means(np.where(both, plain.values, np.nan))
    other_value = configuration_means(np.where(both, other.values, np.nan))
    for i in np.flatnonzero(np.abs(other_value - value) > TOLERANCE):
        yield Flag(
            axes=plain.axes,
            latent_dim=plain.latent_dim,
            beta=float(plain.betas[i]),
            score=plain.score,
            value=float(value[i]),
            other=other.score,
            other_value=float(other_value[i]),
        )
