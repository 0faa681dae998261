"""A small file of the layout of 3dshapes.h5."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from bvae.data import shapes3d
from bvae.data.datasets import ImageDataset, describe, open_dataset, open_official
from bvae.data.lattice import FactorLattice
from bvae.exceptions import ConfigError, DataError

SMALL = FactorLattice(shapes3d.DATA.lattice.names, (2, 1, 2, 2, 1, 3))
IMAGES = np.random.default_rng(0).integers(0, 256, (len(SMALL), 64, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path: Path, images: np.ndarray = IMAGES) -> Path:
    """Write a file with these images."""
    with h5py.File(path, "w") as file:
        file["images"] = images
        file["labels"] = np.zeros((len(images), 6))
    return path


def sha256(path: Path) -> str:
    """Return a file's checksum."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def open_small(path: Path) -> ImageDataset:
    """Open a file as if it were the official one, with the small lattice."""
    small = replace(shapes3d.DATA, checksums={"": sha256(path)}, lattice=SMALL)
    return open_official(small, path)


def test_the_official_set_is_known_without_its_file() -> None:
    """480,000 images of six factors."""
    found = describe("shapes3d")

    assert (480_000, (3, 64, 64)) == (found.number, found.image_shape)
    assert found.labels is not None
    assert "10x10x10x8x4x15" == found.labels.name


def test_a_file_becomes_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images come with channels first, in the order of the file, chunk by chunk."""
    monkeypatch.setattr(shapes3d, "_CHUNK", 5)
    path = write(tmp_path / "3dshapes.h5")

    dataset = open_small(path)

    assert SMALL == dataset.labels
    images = dataset.store.images(np.arange(len(dataset)))
    np.testing.assert_array_equal(IMAGES.transpose(0, 3, 1, 2), images)


def test_another_file_is_refused(tmp_path: Path, cache: Path) -> None:
    """By name the file must be the official one."""
    path = write(tmp_path / "3dshapes.h5")

    with pytest.raises(DataError, match=f"SHA256 0a0f6ed98.*, but got {sha256(path)}; download"):
        open_dataset("shapes3d", path=path)
    assert [] == list(cache.glob("*.npy"))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (IMAGES[:5], r"found uint8 \[5, 64, 64, 3\]"),
        (IMAGES / 255, "found float64"),
        (IMAGES[..., 0], r"found uint8 \[24, 64, 64\]"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, images: np.ndarray, reason: str) -> None:
    """A file that has the checksum but not the images is none."""
    path = write(tmp_path / "x.h5", images)

    with pytest.raises(DataError, match=reason):
        open_small(path)


def test_what_is_no_hdf5(tmp_path: Path) -> None:
    """Told from a file of that format."""
    path = tmp_path / "x.h5"
    path.write_text("no images")

    with pytest.raises(DataError, match="could not read that"):
        open_small(path)
    with pytest.raises(DataError, match=r"cannot read .*No such file.*download it from"):
        open_official(shapes3d.DATA, tmp_path / "gone.h5")


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    path = write(tmp_path / "x.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(ConfigError, match="pip install h5py"):
        open_small(path)
