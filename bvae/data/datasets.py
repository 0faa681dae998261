"""The data sets by name: what each holds, and how to open it."""

import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bvae.config import nearest
from bvae.data import cars3d, dsprites_npz, folder, images_npz, mpi3d, shapes3d, smallnorb, sprites
from bvae.data.labels import Labels
from bvae.data.lattice import FactorLattice
from bvae.data.listing import Skipped
from bvae.data.official import OfficialData
from bvae.data.store import BYTES, ImageStore, cache_dir, open_store
from bvae.exceptions import ConfigError, DataError
from bvae.files import write_atomically
from bvae.image_shape import ImageShape

DSPRITES = dsprites_npz.DATA.lattice
"""The factors of dSprites but its colour, which has one class."""

_POSITION_STRIDES = {"dsprites": 1, "dsprites32": 2}
_OFFICIAL_VERSION = 1  # of the conversion of official files, in the names of their stores
_OWN_VERSIONS = {"folder": 3, "npz": 1}  # the same, for the user's images
_CHUNK = 4096  # images drawn between two movements of the progress bar

DRAWN = tuple(_POSITION_STRIDES)
"""Names of the data sets that need no file."""

OWN = ("folder", "npz")
"""Names of the user's own images, whose size is chosen."""

_TABLE = (
    *(dsprites_npz.DATA, shapes3d.DATA, mpi3d.TOY, mpi3d.REALISTIC, mpi3d.REAL),
    *(cars3d.DATA, smallnorb.DATA),
)

OFFICIAL = {data.name: data for data in _TABLE}
"""The published data sets, whose files the user downloads."""

FOLDERS = ("folder", *(name for name, data in OFFICIAL.items() if data.is_folder))
"""Names of the data sets whose path is a folder."""

NAMES = (*DRAWN, *OFFICIAL, *OWN)
"""Every name that can be opened."""


@dataclass(frozen=True)
class Description:
    """What a data set holds, known without opening it.

    `number` of a folder is that of its image files, some of which may not be readable. `content`
    is the SHA-256 of the user's own images, None where the name says it all; `told`, what of a
    folder is taken and left out, and `n_skipped`, how many files are not used.
    """

    name: str
    number: int
    image_shape: ImageShape
    labels: Labels | None
    content: str | None = None
    told: str = ""
    n_skipped: int = 0


@dataclass(frozen=True)
class ImageDataset:
    """Images, and what is known of them: image i has combination i of a lattice, row i of a table.

    `content` is the SHA-256 of the user's own images; `n_skipped`, how many files could not be
    used; `held_out` has the rows that are not trained on, ascending (`bvae.data.holdout`).
    """

    name: str
    store: ImageStore
    labels: Labels | None
    content: str | None = None
    n_skipped: int = 0
    held_out: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.store)

    @functools.cached_property
    def trained_on(self) -> NDArray[np.int64]:
        """The rows that are not held out, ascending."""
        return np.delete(np.arange(len(self)), self.held_out)


def describe(
    name: str,
    *,
    path: Path | None = None,
    resolution: int | None = None,
    channels: int | None = None,
    bins: int | None = None,
) -> Description:
    """Return what the named data set holds; arguments as for `open_dataset`.

    Raises:
        ConfigError: there is no such data set, or a path is missing.
        DataError: the user's images are not what they must be.
    """
    _check_name(name)
    if name == "folder":
        return _describe_folder(_given(name, path), resolution or 64, channels or 3)
    if name == "npz":
        return _describe_npz(_given(name, path), resolution, channels, bins or images_npz.N_BINS)
    if name in OFFICIAL:
        data = OFFICIAL[name]
        return Description(name, len(data.lattice), data.image_shape, data.lattice)
    stride = _POSITION_STRIDES[name]
    lattice = FactorLattice(sprites.FACTOR_NAMES, (3, 6, 40, 32 // stride, 32 // stride))
    side = 64 // stride
    return Description(name, len(lattice), (1, side, side), lattice)


def _check_name(name: str) -> None:
    if name not in NAMES:
        raise ConfigError(f"no such data set: {name!r}; {nearest(name, NAMES)}")


def _given(name: str, path: Path | None) -> Path:
    if path is None:
        own = {"folder": "a folder of images", "npz": "an npz file with images"}
        wanted = own[name] if name in own else OFFICIAL[name].wanted
        raise ConfigError(f"{name} needs the path of {wanted}")
    return path


def _describe_folder(path: Path, resolution: int, channels: int) -> Description:
    found = folder.contents(path)
    return Description(
        "folder",
        len(found.names),
        (channels, resolution, resolution),
        None,
        found.sha256,
        found.told,
        found.n_skipped,
    )


def _describe_npz(
    path: Path, resolution: int | None, channels: int | None, bins: int
) -> Description:
    contents = images_npz.contents(path, bins)
    channels_of_file, *sides = contents.image_shape
    height, width = (resolution, resolution) if resolution else sides
    if height != width and channels not in (None, channels_of_file):
        raise DataError(
            f"expected data.resolution beside data.channels={channels} for {path}, whose images "
            f"are no squares, but {height}x{width}; give one, or leave data.channels out"
        )
    shape = (channels or channels_of_file, height, width)
    return Description("npz", contents.number, shape, contents.factors.labels, contents.sha256)


def open_dataset(
    name: str,
    *,
    path: Path | None = None,
    resolution: int | None = None,
    channels: int | None = None,
    bins: int | None = None,
) -> ImageDataset:
    """Open a data set, whose store is built in the cache at the first time.

    Args:
        name: `dsprites` (64 x 64), `dsprites32` (32 x 32, every second position), one of
            `OFFICIAL`, or the user's own `folder` or `npz`.
        path: the file or folder; not for what is drawn.
        resolution: height and width of the user's own images. None: 64 for a folder, those of the
            images for an npz.
        channels: 1 for grey, 3 for colour. None: 3 for a folder, those of the images for an npz.
        bins: classes of the measurements among the factors of an npz. None: 10.

    Raises:
        ConfigError: there is no such data set, or the path is missing or not wanted.
        DataError: the file or folder is not what it must be, or the cache cannot be written.
    """
    _check_name(name)
    if name in DRAWN and path is not None:
        raise ConfigError(f"{name} is drawn and reads no file, but got the path {path}")
    if name in DRAWN:
        return _open_sprites(describe(name))
    if name in OFFICIAL:
        return open_official(OFFICIAL[name], _given(name, path))
    found = describe(name, path=path, resolution=resolution, channels=channels, bins=bins)
    return _open_own(found, _given(name, path))


def open_official(data: OfficialData, path: Path) -> ImageDataset:
    """Open a published data set, whose files are checked and read when its store is built.

    Raises:
        ConfigError: a package that reads it is not installed.
        DataError: a file is missing, has another checksum or is no such file.
    """
    known_by = "-".join(checksum[:8] for checksum in data.checksums.values())
    store = open_store(
        cache_dir() / f"{data.name}-{known_by}-v{_OFFICIAL_VERSION}.npy",
        number=len(data.lattice),
        image_shape=data.image_shape,
        draw=lambda: data.checked(path),
        white=data.white,
    )
    return ImageDataset(data.name, store, data.lattice)


def _open_own(found: Description, path: Path) -> ImageDataset:
    """Open the user's own images; a note beside the store lists those that could not be decoded.

    It belongs to the content, as the store does; what else of a folder is left out does not.
    """
    channels, height, width = found.image_shape
    size = f"{height}x{channels}" if height == width else f"{height}x{width}x{channels}"
    name = f"{found.name}-{(found.content or '')[:16]}-{size}-v{_OWN_VERSIONS[found.name]}.npy"
    place = cache_dir() / name
    note = place.with_suffix(".skipped.txt")
    store = open_store(
        place,
        number=found.number,
        image_shape=found.image_shape,
        draw=lambda: _read_own(found, path, note),
        white=BYTES,
        may_lack=found.name == "folder",
    )
    damaged = len(note.read_text("utf-8").splitlines()) if note.exists() else 0
    skipped = damaged + found.n_skipped
    return ImageDataset(found.name, store, found.labels, found.content, skipped)


def _read_own(found: Description, path: Path, note: Path) -> Iterator[NDArray[np.uint8]]:
    channels, side, _ = found.image_shape
    if found.name == "npz":
        yield from _read_npz(images_npz.contents(path), found.image_shape)
        return
    skipped: list[Skipped] = []
    contents = folder.contents(path)
    yield from folder.read(contents, resolution=side, channels=channels, skipped=skipped)
    if skipped:  # before the store has its name: with it, the note is there
        write_atomically(note, folder.listed(skipped) + "\n")
        first = folder.listed(skipped, most=10)
        print(f"{len(skipped)} files are left out, listed in {note}\n{first}", file=sys.stderr)


def _read_npz(
    contents: images_npz.NpzContents, image_shape: ImageShape
) -> Iterator[NDArray[np.uint8]]:
    constant = contents.factors.constant
    if constant:
        print(f"Left out of the factors, with one class: {', '.join(constant)}", file=sys.stderr)
    yield from images_npz.read(contents, image_shape)


def _open_sprites(description: Description) -> ImageDataset:
    store = open_store(
        cache_dir() / f"{description.name}-v{sprites.VERSION}.npy",
        number=description.number,
        image_shape=description.image_shape,
        draw=lambda: _draw(_POSITION_STRIDES[description.name]),
    )
    return ImageDataset(description.name, store, description.labels)


def _draw(stride: int) -> Iterator[NDArray[np.uint8]]:
    """Chunks [b, 1, R, R] of every stride-th position, at a resolution R smaller by as much."""
    _, rows = DSPRITES.every((1, 1, 1, stride, stride))
    for start in range(0, len(rows), _CHUNK):
        factors = DSPRITES.factors(rows[start : start + _CHUNK])
        yield sprites.render(factors, 64 // stride)[:, None]
