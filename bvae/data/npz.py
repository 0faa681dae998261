"""Arrays of an npz file: described by their headers, read in chunks of rows, never unpickled.

Shapes: n rows, b rows of a chunk.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CHUNK = 4096  # rows read at once

ERRORS = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading may raise where the file is not what it should be."""


class ArrayHeader(NamedTuple):
    """Type and shape of an array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def names(path: Path) -> list[str]:
    """Return the names of the arrays; raises one of `ERRORS`."""
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def header(path: Path, name: str) -> ArrayHeader:
    """Return what an array is, without reading its values; raises one of `ERRORS`."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        return _header(file)


def read(path: Path, name: str) -> Iterator[NDArray[Any]]:
    """Yield an array in chunks [b, ...] of its rows; raises one of `ERRORS`."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        dtype, (number, *row_shape) = _header(file)
        for start in range(0, number, CHUNK):
            rows = min(CHUNK, number - start)
            content = file.read(rows * dtype.itemsize * math.prod(row_shape))
            yield np.frombuffer(content, dtype).reshape(rows, *row_shape)


def _header(file: IO[bytes]) -> ArrayHeader:
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"a header of version {version}")
    shape, column_major, dtype = np.lib.format.read_array_header_1_0(file)
    if column_major:
        raise ValueError("an array stored by columns; save np.ascontiguousarray of it")
    if dtype.hasobject:
        raise ValueError("Python objects, which are never unpickled")
    return ArrayHeader(dtype, tuple(int(size) for size in shape))
