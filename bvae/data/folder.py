"""Images in a folder of the user's: found, told from what is none, and read one by one.

A folder is known by its content: the SHA-256 of the names and bytes of its images. A changed folder
is another data set, the same one elsewhere is the same.
"""

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bvae.data import pixels
from bvae.exceptions import DataError

SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)
"""Endings of the files that are taken for images; all others are left alone."""


class Skipped(NamedTuple):
    """A file, by its name in the folder, and why it is not used."""

    name: str
    reason: str


@dataclass(frozen=True)
class FolderContents:
    """What a folder holds: names of image files in order, files refused unread, the content."""

    root: Path
    names: tuple[str, ...]
    refused: tuple[Skipped, ...]
    sha256: str


@functools.cache
def contents(root: Path) -> FolderContents:
    """Return what a folder holds, below it too; a process sees it as it was when it was first read.

    Raises:
        DataError: there is no such folder, it cannot be listed, holds no image file, or one that
            cannot be read.
    """
    if not root.is_dir():
        raise DataError(f"expected a folder of images, but {root} is none")
    names, refused = [], []
    real = root.resolve()  # once: this takes as long as all else that is asked of a file
    for name in _image_names(root):
        reason = _refusal(root / name, real)
        names += [] if reason else [name]
        refused += [Skipped(name, reason)] if reason else []
    if not names:
        raise DataError(
            f"expected images in {root} ({' '.join(SUFFIXES)}), but got none"
            + "".join("\n" + listed([one]) for one in refused)
        )
    return FolderContents(root, tuple(names), tuple(refused), _digest(root, names))


def _image_names(root: Path) -> list[str]:
    """Paths below the root, as text, in the order of their parts."""

    def fail(error: OSError) -> None:
        raise DataError(f"cannot list {error.filename}: {error.strerror}") from error

    found = []
    for folder, _, names in os.walk(root, onerror=fail):  # links to folders are not followed
        images = [Path(folder, name) for name in names if name.lower().endswith(SUFFIXES)]
        found += [path.relative_to(root) for path in images if not path.name.startswith(".")]
    return [path.as_posix() for path in sorted(found)]


def _refusal(path: Path, root: Path) -> str:
    """Say why a file must not or cannot be opened; empty if it may."""
    target = path.resolve()
    if not target.is_relative_to(root):
        return "a link that leaves the folder"
    if not target.is_file():
        return "no file"
    return "" if os.access(target, os.R_OK) else "may not be read"


def _digest(root: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        try:
            with (root / name).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unread(root / name, error) from error
        digest.update(f"{name}\0{content}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _unread(path: Path, error: OSError) -> DataError:
    """A failure of the disk, which must not leave an image out for good: the store is kept."""
    return DataError(
        f"cannot read {path}: {error.strerror}; nothing is known of the image: try again, "
        "or take it out of the folder"
    )


def read(
    contents: FolderContents, *, resolution: int, channels: int, skipped: list[Skipped]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images [1, C, R, R] in order; those that cannot be read are added to `skipped`.

    Raises:
        DataError: none can be read, or the disk failed at one.
    """
    skipped += contents.refused
    n_read = 0
    for name in contents.names:
        try:
            image = pixels.read(contents.root / name, resolution=resolution, channels=channels)
        except DataError as error:
            skipped.append(Skipped(name, str(error)))
            continue
        except OSError as error:
            raise _unread(contents.root / name, error) from error
        n_read += 1
        yield image[None]
    if not n_read:
        raise DataError(f"no image in {contents.root} can be read\n{listed(skipped)}")


def listed(skipped: list[Skipped], *, most: int | None = None) -> str:
    """Return a line for each file skipped, the first ones if there are more than `most`."""
    lines = [f"  {_printable(name)}: {reason}" for name, reason in skipped[:most]]
    more = len(skipped) - len(lines)
    return "\n".join([*lines, f"  and {more} more"] if more else lines)


def _printable(name: str) -> str:
    """A file name on one line, whatever its bytes are."""
    return name.encode(errors="backslashreplace").decode().replace("\n", "\\n")
