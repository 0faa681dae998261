"""What one evaluation of a score says."""

from typing import NamedTuple

import numpy as np

from bvae.metrics.table import Ints


class Reading(NamedTuple):
    """A score from one draw of everything random in it.

    Attributes:
        value: the score itself.
        chance: what a code that says nothing about the factors gets.
        per_factor: the part of each factor in it (accuracy, gap, area); empty where there is none.
    """

    value: float
    chance: float
    per_factor: tuple[float, ...] = ()


def accuracy(answers: Ints, y: Ints, *, n_factors: int) -> Reading:
    """Share of right answers to "which factor?", in all and among the questions about each.

    Example:
        >>> accuracy(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), n_factors=2)
        Reading(value=0.75, chance=0.5, per_factor=(0.5, 1.0))
    """
    right = answers == y
    asked = np.bincount(y, minlength=n_factors)
    hits = np.bincount(y[right], minlength=n_factors)
    per_factor = hits / np.maximum(asked, 1)
    return Reading(float(right.mean()), 1 / n_factors, tuple(per_factor.tolist()))
