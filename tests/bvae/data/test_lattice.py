import itertools

import numpy as np
import pytest
from numpy.typing import ArrayLike

from bvae.data.lattice import FactorLattice
from bvae.exceptions import DataError

SMALL = FactorLattice(("shape", "x", "y"), (2, 3, 4))


def test_rows_are_all_combinations_in_order() -> None:
    """Row i is combination i, the last factor fastest, as itertools counts them."""
    expected = list(itertools.product(range(2), range(3), range(4)))
    factors = SMALL.factors(np.arange(24))
    assert (len(SMALL), SMALL.name) == (24, "2x3x4")
    assert factors.dtype == np.int64
    np.testing.assert_array_equal(factors, expected)


def test_index_undoes_factors() -> None:
    """The index of the factors of any rows is those rows, in their order."""
    rows = np.random.default_rng(0).integers(0, 24, 100).astype(np.int32)
    index = SMALL.index(SMALL.factors(rows))
    assert index.dtype == np.int64
    np.testing.assert_array_equal(index, rows)


def test_no_rows() -> None:
    """No rows have no factors, and no factors no rows."""
    assert SMALL.factors(np.zeros(0, int)).shape == (0, 3)
    assert SMALL.index(np.zeros((0, 3), int)).shape == (0,)


def test_sub_lattice() -> None:
    """A sub-lattice keeps every s-th class, and names its rows in the larger lattice."""
    sub, rows = SMALL.every((1, 2, 3))
    assert sub == FactorLattice(("shape", "x", "y"), (2, 2, 2))
    expected = list(itertools.product((0, 1), (0, 2), (0, 3)))
    np.testing.assert_array_equal(SMALL.factors(rows), expected)


def test_sub_lattice_of_all() -> None:
    """Strides of one keep everything."""
    sub, rows = SMALL.every((1, 1, 1))
    assert sub == SMALL
    np.testing.assert_array_equal(rows, np.arange(24))


@pytest.mark.parametrize(
    ("names", "sizes", "message"),
    [
        ((), (), "distinct names and as many sizes"),
        (("x", "x"), (2, 2), "distinct names"),
        (("x", "y"), (2,), "as many sizes"),
        (("x", "y"), (2, 0), "at least one class in each factor, but got 2x0"),
    ],
)
def test_impossible_lattices_are_refused(
    names: tuple[str, ...], sizes: tuple[int, ...], message: str
) -> None:
    """A lattice has distinct factors with at least one class each."""
    with pytest.raises(DataError, match=message):
        FactorLattice(names, sizes)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([24], r"expected indices in 0\.\.23, but got 24\.\.24"),
        ([-1, 3], r"but got -1\.\.3"),
        ([0.0], r"expected integer indices \[n\], but got float64 \[1\]"),
        ([[0]], r"but got int64 \[1, 1\]"),
    ],
)
def test_impossible_indices_are_refused(indices: ArrayLike, message: str) -> None:
    """Indices are whole numbers of existing rows."""
    with pytest.raises(DataError, match=message):
        SMALL.factors(indices)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([[0, 0, 4]], r"expected classes inside 2x3x4, but got \[0, 0, 4\]\.\.\[0, 0, 4\]"),
        ([[-1, 0, 0], [1, 0, 0]], r"but got \[-1, 0, 0\]\.\.\[1, 0, 0\]"),
        (np.zeros((0, 2), int), r"expected factors \[n, 3\], but got \[0, 2\]"),
        ([0, 0, 0], r"expected integer factors \[n, 3\], but got int64 \[3\]"),
        ([[0.0, 0.0, 0.0]], "but got float64"),
    ],
)
def test_impossible_factors_are_refused(factors: ArrayLike, message: str) -> None:
    """Factors are existing classes of every factor of the lattice."""
    with pytest.raises(DataError, match=message):
        SMALL.index(factors)


@pytest.mark.parametrize("strides", [(1, 1), (1, 0, 1)])
def test_impossible_strides_are_refused(strides: tuple[int, ...]) -> None:
    """There is one stride of at least 1 for each factor."""
    with pytest.raises(DataError, match="expected 3 strides of at least 1"):
        SMALL.every(strides)
