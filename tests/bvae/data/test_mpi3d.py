"""Small files of the layout of the three files of MPI3D."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bvae.data import mpi3d, npz
from bvae.data.datasets import ImageDataset, describe, open_dataset, open_official
from bvae.data.lattice import FactorLattice
from bvae.exceptions import DataError

SMALL = FactorLattice(mpi3d.REAL.lattice.names, (2, 1, 2, 1, 2, 3, 2))
IMAGES = np.random.default_rng(0).integers(0, 256, (len(SMALL), 64, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def open_small(path: Path) -> ImageDataset:
    """Open a file as if it were the official one, with the small lattice."""
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return open_official(replace(mpi3d.REAL, checksums={"": md5}, lattice=SMALL), path)


@pytest.mark.parametrize("name", ["mpi3d_toy", "mpi3d_realistic", "mpi3d_real"])
def test_the_official_sets_are_known_without_their_files(name: str) -> None:
    """1,036,800 images of seven factors each, in the order of the authors' README."""
    found = describe(name)

    assert (name, 1_036_800, (3, 64, 64)) == (found.name, found.number, found.image_shape)
    assert found.labels is not None
    assert "6x6x2x3x3x40x40" == found.labels.name
    assert ("object_color", "object_shape", "object_size") == found.labels.names[:3]
    assert ("horizontal_axis", "vertical_axis") == found.labels.names[5:]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_becomes_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Callable[..., None]
) -> None:
    """Images come with channels first, in the order of the file, chunk by chunk, packed or not."""
    monkeypatch.setattr(npz, "CHUNK", 7)
    save(tmp_path / "mpi3d.npz", images=IMAGES)

    dataset = open_small(tmp_path / "mpi3d.npz")

    assert SMALL == dataset.labels
    images = dataset.store.images(np.arange(len(dataset)))
    np.testing.assert_array_equal(IMAGES.transpose(0, 3, 1, 2), images)


def test_another_file_is_refused(tmp_path: Path, cache: Path) -> None:
    """By name the file must be the official one; the message says which."""
    np.savez(tmp_path / "mpi3d_toy.npz", images=IMAGES)

    with pytest.raises(DataError, match=r"MD5 55889cb7c7.*; download .*Dataset/mpi3d_toy\.npz"):
        open_dataset("mpi3d_toy", path=tmp_path / "mpi3d_toy.npz")
    assert [] == list(cache.glob("*.npy"))


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"images": IMAGES[:5]}, "expected 48 images, but got 5"),
        ({"images": IMAGES / 255}, "found float64"),
        ({"images": IMAGES[..., 0]}, r"found uint8 \[48, 64, 64\]"),
        ({"imgs": IMAGES}, r"no item named 'images\.npy'"),
    ],
)
def test_other_arrays_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], reason: str
) -> None:
    """A file that has the checksum but not the images is none."""
    np.savez(tmp_path / "x.npz", **arrays)

    with pytest.raises(DataError, match=reason):
        open_small(tmp_path / "x.npz")
