"""A small archive of the layout of nips2015-analogy-data.tar.gz."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from bvae.data import cars3d, pixels
from bvae.data.datasets import ImageDataset, describe, open_dataset, open_official
from bvae.data.lattice import FactorLattice
from bvae.exceptions import DataError

SMALL = FactorLattice(cars3d.DATA.lattice.names, (2, 3, 3))
NAMES = ("car_020_mesh", "car_001_mesh", "car_003_mesh")  # the order of the archive
CARS = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3, 3, 2), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path: Path, cars: np.ndarray = CARS, *, key: str = "im") -> Path:
    """Write an archive with these cars and other files, as in the official one."""
    files = {"data/cars/list.txt": b"car_001_mesh", "data/shapes48.mat": b"no car"}
    for name, car in zip(NAMES, cars, strict=False):
        content = io.BytesIO()
        savemat(content, {key: car, "mask": np.zeros((128, 128, 3, 2), np.uint8)})
        files[f"data/cars/{name}.mat"] = content.getvalue()
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("data/cars/car_999_mesh.mat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def open_small(path: Path) -> ImageDataset:
    """Open an archive as if it were the official one, with the small lattice."""
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return open_official(replace(cars3d.DATA, checksums={"": md5}, lattice=SMALL), path)


def test_the_official_set_is_known_without_its_file() -> None:
    """17,568 images of three factors."""
    found = describe("cars3d")

    assert (17_568, (3, 64, 64)) == (found.number, found.image_shape)
    assert found.labels is not None
    assert "4x24x183" == found.labels.name


def test_an_archive_becomes_a_store(tmp_path: Path) -> None:
    """An image is of its elevation, azimuth and car, by names, scaled to 64 pixels."""
    dataset = open_small(write(tmp_path / "cars.tar.gz"))

    assert len(SMALL) == len(dataset)
    images = dataset.store.images(np.arange(len(dataset)))
    for image, (elevation, azimuth, car) in zip(
        images, SMALL.factors(np.arange(len(SMALL))), strict=True
    ):
        large = CARS[(1, 2, 0)[car], ..., azimuth, elevation]
        np.testing.assert_array_equal(pixels.square(large, resolution=64, channels=3), image)


def test_another_file_is_refused(tmp_path: Path, cache: Path) -> None:
    """By name the archive must be the official one."""
    path = write(tmp_path / "cars.tar.gz")

    with pytest.raises(DataError, match=r"MD5 4e866a7919.*; download http://.*\.tar\.gz again"):
        open_dataset("cars3d", path=path)
    assert [] == list(cache.glob("*.npy"))


@pytest.mark.parametrize(
    ("cars", "key", "reason"),
    [
        (CARS[:2], "im", "found 2;"),
        (CARS[:0], "im", "found 0;"),
        (CARS[:, :64], "im", r"found im uint8 \[64, 128, 3, 3, 2\] in data/cars/car_020_mesh\.mat"),
        (CARS.swapaxes(4, 5), "im", r"found im uint8 \[128, 128, 3, 2, 3\]"),
        (CARS / 255, "im", "found im float64"),
        (CARS, "images", "'im'"),
    ],
)
def test_other_cars_are_refused(tmp_path: Path, cars: np.ndarray, key: str, reason: str) -> None:
    """An archive that has the checksum but not the cars is none."""
    path = write(tmp_path / "cars.tar.gz", cars, key=key)

    with pytest.raises(DataError, match=rf"to hold 3 files data/cars/car_.*{reason}"):
        open_small(path)


def test_what_is_no_archive(tmp_path: Path) -> None:
    """Told from one, whole or cut."""
    path = write(tmp_path / "cars.tar.gz")
    path.write_bytes(path.read_bytes()[:200_000])
    (tmp_path / "text").write_text("no archive")

    for wrong in (path, tmp_path / "text"):
        with pytest.raises(DataError, match="could not read that"):
            open_small(wrong)
