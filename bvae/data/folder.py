"""Images in a folder of the user's: found, told from what is none, and read one by one.

A folder is known by its content: the SHA-256 of the names and bytes of its images. A changed folder
is another data set, the same one elsewhere is the same.
"""

import functools
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bvae.data import hashes, listing, pixels
from bvae.data.listing import SUFFIXES, Skipped
from bvae.exceptions import DataError
from bvae.progress import counted

_LISTED = 10


@dataclass(frozen=True)
class FolderContents:
    """What a folder holds.

    Attributes:
        root: the folder.
        names: of the image files, in order.
        n_skipped: how many other files were looked at.
        told: one line on links and what is left out, empty if there is nothing to say.
        sha256: of names and bytes.
    """

    root: Path
    names: tuple[str, ...]
    n_skipped: int
    told: str
    sha256: str


def contents(root: Path) -> FolderContents:
    """Return what a folder holds, below it too; a process sees it as it was when it was first read.

    Raises:
        DataError: there is no such folder, it cannot be listed, holds no image file, or one that
            cannot be read.
    """
    return _contents(root.absolute())


def forget() -> None:
    """Look at every folder anew when it is next asked for."""
    _contents.cache_clear()


@functools.cache
def _contents(root: Path) -> FolderContents:
    if not root.is_dir():
        raise DataError(f"expected a folder of images, but {root} is none")
    with counted(f"Looking at {root}") as tick:
        found = listing.look(root, tick)
    if not found.pictures:
        raise DataError(
            f"expected images in {root} ({' '.join(SUFFIXES)}), but got none"
            + (f"; {found.told}" if found.told else "")
        )
    names, digest = found.names, hashlib.sha256()
    known: Mapping[str, str] = hashes.of_files(root, {name: found.pictures[name] for name in names})
    for name in names:
        digest.update(f"{name}\0{known[name]}\0".encode(errors="surrogateescape"))
    return FolderContents(root, tuple(names), found.n_skipped, found.told, digest.hexdigest())


def read(
    contents: FolderContents, *, resolution: int, channels: int, skipped: list[Skipped]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images [1, C, R, R] in order; those that cannot be read are added to `skipped`.

    Raises:
        DataError: none can be read, or the disk failed at one.
    """
    n_read = 0
    paths = [contents.root / name for name in contents.names]
    bits = functools.cache(lambda: _bits(paths))
    for name, path in zip(contents.names, paths, strict=True):
        try:
            image = pixels.read(path, resolution=resolution, channels=channels, bits=bits)
        except DataError as error:
            skipped.append(Skipped(name, str(error)))
            continue
        except OSError as error:
            raise hashes.unread(path, error) from error
        n_read += 1
        yield image[None]
    if not n_read:
        raise DataError(f"no image in {contents.root} can be read\n{listed(skipped, most=_LISTED)}")


def _bits(paths: list[Path]) -> int:
    """How many bits files of 16 use; said where that is not all of them."""
    bits = pixels.bits_of(paths)
    if bits < pixels.WIDTHS[-1]:
        print(
            f"images of 16 bits a value: none is above {2**bits - 1}, which is taken for white",
            file=sys.stderr,
        )
    return bits


def listed(skipped: list[Skipped], *, most: int | None = None) -> str:
    """Return a line for each file skipped, the first ones if there are more than `most`."""
    lines = [f"  {listing.printable(name)}: {reason}" for name, reason in skipped[:most]]
    more = len(skipped) - len(lines)
    return "\n".join([*lines, f"  and {more} more"] if more else lines)
