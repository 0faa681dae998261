"""One evaluation of a score."""

from typing import NamedTuple

import numpy as np

from bvae.metrics.table import Ints


class Evaluation(NamedTuple):
    """A score from one draw of everything random in it.

    Attributes:
        value: the score itself.
        chance: what a code that says nothing about the factors gets.
        per_factor: the part of each factor in it (accuracy, gap, area); empty where there is none.
    """

    value: float
    chance: float
    per_factor: tuple[float, ...] = ()


def accuracy(answers: Ints, y: Ints, *, n_factors: int) -> Evaluation:
    """Share of right answers to "which factor?", in all and among the questions about each.

    Example:
        >>> accuracy(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), n_factors=2)
        Evaluation(value=0.75, chance=0.5, per_factor=(0.5, 1.0))
    """
    right = answers == y
    asked = np.bincount(y, minlength=n_factors)
    hits = np.bincount(y[right], minlength=n_factors)
    per_factor = hits / np.maximum(asked, 1)
    return Evaluation(float(right.mean()), 1 / n_factors, tuple(per_factor.tolist()))
