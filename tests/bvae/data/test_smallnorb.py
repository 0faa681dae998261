"""Small files of the layout of the six of smallNORB."""

import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bvae.data import pixels, smallnorb
from bvae.data.datasets import ImageDataset, describe, open_dataset, open_official
from bvae.data.lattice import FactorLattice
from bvae.exceptions import DataError

SMALL = FactorLattice(smallnorb.DATA.lattice.names, (2, 4, 2, 3, 1))
INSTANCES = {smallnorb.TRAINING: (0, 3), smallnorb.TESTING: (2, 1)}
MAGIC = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54, "float64": 0x1E3D4C53}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The six files, their rows in no order; an image's values are its row in the lattice."""
    folder = tmp_path / "norb"
    folder.mkdir()
    for part, instances in INSTANCES.items():
        factors = SMALL.factors(np.arange(len(SMALL)))
        factors = factors[np.isin(factors[:, 1], instances)]
        factors = np.random.default_rng(0).permutation(factors).astype(np.int32)
        pairs = np.zeros((len(factors), 2, 96, 96), np.uint8)
        pairs[:, 0] = SMALL.index(factors)[:, None, None]
        pairs[:, 0, :48] *= 5  # rows are told from columns
        write(folder / f"{part}-dat.mat", pairs)
        write(folder / f"{part}-cat.mat", factors[:, 0])
        write(folder / f"{part}-info.mat", factors[:, 1:] * np.int32([1, 1, 2, 1]))
    return folder


def write(path: Path, matrix: np.ndarray) -> None:
    """Write a matrix, with at least three sizes."""
    sizes = (*matrix.shape, 1, 1)[: max(3, matrix.ndim)]
    header = struct.pack(f"<{2 + len(sizes)}i", MAGIC[matrix.dtype.name], matrix.ndim, *sizes)
    path.write_bytes(header + matrix.tobytes())


def md5(path: Path) -> str:
    """Return a file's checksum."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def open_small(folder: Path) -> ImageDataset:
    """Open a folder as if it were the official one, with the small lattice."""
    checksums = {name: md5(folder / name) for name in smallnorb.DATA.checksums}
    return open_official(replace(smallnorb.DATA, checksums=checksums, lattice=SMALL), folder)


def test_the_official_set_is_known_without_its_files() -> None:
    """48,600 grey images of five factors."""
    found = describe("smallnorb")

    assert (48_600, (1, 64, 64)) == (found.number, found.image_shape)
    assert found.labels is not None
    assert "5x10x9x18x6" == found.labels.name


def test_the_layout_is_that_of_the_official_files(tmp_path: Path) -> None:
    """The five categories, over and over, have the MD5 of both official `cat` files."""
    write(tmp_path / "cat.mat", np.resize(np.arange(5, dtype=np.int32), 24_300))

    official = {name: sum_ for name, sum_ in smallnorb.DATA.checksums.items() if "-cat" in name}
    assert {md5(tmp_path / "cat.mat")} == set(official.values())


def test_files_become_a_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sets are one, in the order of the lattice, of the first camera, at 64 pixels."""
    monkeypatch.setattr(smallnorb, "_CHUNK", 5)

    dataset = open_small(folder)

    images = dataset.store.images(np.arange(len(dataset)))
    for row, image in enumerate(images):
        large = np.full((96, 96), row, np.uint8)
        large[:48] *= 5
        np.testing.assert_array_equal(pixels.square(large, resolution=64, channels=1), image)


def test_other_files_are_refused(folder: Path, cache: Path) -> None:
    """By name the files must be the official ones."""
    with pytest.raises(DataError, match=r"expected .*training-dat\.mat with MD5 8138a09"):
        open_dataset("smallnorb", path=folder)
    assert [] == list(cache.glob("*.npy"))


def test_a_missing_file(folder: Path) -> None:
    """Its name is told, and where it is published."""
    data = replace(smallnorb.DATA, checksums={"smallnorb-x.mat": ""})

    with pytest.raises(DataError, match=r"cannot read .*smallnorb-x\.mat: No such .*norb-v1\.0"):
        open_official(data, folder)


@pytest.mark.parametrize(
    ("kind", "matrix", "reason"),
    [
        ("cat", np.zeros(24, np.float64), "but could not read that"),
        ("cat", np.zeros((24, 2), np.int32), r"found int32 \[24, 2\]"),
        ("info", np.zeros((24, 4), np.uint8), r"found uint8 \[24, 4\]"),
        ("dat", np.zeros((24, 96, 96), np.uint8), r"found uint8 \[24, 96, 96\]"),
        ("dat", np.zeros((23, 2, 96, 96), np.uint8), "to have an image for each label"),
        ("dat", np.zeros((25, 2, 96, 96), np.uint8), "to have an image for each label"),
        ("info", np.zeros((24, 4), np.int32), "each of the 2x4x2x3x1 combinations once"),
        ("info", np.full((24, 4), 9, np.int32), "expected classes inside 2x4x2x3x1"),
    ],
)
def test_other_matrices_are_refused(
    folder: Path, kind: str, matrix: np.ndarray, reason: str
) -> None:
    """Files that have the checksums but not these matrices are none."""
    write(folder / f"{smallnorb.TESTING}-{kind}.mat", matrix)

    with pytest.raises(DataError, match=reason):
        open_small(folder)


@pytest.mark.parametrize("left", [0, 10, 5000])
def test_a_cut_file(folder: Path, left: int) -> None:
    """It is told wherever it ends."""
    path = folder / f"{smallnorb.TRAINING}-dat.mat"
    path.write_bytes(path.read_bytes()[:left])

    with pytest.raises(
        DataError, match=r"be a matrix uint8 \['n', 2, 96, 96\], but could not read"
    ):
        open_small(folder)
