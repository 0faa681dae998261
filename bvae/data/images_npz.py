"""The user's own npz: `images` and, where they are known, the `factors` that made them.

`images` is [n, H, W] or [n, H, W, C] with C = 1 or 3: floats in 0..1, or uint8, where 1 is white if
no value is above.
`factors` is [n, K], with texts `factor_names` [K]. Where each combination of values stands in
exactly one row, in any order, it is a full lattice, of at least two columns that vary. Otherwise it
is a table of classes: -1 in integers and NaN in fractions stand for "not known".

Measurements become classes: a column of floats with more than `bins` distinct values, fractions or
nearly all different, is cut into `bins` classes of as many images each. Equal frequencies, not
equal widths: one outlier would put all other images into one class.

Shapes: n images, b images of a chunk, K factors, [C, R, R] one image as it is stored.
"""

import functools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bvae.data import hashes, npz, pixels
from bvae.data.labels import FactorTable
from bvae.data.lattice import FactorLattice
from bvae.exceptions import DataError
from bvae.image_shape import CHANNELS, ImageShape

N_BINS = 10
"""Classes of a measurement, unless told otherwise: enough for its order to be seen, and few enough
for 100 images of each class in a set of 1,000."""

_WITHOUT = "without the array `factors` the images are studied without labels"


class Factors(NamedTuple):
    """What is known of the images: a lattice or a table of their factors, None if there are none.

    `rows` are the images in the order of the lattice, None for the order of the file; `constant`,
    the names of columns of one value beside a lattice.
    """

    labels: FactorLattice | FactorTable | None = None
    rows: NDArray[np.int64] | None = None
    constant: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NpzContents:
    """What a file holds: number and shape of its images, their labels, the content."""

    path: Path
    number: int
    image_shape: tuple[int, int, int]
    factors: Factors
    sha256: str


@functools.cache
def contents(path: Path, bins: int = N_BINS) -> NpzContents:
    """Return what a file holds; a process sees it as it was when it was first read.

    Args:
        path: of the file.
        bins: classes of a factor that is a measurement.

    Raises:
        DataError: the file is not as the module describes it; names everything that is wrong.
    """
    try:
        return _contents(path, bins)
    except npz.ERRORS as error:
        raise DataError(
            f"expected {path} to be an npz with images uint8 [n, H, W] or [n, H, W, C], "
            f"but could not read that: {error}"
        ) from error


def _contents(path: Path, bins: int) -> NpzContents:
    held = npz.names(path)
    if "images" not in held:
        arrays = ", ".join(held) or "no array"
        raise DataError(f"expected an array `images` in {path}, but got {arrays}")
    dtype, shape = npz.header(path, "images")
    mistake = _images_mistake(dtype, shape)
    if mistake:
        raise DataError(f"{path}: images: {mistake}")
    if dtype.kind == "f":
        for _ in _chunks(path):  # which checks them
            pass
    number, height, width, channels = (*shape, 1)[:4]
    factors = _factors(path, held, number, bins) if "factors" in held else Factors()
    return NpzContents(path, number, (channels, height, width), factors, hashes.of_file(path))


def _images_mistake(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    if dtype != np.uint8 and dtype.kind != "f":
        return f"expected uint8 values 0 to 255, or floats in 0..1, but got {dtype}; convert them"
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in CHANNELS):
        return f"expected [n, H, W] or [n, H, W, C] with C = 1 or 3, but got {list(shape)}"
    if not shape[0]:
        return "expected at least one, but got none"
    if min(shape[1:3]) < pixels.MIN_SIDE_PX:
        return f"expected sides of at least {pixels.MIN_SIDE_PX}, but got {list(shape[1:3])}"
    return ""


def _factors(path: Path, held: list[str], number: int, bins: int) -> Factors:
    values = _whole(path, "factors")
    is_table = values.ndim == 2 and len(values) == number and values.size > 0
    if not is_table or values.dtype.kind not in "iufb":
        raise DataError(
            f"{path}: factors: expected numbers [{number}, K], a row for each image, "
            f"but got {values.dtype} {list(values.shape)}"
        )
    if np.isinf(values).any():
        raise DataError(f"{path}: factors: expected finite numbers, or NaN, but got infinity")
    names = _names(path, held, values.shape[1])
    varies = (values != values[0]).any(axis=0)
    if found := _lattice([*np.array(names)[varies].tolist()], values[:, varies]):
        constant = tuple(np.array(names)[~varies].tolist())
        return Factors(*found, constant)
    table = FactorTable(names, np.stack([_classes(one, bins) for one in values.T], axis=1))
    if table.is_unscored:
        reasons = "; ".join(f"{name} has {why}" for name, why in table.left_out.items())
        raise DataError(
            f"{path}: factors: expected a column with two classes of two images or more, "
            f"but {reasons} (-1 and NaN are no classes); {_WITHOUT}"
        )
    return Factors(table)


def _lattice(
    names: list[str], values: NDArray[Any]
) -> tuple[FactorLattice, NDArray[np.int64] | None] | None:
    """The lattice of columns that vary, and the rows of the images in its order, if it is one."""
    number = len(values)
    columns = [np.unique(column, return_inverse=True) for column in values.T]
    sizes = tuple(len(found) for found, _ in columns)
    if len(sizes) < 2 or math.prod(sizes) != number or (values != values).any():
        return None
    lattice = FactorLattice(tuple(names), sizes)
    index = lattice.index(np.stack([classes for _, classes in columns], axis=1))
    rows = np.argsort(index)
    if (index[rows] != np.arange(number)).any():
        return None
    return lattice, None if (rows == np.arange(number)).all() else rows


def _classes(values: NDArray[Any], bins: int) -> NDArray[np.float64]:
    """Classes of a column of a table, NaN where none is known; measurements are binned.

    By the middle of its ranks each distinct value is in one class, whatever else occurs how often.
    """
    known = values != -1 if values.dtype.kind == "i" else values == values
    found, inverse, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    many = 2 * len(found) > known.sum() or (found % 1 != 0).any()
    if values.dtype.kind == "f" and len(found) > bins and many:
        middle = (np.cumsum(counts) - counts / 2) / counts.sum()
        inverse = np.floor(bins * middle)[inverse]
    classes = np.full(len(values), np.nan)
    classes[known] = inverse
    return classes


def _names(path: Path, held: list[str], number: int) -> tuple[str, ...]:
    if "factor_names" not in held:
        return tuple(f"factor{k}" for k in range(number))
    found = _whole(path, "factor_names")
    if found.dtype.kind != "U" or found.shape != (number,):
        raise DataError(
            f"{path}: factor_names: expected {number} distinct texts, "
            f"but got {found.dtype} {list(found.shape)}"
        )
    names = tuple(str(name) for name in found)
    if len(set(names)) < number or not all(name.strip() for name in names):
        raise DataError(
            f"{path}: factor_names: expected {number} distinct texts, none of them empty, "
            f"but got {list(names)}"
        )
    return names


def _whole(path: Path, name: str) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as file:
        array: NDArray[Any] = file[name]
    return array


def read(contents: NpzContents, image_shape: ImageShape) -> Iterator[NDArray[np.uint8]]:
    """Yield the images in chunks [b, C, H, W], in the order of the lattice if there is one.

    Args:
        contents: of the file.
        image_shape: (C, H, W): a square, or that of the file.

    Raises:
        DataError: the file is damaged.
    """
    try:
        white = 255 if _is_binary(contents) else 1
        if white == 255:
            print("images: no value is above 1, so 1 is taken for white", file=sys.stderr)
        for chunk in _in_order(contents):
            yield _shaped(chunk * np.uint8(white), image_shape)
    except npz.ERRORS as error:
        raise DataError(f"{contents.path}: images: damaged ({error})") from error


def _in_order(contents: NpzContents) -> Iterator[NDArray[np.uint8]]:
    """The images in chunks; where the file has another order, all are held at once, and once."""
    rows, chunks = contents.factors.rows, _chunks(contents.path)
    if rows is None:
        yield from chunks
        return
    whole = np.empty(npz.header(contents.path, "images").shape, np.uint8)
    for start, chunk in zip(range(0, len(rows), npz.CHUNK), chunks, strict=True):
        whole[start : start + len(chunk)] = chunk
    for start in range(0, len(rows), npz.CHUNK):
        yield whole[rows[start : start + npz.CHUNK]]


def _chunks(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The images in chunks of bytes, in the order of the file.

    Raises:
        DataError: floats are not in 0..1.
    """
    for chunk in npz.read(path, "images"):
        if chunk.dtype == np.uint8:
            yield chunk
            continue
        if not (chunk.min() >= 0 and chunk.max() <= 1):
            raise DataError(
                f"{path}: images: expected floats in 0..1, or uint8, but got "
                f"{chunk.min():g} to {chunk.max():g}"
            )
        yield np.rint(255 * chunk).astype(np.uint8)


def _is_binary(contents: NpzContents) -> bool:
    is_bytes = npz.header(contents.path, "images").dtype == np.uint8
    return is_bytes and all(chunk.max() <= 1 for chunk in _chunks(contents.path))


def _shaped(chunk: NDArray[np.uint8], image_shape: ImageShape) -> NDArray[np.uint8]:
    channels, height, width = image_shape
    if chunk.ndim == 3:
        chunk = chunk[..., None]
    if chunk.shape[1:] == (height, width, channels):
        return np.ascontiguousarray(chunk.transpose(0, 3, 1, 2))
    return np.stack([pixels.square(image, resolution=height, channels=channels) for image in chunk])
