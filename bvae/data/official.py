"""Data sets as their authors published them: files the user downloads, known by their checksum."""

import functools
import hashlib
from pathlib import Path

from bvae.exceptions import DataError


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
