"""smallNORB (LeCun et al., 2004): photographs of 50 toys, read from its six files once unpacked.

Of the pairs of images those of the first camera are taken, and scaled from 96 x 96 to 64 x 64, as
in disentanglement_lib. Training and testing set are one data set: they differ in their toys, the
ten instances of each category.

A file is a matrix, little-endian: a magic number that tells its type, the number of dimensions,
at least three sizes, and the values by rows. `dat` is byte [n, 2, 96, 96]; `cat` int [n], the
category; `info` int [n, 4], instance, elevation, azimuth in steps of 10 degrees, lighting.

The authors publish no checksums; those here are the ones in which several public loaders agree. A
test writes the `cat` file anew, and finds its MD5.

Shapes: n images of a file, b rows of a chunk, [1, 64, 64] one image.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bvae.data import pixels
from bvae.data.lattice import FactorLattice
from bvae.data.official import OfficialData, reading
from bvae.exceptions import DataError

TRAINING = "smallnorb-5x46789x9x18x6x2x96x96-training"
TESTING = "smallnorb-5x01235x9x18x6x2x96x96-testing"

_TYPES: dict[int, np.dtype[Any]] = {0x1E3D4C55: np.dtype("u1"), 0x1E3D4C54: np.dtype("<i4")}
_SIDE = 64
_CHUNK = 1024  # rows read at once


def _read(path: Path, data: OfficialData) -> Iterator[NDArray[np.uint8]]:
    """All images [n, 1, 64, 64] at once: they are 200 MB, and the files have another order."""
    images = np.empty((len(data.lattice), *data.image_shape), np.uint8)
    found = np.zeros(len(data.lattice), np.int64)
    for part in (TRAINING, TESTING):
        rows = data.lattice.index(_factors(path / part, data.url))
        small = _small(path / part, data.url)
        with reading(path / part, expected="have an image for each label", url=data.url):
            images[rows] = np.stack(small).reshape(len(rows), *data.image_shape)
        np.add.at(found, rows, 1)
    if (found != 1).any():
        raise DataError(
            f"expected each of the {data.lattice.name} combinations once in the files of {path}, "
            f"but {(found != 1).sum()} are not; download {data.url} again"
        )
    yield images


def _small(part: Path, url: str) -> list[NDArray[np.uint8]]:
    """The images [1, 64, 64] of the first camera."""
    return [
        pixels.square(pair[0], resolution=_SIDE, channels=1)
        for pairs in _matrix(f"{part}-dat.mat", "u1", (2, 96, 96), url)
        for pair in pairs
    ]


def _factors(part: Path, url: str) -> NDArray[np.int64]:
    """Classes [n, 5] of category, instance, elevation, azimuth and lighting."""
    category = np.concatenate(list(_matrix(f"{part}-cat.mat", "<i4", (), url)))
    info = np.concatenate(list(_matrix(f"{part}-info.mat", "<i4", (4,), url)))
    return np.column_stack([category, info]).astype(np.int64) // (1, 1, 1, 2, 1)


def _matrix(name: str, dtype: str, row_shape: tuple[int, ...], url: str) -> Iterator[NDArray[Any]]:
    """Yield a matrix in chunks [b, ...] of its rows."""
    path, size = Path(name), math.prod(row_shape) * np.dtype(dtype).itemsize
    expected = f"be a matrix {np.dtype(dtype)} {['n', *row_shape]}"
    with reading(path, expected=expected, url=url), path.open("rb") as file:
        found, (number, *rest) = _header(file)
        if found != np.dtype(dtype) or tuple(rest) != row_shape:
            raise ValueError(f"found {found} {[number, *rest]}")
        for start in range(0, number, _CHUNK):
            rows = min(_CHUNK, number - start)
            yield np.frombuffer(file.read(rows * size), dtype).reshape(rows, *row_shape)


def _header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic, n_dimensions = struct.unpack("<2i", file.read(8))
    written = max(3, n_dimensions)
    sizes = struct.unpack(f"<{written}i", file.read(4 * written))
    return _TYPES[magic], sizes[:n_dimensions]


DATA = OfficialData(
    "smallnorb",
    "the folder of its six unpacked files smallnorb-*.mat",
    "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/",
    {
        f"{TRAINING}-dat.mat": "8138a0902307b32dfa0025a36dfa45ec",
        f"{TRAINING}-cat.mat": "fd5120d3f770ad57ebe620eb61a0b633",
        f"{TRAINING}-info.mat": "19faee774120001fc7e17980d6960451",
        f"{TESTING}-dat.mat": "e9920b7f7b2869a8f1a12e945b2c166c",
        f"{TESTING}-cat.mat": "fd5120d3f770ad57ebe620eb61a0b633",
        f"{TESTING}-info.mat": "7c5b871cc69dcadec1bf6a18141f5edc",
    },
    FactorLattice(("category", "instance", "elevation", "azimuth", "lighting"), (5, 10, 9, 18, 6)),
    _read,
    image_shape=(1, _SIDE, _SIDE),
)
