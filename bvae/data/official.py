"""Data sets as their authors published them: files the user downloads, known by their checksum.

Shapes: b images of a chunk, [C, H, W] one image.
"""

import contextlib
import functools
import hashlib
import struct
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bvae.data import npz
from bvae.data.lattice import FactorLattice
from bvae.data.store import BYTES
from bvae.exceptions import DataError
from bvae.image_shape import ImageShape

_UNREADABLE = (*npz.ERRORS, AttributeError, struct.error, tarfile.TarError)


@dataclass(frozen=True)
class OfficialData:
    """What a published data set is, and how it is read.

    Attributes:
        name: as in `data=name`.
        wanted: the file or folder that the user gives.
        url: where it is published.
        checksums: of each file, by its name in the folder; "" is the path itself.
        lattice: the factors, in the order of the images as they are read.
        read: gives all images in chunks [b, C, H, W], of a path and this record.
        image_shape: (C, H, W).
        white: the value of white in the images.
        algorithm: of the checksums, as in `hashlib`.
    """

    name: str
    wanted: str
    url: str
    checksums: Mapping[str, str]
    lattice: FactorLattice
    read: Callable[[Path, "OfficialData"], Iterator[NDArray[np.uint8]]]
    image_shape: ImageShape = (3, 64, 64)
    white: int = BYTES
    algorithm: str = "md5"

    @property
    def is_folder(self) -> bool:
        """Whether the user gives a folder of several files."""
        return "" not in self.checksums

    def checked(self, path: Path) -> Iterator[NDArray[np.uint8]]:
        """Return the images in chunks, after comparing the checksums.

        Raises:
            DataError: a file is missing, or is not the published one.
        """
        for name, expected in self.checksums.items():
            check(path / name, expected, algorithm=self.algorithm, url=self.url)
        return self.read(path, self)


@functools.cache
def checksum(path: Path, *, algorithm: str, url: str) -> str:
    """Return the checksum of a file in hexadecimal; a process computes it once.

    Args:
        path: the file.
        algorithm: as in `hashlib`.
        url: where the file is published.

    Raises:
        DataError: the file cannot be read.
    """
    new = functools.partial(hashlib.new, algorithm, usedforsecurity=False)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, new).hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; download it from {url}") from error


def check(path: Path, expected: str, *, algorithm: str, url: str) -> None:
    """Refuse a file with another checksum.

    Raises:
        DataError: the file cannot be read, or its checksum is not the expected one.
    """
    got = checksum(path, algorithm=algorithm, url=url)
    if got != expected:
        raise DataError(
            f"expected {path} with {algorithm.upper()} {expected}, but got {got}; "
            f"download {url} again"
        )


@contextlib.contextmanager
def reading(path: Path, *, expected: str, url: str) -> Iterator[None]:
    """Turn what a damaged or another file raises into an error that says what was expected.

    Raises:
        DataError: the file could not be read.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise DataError(
            f"expected {path} to {expected}, but could not read that: {error}; download {url} again"
        ) from error


def read_npz(
    path: Path, name: str, dtype: np.dtype[Any], row_shape: tuple[int, ...], *, url: str
) -> Iterator[NDArray[Any]]:
    """Yield an array of an npz in chunks of rows.

    Raises:
        DataError: the file is not an npz with such an array.
    """
    expected = f"be an npz with {name} {dtype} {['n', *row_shape]}"
    with reading(path, expected=expected, url=url):
        found = npz.header(path, name)
        if found.dtype != dtype or found.shape[1:] != row_shape:
            raise ValueError(f"found {found.dtype} {list(found.shape)}")
        yield from npz.read(path, name)
