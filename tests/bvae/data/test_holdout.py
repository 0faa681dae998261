"""Which images are kept out of training."""

import hashlib

import numpy as np
import pytest

from bvae.data.holdout import LEAST, MOST_LISTED, held_out, record
from bvae.data.store import BYTES, ImageStore


def store_of(rows: np.ndarray) -> ImageStore:
    """A store of images of 4 x 4 bytes, [n, 16]."""
    return ImageStore(rows, (1, 4, 4), BYTES)


@pytest.fixture
def rows() -> np.ndarray:
    """A thousand images, of which the last hundred equal the first."""
    made = np.random.default_rng(0).integers(0, 256, (1000, 16), dtype=np.uint8)
    made[900:] = made[:100]
    return made


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_the_share(rows: np.ndarray, share: float) -> None:
    """About so many images are held out, in ascending order."""
    found = held_out(store_of(rows), share)

    assert 1000 * share == pytest.approx(len(found), abs=5 * np.sqrt(1000 * share))
    assert found.tolist() == sorted(set(found.tolist()))


def test_the_rule_is_what_it_was() -> None:
    """The hash of an image's bytes is its place in 0..1: studies on disk assume it."""
    numbered = np.arange(40, dtype=np.uint8).repeat(16).reshape(40, 16)
    places = [
        int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "little") / 2**64
        for row in numbered
    ]

    assert [i for i in range(40) if places[i] < 0.1] == held_out(store_of(numbered), 0.1).tolist()
    assert [0, 1, 19, 30, 34] == held_out(store_of(numbered), 0.1).tolist()


def test_order_and_other_images_do_not_matter(rows: np.ndarray) -> None:
    """An image is on the same side in another order, and among fewer images."""
    order = np.random.default_rng(1).permutation(1000)[:600]
    whole = set(held_out(store_of(rows), 0.2).tolist())

    found = order[held_out(store_of(rows[order]), 0.2)]
    assert whole & set(order.tolist()) == set(found.tolist())


def test_equal_images_are_on_one_side(rows: np.ndarray) -> None:
    """What is trained on is not among what is held out under another row."""
    found = held_out(store_of(rows), 0.5)

    assert (found[found < 100] + 900).tolist() == found[found >= 900].tolist()
    assert 20 < (found < 100).sum() < 80


def test_a_larger_share_holds_out_more(rows: np.ndarray) -> None:
    """All of a smaller share, and others."""
    few, many = (set(held_out(store_of(rows), share).tolist()) for share in (0.1, 0.3))

    assert few < many


def test_none_are_held_out(rows: np.ndarray) -> None:
    """With a share of 0, and where there would be fewer than two."""
    store = store_of(rows)
    first, second = held_out(store, 0.1)[:LEAST]

    assert 0 == len(held_out(store, 0.0))
    assert 0 == len(held_out(store_of(rows[:second]), 0.1)) < first
    assert LEAST == len(held_out(store_of(rows[: second + 1]), 0.1))


def test_the_record_says_which() -> None:
    """How many, the rows where they are not too many to list, and a hash of them."""
    few, many = np.array([3, 7]), np.arange(MOST_LISTED + 1)
    of_few, of_many = record(few), record(many)

    assert (2, [3, 7]) == (of_few["images"], of_few["rows"])
    assert (MOST_LISTED + 1, None) == (of_many["images"], of_many["rows"])
    assert of_few == record(few.copy())
    assert of_few["sha256"] != record(np.array([3, 8]))["sha256"]
