"""The user's own npz: `images` and, where they are known, the `factors` that made them.

`images` is uint8 [n, H, W] or [n, H, W, C] with C = 1 or 3; if no value is above 1, 1 is white.
`factors` is integer [n, K] with each combination in exactly one row, in any order;
`factor_names` has K texts.

Shapes: n images, b images of a chunk, K factors, [C, R, R] one image as it is stored.
"""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bvae.data import npz, pixels
from bvae.data.lattice import FactorLattice
from bvae.exceptions import DataError

KNOWN = ("images", "factors", "factor_names")


@dataclass(frozen=True, eq=False)
class Contents:
    """What a file holds: shape of its images, the lattice of its factors, if any, the content.

    `rows` are the images in the order of the lattice, None for the order of the file.
    """

    path: Path
    number: int
    image_shape: tuple[int, int, int]
    lattice: FactorLattice | None
    rows: NDArray[np.int64] | None
    sha256: str


@functools.cache
def look(path: Path) -> Contents:
    """Return what a file holds; a process sees it as it was at the first look.

    Raises:
        DataError: the file is not as the module describes it; names everything that is wrong.
    """
    try:
        return _look(path)
    except npz.ERRORS as error:
        raise DataError(
            f"expected {path} to be an npz with images uint8 [n, H, W] or [n, H, W, C], "
            f"but could not read that: {error}"
        ) from error


def _look(path: Path) -> Contents:
    held = npz.names(path)
    if "images" not in held:
        arrays = ", ".join(held) or "no array"
        raise DataError(f"expected an array `images` in {path}, but got {arrays}")
    dtype, shape = npz.header(path, "images")
    mistake = _images_mistake(dtype, shape)
    if mistake:
        raise DataError(f"{path}: images: {mistake}")
    number, height, width, channels = (*shape, 1)[:4]
    lattice, rows = _factors(path, held, number)
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return Contents(path, number, (channels, height, width), lattice, rows, content)


def _images_mistake(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    if dtype != np.uint8:
        return f"expected uint8 values 0 to 255, but got {dtype}; convert them"
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in pixels.CHANNELS):
        return f"expected [n, H, W] or [n, H, W, C] with C = 1 or 3, but got {list(shape)}"
    if not shape[0]:
        return "expected at least one, but got none"
    if min(shape[1:3]) < pixels.MIN_SIDE_PX:
        return f"expected sides of at least {pixels.MIN_SIDE_PX}, but got {list(shape[1:3])}"
    return ""


def _factors(
    path: Path, held: list[str], number: int
) -> tuple[FactorLattice | None, NDArray[np.int64] | None]:
    """The lattice of the factors, and the rows of the images in its order."""
    if "factors" not in held:
        return None, None
    values = _whole(path, "factors")
    is_table = values.ndim == 2 and len(values) == number and values.size > 0
    if not is_table or values.dtype.kind not in "iu":
        raise DataError(
            f"{path}: factors: expected integers [{number}, K], a row for each image, "
            f"but got {values.dtype} {list(values.shape)}"
        )
    columns = [np.unique(column, return_inverse=True) for column in values.T]
    names = _names(path, held, len(columns))
    lattice = FactorLattice(names, tuple(len(found) for found, _ in columns))
    index = lattice.index(np.stack([classes for _, classes in columns], axis=1))
    if len(lattice) != number or len(np.unique(index)) != number:
        raise DataError(
            f"{path}: factors: expected each of the {lattice.name} = {len(lattice)} combinations "
            f"in exactly one row, but got {number} rows with {len(np.unique(index))} of them; "
            "without the array `factors` the images are studied without labels"
        )
    in_order = bool((index == np.arange(number)).all())
    return lattice, None if in_order else np.argsort(index)


def _names(path: Path, held: list[str], number: int) -> tuple[str, ...]:
    if "factor_names" not in held:
        return tuple(f"factor{k}" for k in range(number))
    found = _whole(path, "factor_names")
    if found.dtype.kind != "U" or found.shape != (number,) or len(set(found)) < number:
        raise DataError(
            f"{path}: factor_names: expected {number} distinct texts, "
            f"but got {found.dtype} {list(found.shape)}"
        )
    return tuple(str(name) for name in found)


def _whole(path: Path, name: str) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as file:
        array: NDArray[Any] = file[name]
    return array


def read(contents: Contents, *, resolution: int, channels: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images in chunks [b, C, R, R], in the order of the lattice if there is one.

    Raises:
        DataError: the file is damaged.
    """
    try:
        white = 255 if _is_binary(contents) else 1
        chunks = npz.read(contents.path, "images")
        if contents.rows is not None:  # any order: all of them are held at once
            chunks = iter([np.concatenate(list(chunks))[contents.rows]])
        for chunk in chunks:
            for start in range(0, len(chunk), npz.CHUNK):
                part = chunk[start : start + npz.CHUNK] * np.uint8(white)
                yield _squared(part, resolution=resolution, channels=channels)
    except npz.ERRORS as error:
        raise DataError(f"{contents.path}: images: damaged ({error})") from error


def _is_binary(contents: Contents) -> bool:
    return all(chunk.max() <= 1 for chunk in npz.read(contents.path, "images"))


def _squared(chunk: NDArray[np.uint8], *, resolution: int, channels: int) -> NDArray[np.uint8]:
    if chunk.ndim == 3:
        chunk = chunk[..., None]
    if chunk.shape[1:] == (resolution, resolution, channels):
        return np.ascontiguousarray(chunk.transpose(0, 3, 1, 2))
    return np.stack(
        [pixels.square(image, resolution=resolution, channels=channels) for image in chunk]
    )
