"""Whether the user's images use the range from black to white."""

import math

import numpy as np

from bvae.data.store import BYTES, ImageStore
from bvae.exceptions import DataError

LEAST_RANGE = 64
"""Fewer of the 256 values are hardly a range: their differences drown in the pixels' variance."""

_LOOKED_AT = 4_000_000  # values


def note(store: ImageStore, place: str) -> str:
    """Return a sentence if the images hardly use their range, else an empty one.

    99.8 % of some values decide, so that one hot pixel does not.

    Raises:
        DataError: all values are the same.
    """
    if store.white != BYTES:
        return ""
    every = math.ceil(store.packed.size / _LOOKED_AT)
    counts = np.bincount(store.packed[::every].reshape(-1), minlength=BYTES + 1)
    if np.count_nonzero(counts) == 1 and store.packed.min() == store.packed.max():
        raise DataError(
            f"expected images in {place}, but each value in each of them is {store.packed[0, 0]} "
            f"(0 is black, {BYTES} white): there is nothing to learn; save them with their contrast"
        )
    shares = np.cumsum(counts) / counts.sum()
    low, high = np.searchsorted(shares, (0.001, 0.999))
    if high - low >= LEAST_RANGE:
        return ""
    return (
        f"the images in {place} hardly use their range: 99.8 % of their values are in "
        f"{low}..{high} of 0..{BYTES}, and data.variance is meant for all of it; stretch them to "
        f"0..{BYTES}, or give a smaller data.variance"
    )
