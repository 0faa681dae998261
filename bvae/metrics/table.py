"""The table every score is computed from: codes beside the factors that made the images.

Shapes: n rows, M latents, K factors; factor k has sizes[k] classes.

A table is a *full lattice* when each combination of classes stands in exactly one row. Its rows
are then put in lattice order (row-major, last factor fastest), so that

* a uniform row number is a draw of all factors, uniform and independent;
* changing one factor is adding a multiple of its stride to the row number;
* no score depends on the order in which the rows came.
"""

import math
from dataclasses import dataclass, replace
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
        factors: classes 0 … sizes[k] - 1 [n, K].
        sizes: number of classes of each factor.
        strides: the step in row number that raises factor k by one class, or None when the table
            is not a full lattice.
        logvar: log-variances of the latents [n, M] in nats, or None.
    """

    codes: Floats
    factors: Ints
    sizes: tuple[int, ...]
    strides: tuple[int, ...] | None
    logvar: Floats | None = None

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
        """Return a table that does not ask for these factors; on a lattice they still vary.

        Raises:
            DataError: there is no such column, or no factor would be left.
        """
        kept = [k for k in range(self.n_factors) if k not in columns]
        if not kept or not set(columns) <= set(range(self.n_factors)):
            raise DataError(
                f"Expected to drop some of the factors 0 … {self.n_factors - 1}, "
                f"but got {list(columns)}."
            )
        return replace(
            self,
            factors=self.factors[:, kept],
            sizes=tuple(self.sizes[k] for k in kept),
            strides=self.strides and tuple(self.strides[k] for k in kept),
        )

    def require_lattice(self) -> None:
        """Raise DataError unless the table is a full lattice."""
        if self.strides is None:
            raise DataError(
                "Expected a full lattice of factors (each combination of classes in exactly one "
                f"row) to draw rows that share a factor, but got {self.n_rows} rows for "
                f"{'x'.join(map(str, self.sizes))} classes with gaps or repetitions."
            )

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
        factors: whole numbers [n, K], any labels; rows in any order.
        logvar: log-variances of the codes [n, M] in nats.

    Raises:
        DataError: names everything that is wrong with the arrays.

    Example:
        >>> table = code_table([[0.0], [0.3], [0.1], [0.2]], [[4, 7], [2, 9], [4, 9], [2, 7]])
        >>> table.sizes, table.strides, table.codes[:, 0].tolist()
        ((2, 2), (2, 1), [0.2, 0.3, 0.0, 0.1])
    """
    code_array, factor_array = np.asarray(codes), np.asarray(factors)
    logvar_array = None if logvar is None else np.asarray(logvar)
    _refuse(_array_mistakes(code_array, factor_array, logvar_array))
    classes, sizes = _numbered(factor_array)
    _refuse(_class_mistakes(sizes, n_rows=len(classes)))
    strides = tuple(math.prod(sizes[k + 1 :]) for k in range(len(sizes)))
    order = _lattice_order(classes, sizes, strides)
    rows: Ints = np.arange(len(classes)) if order is None else order
    return CodeTable(
        codes=_single_or_double(code_array)[rows],
        factors=classes[rows],
        sizes=sizes,
        strides=None if order is None else strides,
        logvar=None if logvar_array is None else _single_or_double(logvar_array)[rows],
    )


def _single_or_double(array: NDArray[Any]) -> Floats:
    """The array as float32 where that loses nothing, otherwise as float64."""
    fits = np.can_cast(array.dtype, np.float32)
    return array.astype(np.float32 if fits else np.float64, copy=False)


def _numbered(factors: NDArray[Any]) -> tuple[Ints, tuple[int, ...]]:
    """Classes 0, 1, … [n, K] in the order of the labels, and how many each factor has."""
    columns = [np.unique(column, return_inverse=True) for column in factors.T]
    classes = np.stack([inverse for _, inverse in columns], axis=1).astype(np.int64)
    return classes, tuple(len(labels) for labels, _ in columns)


def _lattice_order(classes: Ints, sizes: tuple[int, ...], strides: tuple[int, ...]) -> Ints | None:
    """The row of each lattice point, or None if a point is missing or stands twice."""
    if math.prod(sizes) != len(classes):
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
    factor_mistakes = _matrix_mistakes("factors", factors)
    mistakes = code_mistakes + factor_mistakes
    if not factor_mistakes and (factors != np.round(factors)).any():
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
    name: str, array: NDArray[Any], *, low: float = -math.inf, high: float = math.inf
) -> list[str]:
    if array.ndim != 2 or 0 in array.shape:
        return [f"Expected `{name}` to be a matrix with rows, but got shape {array.shape}."]
    if array.dtype.kind not in "fiub":
        return [f"Expected `{name}` to hold real numbers, but got dtype {array.dtype}."]
    if n_bad := np.count_nonzero(~np.isfinite(array).all(axis=1)):
        return [f"Expected finite `{name}`, but {n_bad} of {len(array)} rows have NaN or infinity."]
    least, greatest = float(array.min()), float(array.max())
    if least < low or greatest > high:
        return [
            f"Expected `{name}` between {low:g} and {high:g}, but got values from {least:g} to "
            f"{greatest:g}: rescale them, or train again if they diverged."
        ]
    return []


def _class_mistakes(sizes: tuple[int, ...], *, n_rows: int) -> list[str]:
    mistakes = [
        f"Expected every factor to vary, but factor {k} has a single value: "
        f"leave column {k} out of `factors`."
        for k, size in enumerate(sizes)
        if size == 1
    ]
    mistakes += [
        f"Expected at least two rows for each class, but factor {k} has {size} classes "
        f"in {n_rows} rows."
        for k, size in enumerate(sizes)
        if n_rows < 2 * size
    ]
    return mistakes
