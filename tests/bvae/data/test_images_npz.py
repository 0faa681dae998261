"""The user's own arrays: right ones, and every way to get them wrong."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bvae.data import images_npz, npz
from bvae.data.datasets import ImageDataset, describe, open_dataset
from bvae.data.labels import FactorTable
from bvae.data.lattice import FactorLattice
from bvae.exceptions import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 32, 32), np.uint8)
FACTORS = np.indices((3, 2)).reshape(2, -1).T


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test writes its file."""
    return tmp_path / "mine.npz"


def stored(dataset: ImageDataset) -> np.ndarray:
    """Return all images of a data set."""
    return dataset.store.images(np.arange(len(dataset)))


def test_images_come_as_they_are(path: Path) -> None:
    """Without factors and without a size of their own to be brought to."""
    np.savez(path, images=IMAGES)

    dataset = open_dataset("npz", path=path)

    assert None is dataset.labels
    np.testing.assert_array_equal(IMAGES[:, None], stored(dataset))
    assert images_npz.contents(path).sha256 == dataset.content


def test_colours_and_resizing(path: Path) -> None:
    """Channels come last in the file and first in the store; other sizes are brought to one."""
    colour = np.random.default_rng(0).integers(0, 256, (6, 28, 40, 3), np.uint8)
    np.savez(path, images=colour)

    assert (3, 32, 32) == open_dataset("npz", path=path, resolution=32).store.image_shape
    grey = open_dataset("npz", path=path, resolution=64, channels=1)
    assert (6, 1, 64, 64) == stored(grey).shape
    assert (3, 28, 40) == describe("npz", path=path).image_shape
    with pytest.raises(DataError, match=r"expected data\.resolution .*28x40"):
        describe("npz", path=path, channels=1)


@pytest.mark.parametrize("dark", [1, 1000])
def test_floats_are_bytes_of_as_much(path: Path, dark: int) -> None:
    """Images in 0..1 become 0 to 255, however dark they are."""
    np.savez(path, images=IMAGES / 255 / dark)

    np.testing.assert_array_equal(
        np.rint(IMAGES[:, None] / dark), stored(open_dataset("npz", path=path))
    )


def test_binary_images_are_black_and_white(path: Path) -> None:
    """Where no value is above 1, 1 is white."""
    np.savez(path, images=IMAGES % 2)

    np.testing.assert_array_equal(IMAGES[:, None] % 2 * 255, stored(open_dataset("npz", path=path)))


def test_factors_put_the_images_in_order(path: Path) -> None:
    """Rows in any order, classes of any values: image i has combination i of the lattice."""
    order = np.random.default_rng(1).permutation(6)
    factors = (FACTORS * [10, 5] + 3)[order]
    names = np.array(["shape", "size"])
    np.savez(path, images=IMAGES[order], factors=factors, factor_names=names)

    dataset = open_dataset("npz", path=path)

    assert isinstance(dataset.labels, FactorLattice)
    assert (("shape", "size"), (3, 2)) == (dataset.labels.names, dataset.labels.sizes)
    np.testing.assert_array_equal(IMAGES[:, None], stored(dataset))


def test_factors_without_names_are_numbered(path: Path) -> None:
    """Names are optional."""
    np.savez(path, images=IMAGES, factors=FACTORS)

    lattice = open_dataset("npz", path=path).labels

    assert lattice is not None
    assert ("factor0", "factor1") == lattice.names


def test_values_of_a_lattice_may_be_fractions(path: Path) -> None:
    """Where each combination stands in one row, values are classes, however many, -1 among them."""
    angles = np.linspace(-1, 1, 12)
    factors = np.stack(np.meshgrid(angles, [0.5, 0.7], indexing="ij"), -1).reshape(-1, 2)
    np.savez(path, images=np.zeros((24, 32, 32), np.uint8), factors=factors)

    labels = describe("npz", path=path).labels

    assert isinstance(labels, FactorLattice)
    assert (12, 2) == labels.sizes


def table_of(path: Path, factors: Any, *, bins: int | None = None) -> FactorTable:
    """Write black images with these factors, and return the table that is read of them."""
    np.savez(path, images=np.zeros((len(factors), 32, 32), np.uint8), factors=factors)
    labels = open_dataset("npz", path=path, bins=bins).labels
    assert isinstance(labels, FactorTable)
    return labels


class TestTables:
    def test_any_rows_in_their_own_order(self, path: Path) -> None:
        """A combination twice and another missing: classes as they are, images in file order."""
        factors = FACTORS[[5, 1, 2, 3, 4, 4]] * [10, 5] + 3
        names = np.array(["shape", "size"])
        np.savez(path, images=IMAGES, factors=factors, factor_names=names)

        dataset = open_dataset("npz", path=path)

        assert isinstance(dataset.labels, FactorTable)
        assert (("shape", "size"), "3x2 in 6 rows") == (dataset.labels.names, dataset.labels.name)
        assert [2, 0, 1, 1, 2, 2] == dataset.labels.factors(np.arange(6))[:, 0].tolist()
        np.testing.assert_array_equal(IMAGES[:, None], stored(dataset))

    def test_unknown_labels(self, path: Path) -> None:
        """-1 in integers and NaN in fractions; -1 in fractions is a value like any other."""
        whole = table_of(path, np.array([[0, 0, 1, 1, -1, 0]]).T)
        images_npz.contents.cache_clear()
        fractions = table_of(path, np.array([[-1, -1, 0.5, 0.5, np.nan, -1]]).T)

        for table in (whole, fractions):
            np.testing.assert_array_equal([0, 0, 1, 1, np.nan, 0], table.classes[:, 0])

    def test_a_factor_that_cannot_be_scored_stays_with_its_reason(self, path: Path) -> None:
        """One factor is enough; what the others lack is known."""
        factors = np.stack([np.arange(9), np.arange(9) % 2, np.full(9, 4)], axis=1)

        table = table_of(path, factors)

        reasons = {"factor0": "9 classes in 9 rows, not two rows for each"}
        assert reasons | {"factor2": "a single class"} == table.left_out
        assert "2 in 9 rows" == table.name

    @pytest.mark.parametrize(("bins", "number"), [(None, 10), (4, 4)])
    def test_measurements_are_cut_into_equal_parts(
        self, path: Path, bins: int | None, number: int
    ) -> None:
        """Each class has as many images, whatever the distribution, in the order of the values."""
        values = np.random.default_rng(0).standard_cauchy(1000)

        classes = table_of(path, values[:, None], bins=bins).classes[:, 0]

        assert (np.bincount(classes.astype(int)) == 1000 / number).all()
        assert (np.diff(classes[np.argsort(values)]) >= 0).all()

    @pytest.mark.parametrize("often", [0.0, 1.0])
    def test_a_value_that_is_frequent_is_a_class_of_its_own(self, path: Path, often: float) -> None:
        """Where most images have the least or the greatest value, the others are told from it."""
        values = np.r_[np.full(950, often), np.random.default_rng(0).random(50)]

        classes = table_of(path, values[:, None]).classes[:, 0]

        assert 1 == len(np.unique(classes[:950]))
        assert not np.isin(classes[950:], classes[:950]).any()

    @pytest.mark.parametrize(
        ("values", "number"),
        [
            pytest.param(np.arange(1000) % 40 * 1.0, 40, id="class numbers"),
            pytest.param(np.arange(1000) % 8 / 7, 8, id="few values"),
            pytest.param(np.arange(1000) * 3.0, 10, id="as good as a measurement"),
        ],
    )
    def test_floats_are_classes_where_they_are_few(
        self, path: Path, values: Any, number: int
    ) -> None:
        """A file has one type for all its factors: class numbers may come as floats."""
        assert f"{number} in 1000 rows" == table_of(path, values[:, None]).name


def test_columns_of_one_value_are_no_factors(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the colour among dSprites' classes, which is always the same; it is said while reading."""
    factors = np.insert(FACTORS, (0, 2), 7, axis=1)
    names = np.array(["colour", "shape", "size", "light"])
    np.savez(path, images=IMAGES, factors=factors, factor_names=names)

    for _ in range(2):
        dataset = open_dataset("npz", path=path)
        assert isinstance(dataset.labels, FactorLattice)
        assert (("shape", "size"), (3, 2)) == (dataset.labels.names, dataset.labels.sizes)
    np.testing.assert_array_equal(IMAGES[:, None], stored(dataset))
    said = capsys.readouterr().err
    assert 1 == said.count("Left out of the factors, with one class: colour, light\n")


def test_images_in_another_order_are_held_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunk by chunk into one array, and out of it: a large file fits where it fits once."""
    monkeypatch.setattr(npz, "CHUNK", 100)
    sizes = (40, 25)
    images = np.random.default_rng(0).integers(0, 256, (1000, 64, 64), np.uint8)
    order = np.random.default_rng(1).permutation(1000)
    factors = np.indices(sizes).reshape(2, -1).T
    np.savez(path, images=images[order], factors=factors[order])
    contents = images_npz.contents(path)

    tracemalloc.start()
    chunks = images_npz.read(contents, (1, 64, 64))
    firsts = [chunk[:, 0, 0].copy() for chunk in chunks]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    np.testing.assert_array_equal(images[:, 0], np.concatenate(firsts))
    assert peak < 1.5 * images.nbytes


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"pictures": IMAGES}, "expected an array `images` in .*, but got pictures"),
    "nothing": ({}, "expected an array `images` in .*, but got no array"),
    "floats": ({"images": IMAGES / 127.5}, "expected floats in 0..1, or uint8, but got 0 to 2"),
    "booleans": ({"images": IMAGES > 9}, "or floats in 0..1, but got bool"),
    "flat": ({"images": IMAGES.reshape(6, -1)}, r"expected \[n, H, W\] or .*got \[6, 1024\]"),
    "channels first": ({"images": IMAGES[:, None]}, r"with C = 1 or 3, but got \[6, 1, 32, 32\]"),
    "none": ({"images": IMAGES[:0]}, "expected at least one, but got none"),
    "tiny": ({"images": IMAGES[:, :4]}, r"sides of at least 8, but got \[4, 32\]"),
    "pickled": ({"images": np.array([IMAGES, print], object)}, "never unpickled"),
    "by columns": ({"images": np.asfortranarray(IMAGES)}, "save np.ascontiguousarray"),
    "factors too short": ({"images": IMAGES, "factors": FACTORS[:5]}, r"numbers \[6, K\]"),
    "factors of texts": ({"images": IMAGES, "factors": FACTORS.astype(str)}, "but got <U"),
    "infinite factors": ({"images": IMAGES, "factors": FACTORS - np.inf}, "but got infinity"),
    "no label known": (
        {"images": IMAGES, "factors": np.full((6, 1), np.nan)},
        "factor0 has no known class .*; without the array `factors` the images are studied without",
    ),
    "no and unknown": (
        {"images": IMAGES, "factors": np.array([[1, 1, -1, -1, 1, 1]]).T},
        r"factor0 has a single class \(-1 and NaN are no classes\)",
    ),
    "factors of one axis": ({"images": IMAGES, "factors": FACTORS[:, 0]}, r"but got int64 \[6\]"),
    "no factors": ({"images": IMAGES, "factors": FACTORS[:, :0]}, r"but got int64 \[6, 0\]"),
    "factors pickled": (
        {"images": IMAGES, "factors": np.array([print] * 6, object)},
        "Object arrays cannot be loaded",
    ),
    "too few names": (
        {"images": IMAGES, "factors": FACTORS, "factor_names": np.array(["shape"])},
        "factor_names: expected 2 distinct texts",
    ),
    "a name twice": (
        {"images": IMAGES, "factors": FACTORS, "factor_names": np.array(["x", "x"])},
        r"factor_names: expected 2 distinct texts, none of them empty, but got \['x', 'x'\]",
    ),
    "an empty name": (
        {"images": IMAGES, "factors": FACTORS, "factor_names": np.array(["x", " "])},
        r"none of them empty, but got \['x', ' '\]",
    ),
    "one factor": (
        {"images": IMAGES, "factors": np.arange(6)[:, None]},
        "factor0 has 6 classes in 6 rows, not two rows for each",
    ),
    "factors of one value": (
        {"images": IMAGES, "factors": FACTORS * 0},
        "expected a column with two classes .*, but factor0 has a single class; factor1 has a sing",
    ),
    "counters": (
        {
            "images": np.zeros((3000, 8, 8), np.uint8),
            "factors": np.arange(3000)[:, None].repeat(6, axis=1),
        },
        "factor0 has 3000 classes in 3000 rows",
    ),
    "names that are numbers": (
        {"images": IMAGES, "factors": FACTORS, "factor_names": np.arange(2)},
        "factor_names: expected 2 distinct texts, but got int64",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_other_arrays_are_refused(kind: str, path: Path, cache: Path) -> None:
    """Each mistake has its message, and nothing is written."""
    arrays, reason = BAD[kind]
    np.savez(path, **arrays)

    with pytest.raises(DataError, match=reason):
        open_dataset("npz", path=path)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_text("no archive"), "not a zip file"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "not a zip file"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_other_files_are_refused(spoil: Any, reason: str, path: Path) -> None:
    """What is no npz is told so."""
    np.savez(path, images=IMAGES)
    spoil(path)

    with pytest.raises(DataError, match=rf"expected .*mine\.npz to be an npz.*{reason}"):
        open_dataset("npz", path=path)


def test_damage_inside_leaves_nothing(path: Path, cache: Path) -> None:
    """An archive whose images have changed bytes is found while reading; no store is kept."""
    np.savez(path, images=IMAGES)
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(bytes(content))

    with pytest.raises(DataError, match=r"images: damaged \(Bad CRC"):
        open_dataset("npz", path=path)
    assert not list(cache.glob("*.npy"))
