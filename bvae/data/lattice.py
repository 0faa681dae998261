"""A full lattice of factor classes: every combination once, the last factor fastest.

Shapes: n images, K factors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bvae.exceptions import DataError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FactorLattice:
    """Names and numbers of classes of K factors; row i of a data set holds combination i.

    Raises:
        DataError: no factors, repeated names, not one size for each name, or a size below 1.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        distinct = len(set(self.names))
        if not self.sizes or distinct != len(self.names) or distinct != len(self.sizes):
            raise DataError(f"expected distinct names and as many sizes, but got {self}")
        if min(self.sizes) < 1:
            raise DataError(f"expected at least one class in each factor, but got {self.name}")

    def __len__(self) -> int:
        return math.prod(self.sizes)

    @property
    def name(self) -> str:
        """The sizes in a word, as in 3x6x40x32x32."""
        return "x".join(str(size) for size in self.sizes)

    def factors(self, indices: ArrayLike) -> Ints:
        """Classes [n, K] of the rows indices [n].

        Raises:
            DataError: indices is not [n] of integers in 0..len(self) - 1.
        """
        rows = _integers(indices, "indices [n]", ndim=1)
        if ((rows < 0) | (rows >= len(self))).any():
            raise DataError(
                f"expected indices in 0..{len(self) - 1}, but got {rows.min()}..{rows.max()}"
            )
        return np.stack(np.unravel_index(rows, self.sizes), axis=1).astype(np.int64, copy=False)

    def index(self, factors: ArrayLike) -> Ints:
        """Rows [n] of the classes factors [n, K].

        Raises:
            DataError: factors is not [n, K] of integers, or holds a class that does not exist.
        """
        count = len(self.sizes)
        classes = _integers(factors, f"factors [n, {count}]", ndim=2)
        if classes.shape[1] != count:
            raise DataError(f"expected factors [n, {count}], but got {list(classes.shape)}")
        if ((classes < 0) | (classes >= self.sizes)).any():
            raise DataError(
                f"expected classes inside {self.name}, but got "
                f"{classes.min(axis=0).tolist()}..{classes.max(axis=0).tolist()}"
            )
        rows: Ints = np.ravel_multi_index(tuple(classes.T), self.sizes)
        return rows

    def every(self, strides: Sequence[int]) -> tuple["FactorLattice", Ints]:
        """The sub-lattice of classes 0, s, 2s, ... of each factor, and its rows in this lattice.

        Args:
            strides: one s >= 1 for each factor.

        Raises:
            DataError: there is not one stride for each factor, or one is below 1.
        """
        if len(strides) != len(self.sizes) or min(strides) < 1:
            raise DataError(
                f"expected {len(self.sizes)} strides of at least 1, but got {list(strides)}"
            )
        sizes = (math.ceil(n / s) for n, s in zip(self.sizes, strides, strict=True))
        sub = FactorLattice(self.names, tuple(sizes))
        return sub, self.index(sub.factors(np.arange(len(sub))) * np.asarray(strides, np.int64))


def _integers(values: ArrayLike, expected: str, *, ndim: int) -> Ints:
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind not in "iu":
        raise DataError(f"expected integer {expected}, but got {array.dtype} {list(array.shape)}")
    return array.astype(np.int64, copy=False)
