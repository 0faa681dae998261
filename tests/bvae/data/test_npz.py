from pathlib import Path

import numpy as np
import pytest

from bvae.data import npz


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two arrays."""
    np.savez_compressed(tmp_path / "x.npz", a=np.arange(12).reshape(6, 2), b=np.zeros(3, np.uint8))
    return tmp_path / "x.npz"


def test_arrays_are_described_without_reading_them(path: Path) -> None:
    """Names, types and shapes are those of NumPy."""
    assert ["a", "b"] == npz.names(path)
    assert (np.dtype(np.int64), (6, 2)) == npz.header(path, "a")
    assert (np.dtype(np.uint8), (3,)) == npz.header(path, "b")


def test_chunks_of_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks are the rows in order, the last one shorter."""
    monkeypatch.setattr(npz, "CHUNK", 4)

    chunks = list(npz.read(path, "a"))

    assert [4, 2] == [len(chunk) for chunk in chunks]
    np.testing.assert_array_equal(np.arange(12).reshape(6, 2), np.concatenate(chunks))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([print], object), "Python objects, which are never unpickled"),
        (np.asfortranarray(np.zeros((2, 3))), "stored by columns; save np.ascontiguousarray"),
    ],
)
def test_what_is_not_read(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    """Nothing is unpickled, nothing is transposed."""
    np.savez(tmp_path / "x.npz", a=array)

    with pytest.raises(npz.ERRORS, match=reason):
        list(npz.read(tmp_path / "x.npz", "a"))
