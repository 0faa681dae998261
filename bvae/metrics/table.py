"""The table every score is computed from: codes beside the factors that made the images.

Shapes: n rows, M latents, K factors; factor k has sizes[k] classes.

A table is a *full lattice* when each combination of classes stands in exactly one row. Its rows
are then put in lattice order (row-major, last factor fastest), so that

* a uniform row number is a draw of all factors, uniform and independent;
* changing one factor is adding a multiple of its stride to the row number;
* no score depends on the order in which the rows came.

In any other table a class may be unknown, and a factor that cannot be scored is left out with its
reason.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bvae.exceptions import DataError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_MAX_CODE = 1e6  # sums of squares of more lose the differences between codes
_MAX_LOGVAR = 25.0  # samples of more reach beyond _MAX_CODE


@dataclass(frozen=True)
class CodeTable:
    """Codes and the factors that the scores ask for; build it with `code_table`.

    Attributes:
        codes: means of the latents [n, M].
        factors: classes 0 … sizes[k] - 1 [n, K]; -1 where it is not known.
        sizes: number of classes of each factor.
        strides: the step in row number that raises factor k by one class, or None when the table
            is not a full lattice.
        columns: the column that each factor had in the array that was given.
        logvar: log-variances of the latents [n, M] in nats, or None.
        left_out: the reason why a column is no factor, by its number.
    """

    codes: Floats
    factors: Ints
    sizes: tuple[int, ...]
    strides: tuple[int, ...] | None
    columns: tuple[int, ...]
    logvar: Floats | None = None
    left_out: Mapping[int, str] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of rows, n."""
        return len(self.codes)

    @property
    def n_latents(self) -> int:
        """Number of latents, M."""
        return len(self.codes.T)

    @property
    def n_factors(self) -> int:
        """Number of factors asked for, K."""
        return len(self.sizes)

    def with_codes(self, codes: Floats) -> Self:
        """Return a table of other codes [n, any] for the same rows."""
        return replace(self, codes=np.ascontiguousarray(codes), logvar=None)

    def without_factors(self, columns: tuple[int, ...]) -> Self:
        """Return a table that does not ask for these columns; on a lattice they still vary.

        Raises:
            DataError: there is no such column, or no factor would be left.
        """
        kept = [k for k, column in enumerate(self.columns) if column not in columns]
        given = {*self.columns, *self.left_out}
        if not kept or not set(columns) <= given:
            raise DataError(
                f"Expected to drop some of the factors 0 … {len(given) - 1}, "
                f"but got {list(columns)}."
            )
        left_out = {k: why for k, why in self.left_out.items() if k not in columns}
        return replace(self._of(kept), left_out=left_out)

    def _of(self, factors: list[int]) -> Self:
        return replace(
            self,
            factors=self.factors[:, factors],
            sizes=tuple(self.sizes[k] for k in factors),
            strides=self.strides and tuple(self.strides[k] for k in factors),
            columns=tuple(self.columns[k] for k in factors),
        )

    def complete_parts(self) -> Iterator[tuple[list[int], Self]]:
        """Yield numbers of factors that are known in the same rows, and the table of these rows.

        A table without unknown classes is a part of its own.
        """
        known = self.factors >= 0
        if known.all():
            yield [*range(self.n_factors)], self
            return
        patterns, pattern = np.unique(known, axis=1, return_inverse=True)
        for number, rows in enumerate(patterns.T):
            factors = np.flatnonzero(pattern == number).tolist()
            part = self._of(factors).with_codes(self.codes[rows])
            yield factors, replace(part, factors=part.factors[rows])

    def require_two_factors(self) -> None:
        """Raise DataError if there is nothing to tell a factor from."""
        if self.n_factors < 2:
            raise DataError("Expected at least two factors to tell apart, but got one.")

    def share(self, rows: Ints, donors: Ints, factor: Ints) -> Ints:
        """Rows changed in `factor` alone, to the class that the donors have (lattice only).

        Row numbers `rows` and `donors` and factor numbers `factor` broadcast.
        """
        size = np.array(self.sizes)[factor]
        stride = np.array(self.strides)[factor]
        shared: Ints = rows + (donors // stride % size - rows // stride % size) * stride
        return shared


def code_table(
    codes: ArrayLike, factors: ArrayLike, *, logvar: ArrayLike | None = None
) -> CodeTable:
    """Check the arrays, number the classes of each factor from 0, put a lattice in order.

    Args:
        codes: real numbers [n, M].
        factors: whole numbers [n, K], any labels, NaN where none is known; rows in any order.
            A column that cannot be scored is left out.
        logvar: log-variances of the codes [n, M] in nats.

    Raises:
        DataError: names everything that is wrong with the arrays, or no column can be scored.

    Example:
        >>> table = code_table([[0.0], [0.3], [0.1], [0.2]], [[4, 7], [2, 9], [4, 9], [2, 7]])
        >>> table.sizes, table.strides, table.codes[:, 0].tolist()
        ((2, 2), (2, 1), [0.2, 0.3, 0.0, 0.1])
    """
    code_array, factor_array = np.asarray(codes), np.asarray(factors)
    logvar_array = None if logvar is None else np.asarray(logvar)
    _refuse(_array_mistakes(code_array, factor_array, logvar_array))
    whole = numbered(factor_array)
    left_out = {k: why for k, column in enumerate(whole.T) if (why := unscored(column))}
    columns = tuple(k for k in range(len(whole.T)) if k not in left_out)
    if not columns:
        reasons = ", ".join(f"factor {k} has {why}" for k, why in left_out.items())
        raise DataError(f"Expected a factor that can be scored, but {reasons}.")
    classes = whole[:, columns]
    sizes = tuple(int(size) for size in classes.max(axis=0) + 1)
    strides = tuple(math.prod(sizes[k + 1 :]) for k in range(len(sizes)))
    order = _lattice_order(classes, sizes, strides)
    rows: Ints = np.arange(len(classes)) if order is None else order
    return CodeTable(
        codes=_single_or_double(code_array)[rows],
        factors=classes[rows],
        sizes=sizes,
        strides=None if order is None else strides,
        columns=columns,
        logvar=None if logvar_array is None else _single_or_double(logvar_array)[rows],
        left_out=left_out,
    )


def numbered(factors: NDArray[Any]) -> Ints:
    """Classes 0, 1, … [n, K] in the order of the labels of each factor; -1 for NaN.

    >>> numbered(np.array([[7.0, 1.0], [5.0, np.nan], [7.0, 2.0]])).tolist()
    [[1, 0], [0, -1], [1, 1]]
    """
    classes = np.full(factors.shape, -1, dtype=np.int64)
    for k, column in enumerate(factors.T):
        known = ~np.isnan(column)
        classes[known, k] = np.unique(column[known], return_inverse=True)[1]
    return classes


def unscored(classes: Ints) -> str:
    """Say why a factor cannot be scored, as the end of "it has …"; empty if it can.

    Args:
        classes: [n], -1 where it is not known.

    >>> unscored(np.array([0, 0, 1, 1, -1])), unscored(np.array([0, 0, -1]))
    ('', 'a single class')
    """
    counts = np.unique(classes[classes >= 0], return_counts=True)[1]
    if len(counts) == 0:
        return "no known class"
    if len(counts) == 1:
        return "a single class"
    if counts.sum() < 2 * len(counts):
        return f"{len(counts)} classes in {counts.sum()} rows, not two rows for each"
    return "" if (counts > 1).sum() > 1 else "one row of each class but one"


def _single_or_double(array: NDArray[Any]) -> Floats:
    """The array as float32 where that loses nothing, otherwise as float64."""
    fits = np.can_cast(array.dtype, np.float32)
    return array.astype(np.float32 if fits else np.float64, copy=False)


def _lattice_order(classes: Ints, sizes: tuple[int, ...], strides: tuple[int, ...]) -> Ints | None:
    """The row of each lattice point, or None if a point is missing or stands twice."""
    if math.prod(sizes) != len(classes) or (classes < 0).any():
        return None
    index = classes @ np.array(strides)
    if np.bincount(index).max() > 1:
        return None
    return np.argsort(index)


def _refuse(mistakes: list[str]) -> None:
    if mistakes:
        raise DataError(" ".join(mistakes))


def _array_mistakes(
    codes: NDArray[Any], factors: NDArray[Any], logvar: NDArray[Any] | None
) -> list[str]:
    code_mistakes = _matrix_mistakes("codes", codes, low=-_MAX_CODE, high=_MAX_CODE)
    factor_mistakes = _matrix_mistakes("factors", factors, may_lack=True)
    mistakes = code_mistakes + factor_mistakes
    if not factor_mistakes and (factors % 1 > 0).any():
        mistakes.append(
            "Expected `factors` to be classes (whole numbers), but got fractions: "
            "pass the class numbers, not the values."
        )
    if codes.shape[:1] != factors.shape[:1]:
        mistakes.append(
            "Expected `codes` and `factors` to have a row for each image, "
            f"but got shapes {codes.shape} and {factors.shape}."
        )
    if logvar is not None:
        mistakes += _matrix_mistakes("logvar", logvar, high=_MAX_LOGVAR)
        if logvar.shape != codes.shape:
            mistakes.append(
                f"Expected `logvar` to have the shape of `codes`, {codes.shape}, "
                f"but got {logvar.shape}."
            )
    return mistakes


def _matrix_mistakes(
    name: str,
    array: NDArray[Any],
    *,
    low: float = -math.inf,
    high: float = math.inf,
    may_lack: bool = False,
) -> list[str]:
    if array.ndim != 2 or 0 in array.shape:
        return [f"Expected `{name}` to be a matrix with rows, but got shape {array.shape}."]
    if array.dtype.kind not in "fiub":
        return [f"Expected `{name}` to hold real numbers, but got dtype {array.dtype}."]
    if n_bad := np.count_nonzero(
        (np.isinf(array) if may_lack else ~np.isfinite(array)).any(axis=1)
    ):
        what = "infinity" if may_lack else "NaN or infinity"
        return [f"Expected finite `{name}`, but {n_bad} of {len(array)} rows have {what}."]
    least, greatest = float(array.min()), float(array.max())
    if least < low or greatest > high:
        return [
            f"Expected `{name}` between {low:g} and {high:g}, but got values from {least:g} to "
            f"{greatest:g}: rescale them, or train again if they diverged."
        ]
    return []
