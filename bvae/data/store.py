"""Images on disk, mapped into memory by every process that reads them.

A store is a NumPy file of uint8, an image a row: [n, ceil(C H W / 8)] through `numpy.packbits`
where pixels are 0 and 1, [n, C H W] where they are bytes. It is written once under another name and
renamed when complete, so that a file under its own name is whole.

Shapes: n images in the store, b images of a part of it, C channels, H rows, W columns.
"""

import contextlib
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import platformdirs
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from bvae.exceptions import DataError
from bvae.files import remove_leftovers, replace_atomically
from bvae.image_shape import ImageShape

Bits = NDArray[np.uint8]
Chunks = Iterable[Bits]

BINARY, BYTES = 1, 255
"""The value of white in the images of a store: in one of bits, in one of bytes."""


@dataclass(frozen=True)
class ImageStore:
    """Rows of a store, packed uint8 [n, bytes of an image], their image_shape (C, H, W), white."""

    packed: Bits
    image_shape: ImageShape
    white: int = BINARY

    def __len__(self) -> int:
        return len(self.packed)

    def images(self, indices: NDArray[np.int64]) -> Bits:
        """Images [b, C, H, W] of 0 to `white` at the rows indices [b], in that order."""
        pixels = self.packed[indices]
        if self.white == BINARY:
            pixels = np.unpackbits(pixels, axis=1, count=math.prod(self.image_shape))
        return pixels.reshape(-1, *self.image_shape)


def cache_dir() -> Path:
    """Return the folder of the stores: BVAE_CACHE, else `bvae` in the user's cache folder.

    Raises:
        DataError: BVAE_CACHE is in the home of an account that there is not.
    """
    if given := os.environ.get("BVAE_CACHE"):
        try:
            return Path(given).expanduser()
        except RuntimeError as error:
            raise DataError(
                f"BVAE_CACHE: no folder can be {given}: there is no such account; give a path "
                "without ~"
            ) from error
    try:
        return platformdirs.user_cache_path("bvae")
    except RuntimeError:  # an account without a home, as in a container
        return Path(tempfile.gettempdir(), f"bvae-{os.getuid()}")


def open_store(
    path: Path,
    *,
    number: int,
    image_shape: ImageShape,
    draw: Callable[[], Chunks],
    white: int = BINARY,
    may_lack: bool = False,
) -> ImageStore:
    """Map the store at path, after building it where it is missing or damaged.

    Of several processes that need to build, one does and the others wait for it.

    Args:
        path: the file; its name must change whenever its content would.
        number: n.
        image_shape: (C, H, W).
        draw: gives the n images in chunks [b, C, H, W]; called only to build.
        white: BINARY, to keep bits, or BYTES.
        may_lack: whether draw may give fewer images than n, as where files cannot be read.

    Raises:
        DataError: the file cannot be read or written, or draw gave another number of images.
    """
    size = math.prod(image_shape)
    plan = Layout(number, size if white == BYTES else math.ceil(size / 8), white, may_lack)
    try:
        if not _is_whole(path, plan):
            _build(path, plan, draw)
        packed = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise DataError(
            f"cannot keep images in {path.parent}: {error.strerror or error}; expected a writable "
            f"folder with {plan.megabytes} free: set BVAE_CACHE to one"
        ) from error
    # indexing the class memmap is slower
    return ImageStore(np.asarray(packed), image_shape, white)


class Layout(NamedTuple):
    """What a store is to be: n rows, or up to n, of so many bytes; what white is in it."""

    number: int
    row_bytes: int
    white: int
    may_lack: bool

    @property
    def megabytes(self) -> str:
        """What it takes on the disk."""
        return f"{math.ceil(self.number * self.row_bytes / 1e6)} MB"

    def admits(self, number: int) -> bool:
        """Whether a store of so many rows is one of these."""
        return number == self.number or (self.may_lack and 0 < number < self.number)


def _is_whole(path: Path, plan: Layout) -> bool:
    try:
        packed = np.lib.format.open_memmap(path, mode="r")
    except (FileNotFoundError, ValueError):
        return False
    if packed.ndim != 2 or packed.shape[1] != plan.row_bytes or not plan.admits(len(packed)):
        return False
    return packed.dtype == np.uint8 and path.stat().st_size == packed.offset + packed.nbytes


def _build(path: Path, plan: Layout, draw: Callable[[], Chunks]) -> None:
    with building(path.parent):
        if _is_whole(path, plan):  # another process has built it meanwhile
            return
        remove_leftovers(path.parent)  # of killed builds: only the holder of the lock builds
        chunks = _shown(draw(), path, plan)
        replace_atomically(path, lambda unfinished: _write(unfinished, plan, chunks))


@contextlib.contextmanager
def building(cache: Path) -> Iterator[None]:
    """Hold the lock of a cache: one build at a time. The system frees it when its holder dies."""
    cache.mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache / "build.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        _say(f"Waiting for another process that builds in {cache}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, plan: Layout, chunks: Chunks) -> None:
    number = 0
    # written, not mapped: a full disk is an error here, but a bus error in mapped memory
    with path.open("wb") as file:
        _write_header(file, plan.number, plan)
        for chunk in chunks:
            rows = chunk.reshape(len(chunk), -1)
            file.write((np.packbits(rows, axis=1) if plan.white == BINARY else rows).data)
            number += len(chunk)
        if plan.admits(number):
            file.seek(0)
            _write_header(file, number, plan)  # as long as before: NumPy leaves room for 21 digits
    if not plan.admits(number):
        raise DataError(f"expected {plan.number} images, but got {number}")


def _write_header(file: BinaryIO, number: int, plan: Layout) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (number, plan.row_bytes)}
    np.lib.format.write_array_header_1_0(file, header)


def _shown(chunks: Chunks, path: Path, plan: Layout) -> Iterator[Bits]:
    """The same chunks, with a line on stderr, and a progress bar where that is a terminal."""
    _say(f"Building {path} ({plan.number:,} images, {plan.megabytes})")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(path.stem, total=plan.number)
        for chunk in chunks:
            yield chunk
            progress.advance(task, len(chunk))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
