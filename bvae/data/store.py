"""Images of 0 and 1 on disk, one bit a pixel, mapped into memory by every process that reads them.

A store is a NumPy file of uint8 [n, ceil(C H W / 8)]; a row is an image through `numpy.packbits`.
It is written once under another name and renamed when complete, so that a file under its own name
is whole.

Shapes: n images in the store, b images of a part of it, C channels, H rows, W columns.
"""

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from filelock import BaseFileLock, FileLock, Timeout
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from bvae.exceptions import DataError
from bvae.files import remove_leftovers, replace_atomically

Bits = NDArray[np.uint8]
Chunks = Iterable[Bits]
ImageShape = tuple[int, int, int]


@dataclass(frozen=True)
class ImageStore:
    """Binary images: packed uint8 [n, ceil(C H W / 8)], and their image_shape (C, H, W)."""

    packed: Bits
    image_shape: ImageShape

    def __len__(self) -> int:
        return len(self.packed)

    def images(self, indices: NDArray[np.int64]) -> Bits:
        """Images [b, C, H, W] of 0 and 1 at the rows indices [b], in that order."""
        pixels = np.unpackbits(self.packed[indices], axis=1, count=math.prod(self.image_shape))
        return pixels.reshape(-1, *self.image_shape)


def cache_dir() -> Path:
    """Return the folder of the stores: BVAE_CACHE, else `bvae` in the user's cache folder."""
    given = os.environ.get("BVAE_CACHE")
    return Path(given).expanduser() if given else platformdirs.user_cache_path("bvae")


def open_store(
    path: Path, *, number: int, image_shape: ImageShape, draw: Callable[[], Chunks]
) -> ImageStore:
    """Map the store at path, after building it where it is missing or damaged.

    Of several processes that need to build, one does and the others wait for it.

    Args:
        path: the file; its name must change whenever its content would.
        number: n.
        image_shape: (C, H, W).
        draw: gives the n images in chunks [b, C, H, W]; called only to build.

    Raises:
        DataError: the file cannot be read or written, or draw gave another number of images.
    """
    shape = (number, math.ceil(math.prod(image_shape) / 8))
    try:
        if not _is_whole(path, shape):
            _build(path, shape, draw)
        packed = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise DataError(
            f"cannot keep images in {path.parent}: {error.strerror or error}; expected a writable "
            f"folder with {_megabytes(shape)} free: set BVAE_CACHE to one"
        ) from error
    return ImageStore(np.asarray(packed), image_shape)  # indexing the class memmap is slower


def _is_whole(path: Path, shape: tuple[int, int]) -> bool:
    try:
        packed = np.lib.format.open_memmap(path, mode="r")
    except (FileNotFoundError, ValueError):
        return False
    size = packed.offset + packed.nbytes
    return packed.shape == shape and packed.dtype == np.uint8 and path.stat().st_size == size


def _build(path: Path, shape: tuple[int, int], draw: Callable[[], Chunks]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent / "build.lock"):
        if _is_whole(path, shape):  # another process has built it meanwhile
            return
        remove_leftovers(path.parent)  # of killed builds: only the holder of the lock writes
        chunks = _shown(draw(), path, shape)
        replace_atomically(path, lambda unfinished: _write(unfinished, shape, chunks))


def _locked(path: Path) -> BaseFileLock:
    """The lock, held: one build at a time in a cache. The system frees it when its holder dies."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        _say(f"Waiting for another process that builds in {path.parent}")
        lock.acquire()
    return lock


def _write(path: Path, shape: tuple[int, int], chunks: Chunks) -> None:
    number = 0
    # written, not mapped: a full disk is an error here, but a bus error in mapped memory
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.packbits(chunk.reshape(len(chunk), -1), axis=1).data)
            number += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if number != shape[0]:
        raise DataError(f"expected {shape[0]} images, but got {number}")


def _shown(chunks: Chunks, path: Path, shape: tuple[int, int]) -> Iterator[Bits]:
    """The same chunks, with a line on stderr, and a progress bar where that is a terminal."""
    _say(f"Building {path} ({shape[0]:,} images, {_megabytes(shape)})")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(path.stem, total=shape[0])
        for chunk in chunks:
            yield chunk
            progress.advance(task, len(chunk))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _megabytes(shape: tuple[int, int]) -> str:
    return f"{math.ceil(math.prod(shape) / 1e6)} MB"
