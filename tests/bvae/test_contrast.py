"""Images that hardly use the range from black to white."""

import numpy as np
import pytest

from bvae import contrast
from bvae.data.store import BYTES, ImageStore
from bvae.exceptions import DataError

RANDOM = np.random.default_rng(0)


def said(values: np.ndarray) -> str:
    """Return what is said of a hundred images of these values."""
    return contrast.note(ImageStore(values.astype(np.uint8), (1, 8, 8), BYTES), "images")


@pytest.mark.parametrize("most", [64, 200, 256])
def test_a_range_that_is_used_needs_no_words(most: int) -> None:
    """A quarter of the values is enough."""
    assert not said(RANDOM.integers(0, most + 2, (100, 64)))


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 15), (100, 130), (240, 255)], ids=lambda value: str(value)
)
def test_a_range_that_is_hardly_used_is_said(low: int, high: int) -> None:
    """With the values, and what to do."""
    note = said(RANDOM.integers(low, high + 1, (100, 64)))

    assert f"in {low}..{high} of 0..255" in note
    assert "stretch them to 0..255, or give a smaller data.variance" in note


def test_one_hot_pixel_does_not_make_a_range() -> None:
    """Sensors have some."""
    values = RANDOM.integers(0, 16, (100, 64))
    values[0, 0] = 255

    assert "hardly use their range" in said(values)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_images_are_refused(value: int) -> None:
    """There is nothing to learn from them."""
    with pytest.raises(
        DataError, match=f"each value in each of them is {value} .*nothing to learn"
    ):
        said(np.full((100, 64), value))


def test_one_other_value_anywhere_is_enough() -> None:
    """Where only some values are looked at, all are before anything is refused."""
    values = np.zeros((400_000, 64), np.uint8)
    values[3, 1] = 255

    assert "99.8 % of their values are in 0..0" in said(values)


def test_what_is_packed_has_its_range() -> None:
    """Pixels of 0 and 1 are black and white."""
    packed = np.zeros((10, 8), np.uint8)

    assert not contrast.note(ImageStore(packed, (1, 8, 8)), "images")
