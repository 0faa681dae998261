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

    A table of fewer than `n_train + n_eval` rows is divided in the same proportion. Of a table that
    is no full lattice, a row of each class that has no training row is trained on in addition.

    Raises:
        DataError: a class of some factor has no training row, or no row is left to evaluate.
    """
    order = rng.permutation(table.n_rows)
    rows = order[: n_train + n_eval]
    n_train = min(n_train, round(len(rows) * n_train / (n_train + n_eval)))
    train, test = rows[:n_train], rows[n_train:]
    if table.strides is None:
        added = _rows_of_absent_classes(table.factors[order], n_train)
        train, test = np.append(train, order[added]), np.setdiff1d(test, order[added])
    if not len(test):
        raise DataError(f"Expected rows to evaluate, but there are only {table.n_rows} rows.")
    parts = Split(table.codes[train], table.factors[train], table.codes[test], table.factors[test])
    _check_classes(parts.factors_train, table.sizes)
    return parts


def _rows_of_absent_classes(factors: Ints, n_train: int) -> Ints:
    """Places in factors [n, K], from n_train on, of the first row of each class not before."""
    added = []
    for classes in factors.T:
        absent, first = np.unique(classes[n_train:], return_index=True)
        added.append(n_train + first[~np.isin(absent, classes[:n_train])])
    return np.unique(np.concatenate(added))


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
