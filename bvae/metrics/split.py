"""Rows to fit on and rows to test on, for scores that predict factors from codes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bvae.exceptions import DataError
from bvae.metrics.table import CodeTable, Floats, Ints


@dataclass(frozen=True)
class Split:
    """Codes [·, M] and classes [·, K] of disjoint training and evaluation rows."""

    codes_train: Floats
    factors_train: Ints
    codes_eval: Floats
    factors_eval: Ints

    def most_frequent_accuracies(self) -> NDArray[np.float64]:
        """Accuracy, for each factor [K], of always answering its most frequent training class."""
        answers = [np.bincount(classes).argmax() for classes in self.factors_train.T]
        accuracies: NDArray[np.float64] = (self.factors_eval == answers).mean(axis=0)
        return accuracies


def split(table: CodeTable, *, n_train: int, n_eval: int, rng: np.random.Generator) -> Split:
    """Draw disjoint training and evaluation rows, without replacement.

    A table of fewer than `n_train + n_eval` rows is divided in the same proportion.

    Raises:
        DataError: a class of some factor has no training row.
    """
    rows = rng.permutation(table.n_rows)[: n_train + n_eval]
    n_train = min(n_train, round(len(rows) * n_train / (n_train + n_eval)))
    train, test = rows[:n_train], rows[n_train:]
    parts = Split(table.codes[train], table.factors[train], table.codes[test], table.factors[test])
    _check_classes(parts.factors_train, table.sizes)
    return parts


def _check_classes(factors_train: Ints, sizes: tuple[int, ...]) -> None:
    absent = [
        f"factor {k} has {size} classes"
        for k, size in enumerate(sizes)
        if len(np.unique(factors_train[:, k])) < size
    ]
    if absent:
        raise DataError(
            f"Expected training rows of every class, but {', '.join(absent)} and only "
            f"{len(factors_train)} rows are there to train on: score more images."
        )
