"""The data sets by name: what each holds, and how to open it."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bvae.data import dsprites_npz, sprites
from bvae.data.lattice import FactorLattice
from bvae.data.store import ImageShape, ImageStore, cache_dir, open_store
from bvae.exceptions import ConfigError

DSPRITES = FactorLattice(sprites.FACTOR_NAMES, sprites.FACTOR_SIZES)
"""The factors of dSprites but its colour, which has one class."""

_POSITION_STRIDES = {"dsprites": 1, "dsprites32": 2}
_NPZ = "dsprites_npz"
_NPZ_VERSION = 1  # of the conversion, in the name of its store
_CHUNK = 4096  # images drawn between two movements of the progress bar

NAMES = (*_POSITION_STRIDES, _NPZ)
"""Every name that can be opened."""


@dataclass(frozen=True)
class Description:
    """What a data set holds, known without opening it."""

    name: str
    number: int
    image_shape: ImageShape
    lattice: FactorLattice | None
    needs_path: bool


@dataclass(frozen=True)
class ImageDataset:
    """Images, and the lattice of their factors: image i has combination i. None: no factors."""

    name: str
    store: ImageStore
    lattice: FactorLattice | None

    def __len__(self) -> int:
        return len(self.store)


def describe(name: str) -> Description:
    """Return what the named data set holds.

    Raises:
        ConfigError: there is no such data set.
    """
    if name not in NAMES:
        nearest = difflib.get_close_matches(name, NAMES, n=1, cutoff=0)[0]
        raise ConfigError(
            f"expected a data set among {', '.join(NAMES)}, but got {name!r}; "
            f"did you mean {nearest}?"
        )
    stride = _POSITION_STRIDES.get(name, 1)
    lattice = FactorLattice(sprites.FACTOR_NAMES, (3, 6, 40, 32 // stride, 32 // stride))
    side = 64 // stride
    return Description(name, len(lattice), (1, side, side), lattice, needs_path=name == _NPZ)


def open_dataset(name: str, *, path: Path | None = None) -> ImageDataset:
    """Open a data set, whose store is built in the cache at the first time.

    Args:
        name: `dsprites` (64 x 64), `dsprites32` (32 x 32, every second position) or `dsprites_npz`.
        path: the official file, for `dsprites_npz` only.

    Raises:
        ConfigError: there is no such data set, or the path is missing or not wanted.
        DataError: the file is not the official one, or the cache cannot be written.
    """
    description = describe(name)
    if description.needs_path and path is None:
        raise ConfigError(f"{name} needs the path of {dsprites_npz.URL.rpartition('/')[2]}")
    if not description.needs_path and path is not None:
        raise ConfigError(f"{name} is drawn and reads no file, but got the path {path}")
    if path is not None:
        return open_npz(path)
    return _open_sprites(description)


def open_npz(
    path: Path, *, md5: str = dsprites_npz.MD5, lattice: FactorLattice = DSPRITES
) -> ImageDataset:
    """Open a file of the layout of the official npz, its rows in the order of the lattice.

    Raises:
        DataError: the file is missing, has another checksum or is no such file.
    """
    dsprites_npz.check_md5(path, md5)
    store = open_store(
        cache_dir() / f"{_NPZ}-{md5[:8]}-v{_NPZ_VERSION}.npy",
        number=len(lattice),
        image_shape=(1, 64, 64),
        draw=lambda: (images[:, None] for images in dsprites_npz.read_images(path)),
    )
    return ImageDataset(_NPZ, store, lattice)


def _open_sprites(description: Description) -> ImageDataset:
    store = open_store(
        cache_dir() / f"{description.name}-v{sprites.VERSION}.npy",
        number=description.number,
        image_shape=description.image_shape,
        draw=lambda: _draw(_POSITION_STRIDES[description.name]),
    )
    return ImageDataset(description.name, store, description.lattice)


def _draw(stride: int) -> Iterator[NDArray[np.uint8]]:
    """Chunks [b, 1, R, R] of every stride-th position, at a resolution R smaller by as much."""
    _, rows = DSPRITES.every((1, 1, 1, stride, stride))
    for start in range(0, len(rows), _CHUNK):
        factors = DSPRITES.factors(rows[start : start + _CHUNK])
        yield sprites.render(factors, 64 // stride)[:, None]
