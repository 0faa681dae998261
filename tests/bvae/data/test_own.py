"""Images that an own function gives."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bvae.data import own
from bvae.data.datasets import open_dataset
from bvae.data.store import building, cache_dir
from bvae.exceptions import BvaeError, ConfigError
from tests.doubles.processes import wait_for

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
FACTORS = np.stack([np.arange(12) // 4, np.arange(12) % 4], axis=1)
CALLS: list[str] = []


class Loaded:
    """Images as attributes."""

    def __init__(self) -> None:
        self.images = IMAGES


def give(how: str) -> Any:
    """Return the images in one of several ways."""
    CALLS.append(how)
    ways: dict[str, Any] = {
        "array": IMAGES,
        "object": Loaded(),
        "floats": {"images": IMAGES / 255},
        "labelled": {"images": IMAGES, "factors": FACTORS, "factor_names": ["shape", "hue"]},
        "centred": {"images": IMAGES / 127.5 - 1},
        "nothing": {"pictures": IMAGES},
        "integers": IMAGES.astype(np.int64),
        "tuple": (IMAGES, FACTORS),
        "ragged": [IMAGES[0], IMAGES[0, 1:]],
        "gradient": torch.from_numpy(IMAGES / 255).requires_grad_(),
        "objects": {"images": IMAGES, "factors": FACTORS.astype(object)},
        "columns": {
            "images": IMAGES,
            "factors": pd.DataFrame(FACTORS),
            "factor_names": pd.Index(["shape", "hue"], dtype=object),
        },
    }
    return ways[how]


@pytest.fixture(autouse=True)
def forgotten(cache: Path) -> None:
    """Begin as a new process does, with an empty cache."""
    own._made.cache_clear()
    CALLS.clear()


def part(how: str) -> dict[str, Any]:
    """Return the part as the configuration has it."""
    return {"_target_": "tests.bvae.data.test_own.give", "how": how}


def opened(how: str) -> Any:
    """Return the data set of the images given in this way."""
    return open_dataset("npz", path=own.archive(part(how), content=None))


def test_another_process_that_builds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes what killed builds have left in the cache, and that looks like what is written."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path))  # which other tests do not write into
    cache = cache_dir()
    with building(cache):
        waiting = threading.Thread(target=opened, args=["array"])
        waiting.start()
        wait_for(lambda: CALLS)
        waiting.join(0.3)
        assert [] == [*cache.glob(".*"), *cache.glob("*.npz")]
    waiting.join()

    assert 1 == len([*cache.glob("own-*.npz")])


@pytest.mark.parametrize("how", ["array", "object", "floats", "labelled"])
def test_images_are_those_given(how: str) -> None:
    """An array, attributes, floats in 0..1 and a mapping give the same pixels."""
    found = opened(how).store.images(np.arange(12))

    np.testing.assert_array_equal(IMAGES.transpose(0, 3, 1, 2), found)


def test_factors_come_along() -> None:
    """Factors and their names are those of the mapping, also of a table of pandas."""
    for how in ("labelled", "columns"):
        assert ("shape", "hue") == opened(how).labels.names


def test_known_content_is_not_made_again() -> None:
    """Where the file is in the cache under its content, the function is not called."""
    first = own.archive(part("labelled"), content=None)
    own._made.cache_clear()
    again = own.archive(part("labelled"), content=first.stem.removeprefix("own-") + "…")

    assert first == again
    assert ["labelled"] == CALLS


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("centred", "expected floats in 0..1, or uint8, but got -1 to 1"),
        ("nothing", "expected a mapping with images .*but got pictures"),
        ("integers", "or floats in 0..1, but got int64"),
        ("unknown", "data.source: .* raised KeyError: 'unknown'"),
        ("tuple", "data.source: expected a mapping .*, but got a tuple"),
        ("ragged", "data.source: images: no array can be made: "),
        ("gradient", "data.source: images: no array can be made: .*detach"),
        ("objects", "data.source: factors: expected numbers, but got objects"),
    ],
)
def test_other_things_are_refused(how: str, message: str) -> None:
    """Wrong ranges, names and types are told; what the function raises, too."""
    with pytest.raises(BvaeError, match=message):
        opened(how)


def test_function_that_is_not_there() -> None:
    """It is told with its key."""
    with pytest.raises(ConfigError, match=r"data\.source: tests\.bvae\.data\.test_own\.nothing"):
        own.archive({"_target_": "tests.bvae.data.test_own.nothing"}, content=None)
