"""The official dSprites file: checked, read chunk by chunk, and compared with our own drawing.

Its arrays are `imgs` uint8 [n, 64, 64] of 0 and 1, and `latents_classes` int64 [n, 6]: the colour,
which has one class, and the factors of `sprites`. The images are 3 GB unpacked, and are never held
all at once.

Shapes: n images in the file, b images of a chunk.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bvae.data import official, sprites
from bvae.data.lattice import FactorLattice
from bvae.data.store import BINARY
from bvae.exceptions import DataError

MD5 = "7da33b31b13a06f4b04a70402ce90c2e"
URL = (
    "https://github.com/google-deepmind/dsprites-dataset/raw/master/"
    "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
)


class Comparison(NamedTuple):
    """Numbers of images compared, of those that differ, and of their pixels that differ."""

    images: int
    differing_images: int
    differing_pixels: int


def md5_of(path: Path) -> str:
    """Return the MD5 of a file in hexadecimal.

    Raises:
        DataError: the file cannot be read.
    """
    return official.checksum(path, algorithm="md5", url=URL)


def read_images(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the images in chunks [b, 64, 64].

    Raises:
        DataError: the file is not an npz with such images.
    """
    return official.read_npz(path, "imgs", np.dtype(np.uint8), (64, 64), url=URL)


def compare(path: Path) -> Comparison:
    """Draw every image again from its classes, and count what differs.

    Raises:
        DataError: the file is not an npz with images, and as many classes that exist.
    """
    images = differing_images = differing_pixels = 0
    for theirs, classes in _with_classes(path):
        pixels = (theirs != sprites.render(classes[:, 1:])).sum(axis=(1, 2))
        images += len(theirs)
        differing_images += int((pixels > 0).sum())
        differing_pixels += int(pixels.sum())
    return Comparison(images, differing_images, differing_pixels)


def _with_classes(path: Path) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    classes = official.read_npz(path, "latents_classes", np.dtype(np.int64), (6,), url=URL)
    nothing: NDArray[Any] = np.zeros(0)
    for images, their_classes in zip_longest(read_images(path), classes, fillvalue=nothing):
        if len(images) != len(their_classes):
            raise DataError(f"expected as many classes as images in {path}; download {URL} again")
        yield images, their_classes


DATA = official.OfficialData(
    "dsprites_npz",
    URL.rpartition("/")[2],
    URL,
    {"": MD5},
    FactorLattice(sprites.FACTOR_NAMES, sprites.FACTOR_SIZES),
    lambda path, _: (images[:, None] for images in read_images(path)),
    image_shape=(1, 64, 64),
    white=BINARY,
)
