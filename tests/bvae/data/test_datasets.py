import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bvae.data import dsprites_npz, sprites
from bvae.data.datasets import (
    DSPRITES,
    NAMES,
    OWN,
    ImageDataset,
    describe,
    open_dataset,
    open_official,
)
from bvae.data.dsprites_npz import md5_of
from bvae.data.lattice import FactorLattice
from bvae.exceptions import ConfigError, DataError


@pytest.fixture
def dsprites32(filled_cache: Path, monkeypatch: pytest.MonkeyPatch) -> ImageDataset:
    """The data set of 32 pixels, built once for all tests."""
    monkeypatch.setenv("BVAE_CACHE", str(filled_cache))
    return open_dataset("dsprites32")


@pytest.fixture(scope="module")
def dsprites(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    """The data set of 64 pixels, built once for the tests of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BVAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return open_dataset("dsprites")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def sha256(dataset: ImageDataset) -> str:
    """The checksum of the packed images, which depends on every pixel."""
    return hashlib.sha256(dataset.store.packed.tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "number", "side", "lattice"),
    [
        ("dsprites", 737_280, 64, "3x6x40x32x32"),
        ("dsprites32", 184_320, 32, "3x6x40x16x16"),
        ("dsprites_npz", 737_280, 64, "3x6x40x32x32"),
    ],
)
def test_data_sets_are_described_without_opening(
    cache: Path, name: str, number: int, side: int, lattice: str
) -> None:
    """Sizes and factors are known by name, and nothing is built to tell them."""
    description = describe(name)
    assert description.name == name
    assert description.number == number
    assert description.image_shape == (1, side, side)
    assert description.labels.name == lattice
    assert description.labels.names == ("shape", "scale", "orientation", "x", "y")
    assert not cache.exists()


def test_all_names_are_described() -> None:
    """Each name that is offered can be described; the user's own images once their path is."""
    known = [name for name in NAMES if name not in OWN]
    assert [describe(name).name for name in known] == known
    for name in OWN:
        with pytest.raises(ConfigError, match=f"{name} needs the path of a"):
            describe(name)


@pytest.mark.parametrize("ask", [describe, open_dataset])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dsprite", r"did you mean dsprites\?"),
        ("sprites32", r"did you mean dsprites32\?"),
        ("", "known: " + ", ".join(sorted(NAMES))),
    ],
)
def test_an_unknown_name_is_refused(ask: Callable[[str], object], name: str, hint: str) -> None:
    """A name that does not exist is refused with the nearest one, or with all that do."""
    message = f"^no such data set: '{name}'; {hint}$"
    with pytest.raises(ConfigError, match=message):
        ask(name)


def test_dsprites32_is_every_second_position(dsprites32: ImageDataset) -> None:
    """Image i of dsprites32 is the drawing, at 32 pixels, of twice its position classes."""
    rows = np.random.default_rng(0).integers(0, len(dsprites32), 300)
    factors = dsprites32.labels.factors(rows) * [1, 1, 1, 2, 2]
    expected = sprites.render(factors, 32)[:, None]
    np.testing.assert_array_equal(dsprites32.store.images(rows), expected)
    assert len(dsprites32) == 184_320


def test_dsprites32_is_what_it_was(dsprites32: ImageDataset) -> None:
    """No pixel of dsprites32 changes unless `sprites.VERSION` does."""
    checksum = "68edc12f733567000be7d26e6340581cbe30f6c06ed630fb3a0e6b9dfa311804"
    assert (sprites.VERSION, sha256(dsprites32)) == (1, checksum)


@pytest.mark.slow
def test_dsprites_is_what_it_was(dsprites: ImageDataset) -> None:
    """No pixel of dsprites changes unless `sprites.VERSION` does."""
    checksum = "3a228f4037ef3d42a42588e0e01f1078aa2df13cfa17584e88c95ed9fb5672da"
    assert (sprites.VERSION, sha256(dsprites)) == (1, checksum)


@pytest.mark.slow
def test_dsprites_has_the_statistics_of_the_official_file(dsprites: ImageDataset) -> None:
    """Mean and mean deviation over all pixels agree with those measured on the official file.

    They were measured by nmichlo/disent, disent/dataset/util/stats.py: the mean over all images of
    their means, and of their unbiased standard deviations.
    """
    packed = dsprites.store.packed
    areas = np.concatenate([np.bitwise_count(rows).sum(1) for rows in np.array_split(packed, 100)])
    means = areas / 64**2
    deviations = np.sqrt(means * (1 - means) * 64**2 / (64**2 - 1))
    assert areas.sum() == pytest.approx(0.042494423521889584 * 737_280 * 64**2, abs=3)
    assert deviations.mean() == pytest.approx(0.19516645880626055, abs=1e-8)


@pytest.mark.slow
def test_dsprites_is_every_drawing(dsprites: ImageDataset) -> None:
    """Image i of dsprites is the drawing of combination i."""
    rows = np.random.default_rng(0).integers(0, len(dsprites), 300)
    expected = sprites.render(DSPRITES.factors(rows))[:, None]
    np.testing.assert_array_equal(dsprites.store.images(rows), expected)


def test_the_version_is_in_the_name_of_the_file(
    dsprites32: ImageDataset,
    filled_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Images that another version of the drawing left in the cache are not opened."""
    monkeypatch.setattr(sprites, "VERSION", 2)
    open_dataset("dsprites32")
    assert f"Building {filled_cache / 'dsprites32-v2.npy'}" in capsys.readouterr().err
    assert (filled_cache / "dsprites32-v1.npy").exists()


def test_an_official_file_becomes_a_store(
    cache: Path, npz: Path, npz_arrays: dict[str, np.ndarray], small: FactorLattice
) -> None:
    """A file with the right checksum is converted once, and opened with its lattice."""
    for _ in range(2):
        data = replace(dsprites_npz.DATA, checksums={"": md5_of(npz)}, lattice=small)
        dataset = open_official(data, npz)
    assert (dataset.name, dataset.labels) == ("dsprites_npz", small)
    images = dataset.store.images(np.arange(len(dataset)))
    np.testing.assert_array_equal(images[:, 0], npz_arrays["imgs"])
    assert [path.name for path in cache.glob("*.npy")] == [f"dsprites_npz-{md5_of(npz)[:8]}-v1.npy"]


def test_a_file_of_another_size_is_refused(cache: Path, npz: Path) -> None:
    """A file with fewer images than the lattice has combinations is no data set."""
    with pytest.raises(DataError, match="expected 737280 images, but got 24"):
        open_official(replace(dsprites_npz.DATA, checksums={"": md5_of(npz)}), npz)
    assert not list(cache.glob("*.npy"))


def test_only_the_official_file_is_opened_by_name(cache: Path, npz: Path) -> None:
    """By name the file must have the checksum of the official one; otherwise nothing is written."""
    with pytest.raises(DataError, match=f"7da33b31b13a06f4b04a70402ce90c2e, but got {md5_of(npz)}"):
        open_dataset("dsprites_npz", path=npz)
    assert not list(cache.glob("*.npy"))


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("dsprites_npz", None, "dsprites_npz needs the path of dsprites_ndarray_co1sh3sc6or40x32"),
        ("dsprites32", Path("file.npz"), "is drawn and reads no file, but got the path file.npz"),
    ],
)
def test_a_path_goes_with_a_file(name: str, path: Path | None, message: str) -> None:
    """A path is given for a data set that is read, and for no other."""
    with pytest.raises(ConfigError, match=message):
        open_dataset(name, path=path)
