import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from bvae.exceptions import DataError
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TestLattice:
    def test_puts_shuffled_rows_in_order(self, factors: Ints, entangled: Floats) -> None:
        """A full lattice is the same table whatever order its rows come in."""
        order = np.random.default_rng(0).permutation(len(factors))
        table = code_table(entangled[order], factors[order], logvar=-entangled[order])

        assert np.array_equal(entangled, table.codes)
        assert np.array_equal(-entangled, table.logvar)
        assert np.array_equal(factors, table.factors)
        assert (3, 4, 5, 8) == table.sizes
        assert (160, 40, 8, 1) == table.strides

    def test_numbers_any_labels_from_zero(self, factors: Ints, entangled: Floats) -> None:
        """Labels may have gaps and start anywhere, as whole floats too."""
        table = code_table(entangled, factors * 2.0 - 7)

        assert np.array_equal(factors, table.factors)
        assert table.strides is not None

    @pytest.mark.parametrize(
        "rows",
        [
            pytest.param(list(range(479)), id="a point missing"),
            pytest.param([*range(479), 0], id="a point twice and one missing"),
            pytest.param([*range(480), *range(480)], id="every point twice"),
        ],
    )
    def test_tells_other_tables_apart(
        self, factors: Ints, entangled: Floats, rows: list[int]
    ) -> None:
        """A table with gaps or repetitions is no lattice, and keeps its rows as they are."""
        table = code_table(entangled[rows], factors[rows])

        assert table.strides is None
        assert np.array_equal(entangled[rows], table.codes)

    def test_shares_one_factor(self, factors: Ints, entangled: Floats) -> None:
        """`share` gives the donor's class to one factor and leaves the others, for every pair."""
        table = code_table(entangled, factors)
        rng = np.random.default_rng(0)
        rows, donors = rng.integers(480, size=(2, 1000))
        factor = rng.integers(4, size=1000)
        shared = factors[table.share(rows, donors, factor)]

        expected = factors[rows].copy()
        expected[np.arange(1000), factor] = factors[donors, factor]
        assert np.array_equal(expected, shared)

    def test_shares_a_factor_beside_a_dropped_one(self, factors: Ints, entangled: Floats) -> None:
        """Without a column, factor numbers count the columns that are left."""
        table = code_table(entangled, factors).without_factors((1,))
        rows = np.arange(480)
        shared = factors[table.share(rows, np.zeros_like(rows), np.full_like(rows, 1))]

        assert (3, 5, 8) == table.sizes
        assert np.array_equal(factors[:, [0, 2, 3]], table.factors)
        assert (shared[:, 2] == 0).all()
        assert np.array_equal(factors[:, [0, 1, 3]], shared[:, [0, 1, 3]])

    @pytest.mark.parametrize("columns", [(4,), (-1,), (0, 1, 2, 3)])
    def test_refuses_to_drop_what_is_not_there(
        self, factors: Ints, entangled: Floats, columns: tuple[int, ...]
    ) -> None:
        """Only existing columns can be dropped, and not all of them."""
        with pytest.raises(DataError, match=r"Expected to drop some of the factors 0 … 3"):
            code_table(entangled, factors).without_factors(columns)


class TestNumbers:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            (np.float16, np.float32),
            (np.float32, np.float32),
            (np.float64, np.float64),
            (np.int64, np.float64),
            (np.bool_, np.float32),
            (np.longdouble, np.float64),
        ],
    )
    def test_keeps_precision(self, factors: Ints, given: type, kept: type) -> None:
        """Codes become single or double precision, whichever loses nothing."""
        assert code_table(factors.astype(given), factors).codes.dtype == kept


GOOD = {
    "codes": np.tile([[0.0], [1.0]], (4, 2)),
    "factors": np.array(list(itertools.product((0, 1), repeat=3))),
    "logvar": None,
}
BAD = [
    ({"codes": np.zeros(8)}, r"`codes` to be a matrix with rows, but got shape \(8,\)"),
    ({"codes": np.zeros((8, 0))}, r"`codes` to be a matrix with rows, but got shape \(8, 0\)"),
    ({"codes": np.zeros((7, 1))}, r"a row for each image, but got shapes \(7, 1\) and \(8, 3\)"),
    ({"codes": np.full((8, 1), "a")}, "`codes` to hold real numbers, but got dtype <U1"),
    ({"codes": np.zeros((8, 1), complex)}, "`codes` to hold real numbers, but got dtype complex"),
    ({"codes": np.array([[np.nan]] + [[0.0]] * 7)}, "finite `codes`, but 1 of 8 rows have NaN"),
    ({"codes": np.array([[np.inf]] * 2 + [[0.0]] * 6)}, "finite `codes`, but 2 of 8 rows"),
    ({"codes": np.full((8, 1), -1e7)}, r"`codes` between -1e\+06 and 1e\+06, but got values from"),
    ({"factors": np.zeros(8, int)}, r"`factors` to be a matrix with rows, but got shape \(8,\)"),
    ({"factors": np.full((8, 2), 0.5)}, "classes \\(whole numbers\\), but got fractions"),
    ({"factors": np.full((8, 2), np.inf)}, "finite `factors`, but 8 of 8 rows have infinity"),
    ({"factors": np.full((8, 2), np.nan)}, "factor 0 has no known class, factor 1 has no known"),
    ({"factors": np.zeros((8, 1))}, "that can be scored, but factor 0 has a single class"),
    ({"factors": np.arange(8)[:, None]}, "factor 0 has 8 classes in 8 rows, not two rows for each"),
    ({"factors": np.arange(8)[:, None] == 3}, "factor 0 has one row of each class but one"),
    ({"logvar": np.zeros((8, 1))}, r"the shape of `codes`, \(8, 2\), but got \(8, 1\)"),
    ({"logvar": np.full((8, 2), np.nan)}, "finite `logvar`, but 8 of 8 rows"),
    ({"logvar": np.full((8, 2), 90.0)}, "`logvar` between -inf and 25, but got values from 90"),
]


class TestMistakes:
    def test_accepts_what_is_right(self) -> None:
        """The arrays the mistakes are made in are fine."""
        assert code_table(**GOOD).n_latents == 2

    @pytest.mark.parametrize(("change", "message"), BAD)
    def test_says_what_is_wrong(self, change: dict[str, Floats], message: str) -> None:
        """Each mistake is refused with what was expected and what came."""
        with pytest.raises(DataError, match=message):
            code_table(**GOOD | change)

    def test_says_everything_at_once(self) -> None:
        """Mistakes in different arrays are named together."""
        wrong = {
            "codes": np.full((8, 2), np.nan),
            "factors": np.full((8, 1), 0.5),
            "logvar": np.zeros((3, 2)),
        }
        with pytest.raises(DataError, match=r"finite `codes`.*whole numbers.*shape of `codes`"):
            code_table(**wrong)

    def test_leaves_out_what_cannot_be_scored(self) -> None:
        """Constant and unknown columns are named, and what is left is a lattice."""
        columns = np.indices((2, 2, 2)).reshape(3, -1)
        factors = np.stack([np.zeros(8), columns[0], np.full(8, np.nan), columns[1], columns[2]])
        table = code_table(np.zeros((8, 1)), factors.T)

        assert {0: "a single class", 2: "no known class"} == table.left_out
        assert ((1, 3, 4), (4, 2, 1)) == (table.columns, table.strides)
        assert (3, 4) == table.without_factors((1,)).columns
        assert {0: "a single class"} == table.without_factors((1, 2)).left_out


class TestUnknownClasses:
    def test_are_no_class(self) -> None:
        """NaN is not numbered; the others are, whatever their labels."""
        table = code_table(np.zeros((5, 1)), np.array([[7, np.nan, 7, -2, -2]]).T)

        assert [[1], [-1], [1], [0], [0]] == table.factors.tolist()
        assert (2,) == table.sizes

    def test_parts_are_complete(self) -> None:
        """Factors known in the same rows are one part, of these rows; the parts are all factors."""
        nan = np.nan
        factors = np.array([[0, 0, 1, 1, 0, nan], [0, nan, 1, 0, 1, 1], [1, 1, 0, 0, 1, nan]]).T
        table = code_table(np.arange(6.0)[:, None], factors)
        parts = {tuple(k): part for k, part in table.complete_parts()}

        assert {(0, 2), (1,)} == set(parts)
        assert [0, 1, 2, 3, 4] == parts[0, 2].codes[:, 0].tolist()
        assert [0, 2, 3, 4, 5] == parts[1,].codes[:, 0].tolist()
        assert [[0, 1], [0, 1], [1, 0], [1, 0], [0, 1]] == parts[0, 2].factors.tolist()

    def test_a_lattice_with_a_hole_is_none(self, factors: Ints, entangled: Floats) -> None:
        """A row whose class is not known stands for no combination."""
        lacking = factors.astype(float)
        lacking[3, 2] = np.nan

        assert code_table(entangled, lacking).strides is None
