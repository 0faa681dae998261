"""Labels of images: what of a table is scored, and how it is stored."""

from pathlib import Path

import numpy as np
import pytest

from bvae.data import labels
from bvae.data.labels import FactorTable, Labels, arrays_of, dropped, labels_of, scored
from bvae.data.lattice import FactorLattice
from bvae.data.sprites import FACTOR_NAMES

LATTICE = FactorLattice(("shape", "size"), (3, 2))


def table(number: int) -> FactorTable:
    """A table in the order of its factors, the last of which alternates."""
    rows = np.arange(number)
    return FactorTable(("size", "side"), np.stack([rows * 4 // number, rows % 2], axis=1) * 1.0)


class TestScoredPart:
    def test_all_rows_of_a_small_table(self) -> None:
        """Nothing is left out."""
        part = scored(table(100), None)

        np.testing.assert_array_equal(np.arange(100), part.rows)
        assert "4x2 in 100 rows" == part.labels.name

    def test_rows_of_a_large_table_are_drawn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same ones each time, in order, and of every class, whatever order the rows have."""
        monkeypatch.setattr(labels, "MOST_ROWS", 50)

        part, again = scored(table(100), None), scored(table(100), None)

        assert (np.diff(part.rows) > 0).all()
        assert "4x2 in 50 rows" == part.labels.name
        np.testing.assert_array_equal(part.rows, again.rows)
        np.testing.assert_array_equal(
            table(100).factors(part.rows), part.labels.factors(np.arange(50))
        )

    def test_of_a_lattice_every_kth_class(self) -> None:
        """As it always was."""
        part = scored(LATTICE, [2, 1])

        assert ("2x2", [0, 1, 4, 5]) == (part.labels.name, part.rows.tolist())


@pytest.mark.parametrize("known", [None, LATTICE, table(9)])
def test_files_hold_what_is_known(known: Labels | None, tmp_path: Path) -> None:
    """Sizes of a lattice, the factors of a table; nothing of data without labels."""
    np.savez(tmp_path / "codes.npz", **arrays_of(known))
    with np.load(tmp_path / "codes.npz") as file:
        read = labels_of(file)

    if isinstance(known, FactorTable):
        assert isinstance(read, FactorTable)
        assert known.names == read.names
        np.testing.assert_array_equal(known.classes, read.classes)
    else:
        assert known == read


def test_only_dsprites_has_a_factor_that_is_not_asked_for() -> None:
    """None leaves it to the protocol."""
    assert dropped(FACTOR_NAMES) is None
    assert () == dropped(("hue", *FACTOR_NAMES[1:]))
