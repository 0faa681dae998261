"""Hashes of files, kept in the cache, so that no file is read again that has not changed.

An entry is trusted as git trusts its index: the file has the size, the times and the inode that it
had, and these times are older than the look at which it was read. What was changed as it was being
read, or in the same tick of a clock, is read again.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from bvae.data.store import cache_dir
from bvae.exceptions import DataError
from bvae.files import write_atomically
from bvae.progress import counted

_TICK_NS = 2_000_000_000
"""The coarsest clock of a file system (FAT), which may hold the images."""

Entry = tuple[int, int, int, int, str]
"""Size, time of the content and of the inode in ns, inode, SHA-256."""


def of_files(root: Path, files: Mapping[str, os.stat_result]) -> dict[str, str]:
    """Return the SHA-256 of each file.

    Args:
        root: the folder.
        files: what the system says of each, by its name in the folder.

    Raises:
        DataError: one cannot be read.
    """
    index, begun = _index(root), time.time_ns()
    known = _read(index)
    found = {
        name: entry
        for name, state in files.items()
        if (entry := known.get(name)) and tuple(entry[:4]) == _state(state)
    }
    missing = [name for name in files if name not in found]
    with counted(f"Reading {len(missing):,} images in {root}") as tick:
        for name in missing:
            found[name] = (*_state(files[name]), _hashed(root / name))
            tick()
    if missing:
        with contextlib.suppress(OSError):  # next time they are read again
            write_atomically(index, json.dumps({"begun_ns": begun, "files": known | found}))
    return {name: entry[4] for name, entry in found.items()}


def of_file(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: there is none.
        DataError: it cannot be read.
    """
    return of_files(path.parent, {path.name: path.stat()})[path.name]


def _index(root: Path) -> Path:
    place = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    return cache_dir() / f"hashes-{place[:16]}.json"


def _read(index: Path) -> dict[str, Entry]:
    """The entries that may be trusted if their files are as they were."""
    try:
        content = json.loads(index.read_bytes())
        until = content["begun_ns"] - _TICK_NS
        return {
            name: (size, changed, of_inode, inode, digest)
            for name, (size, changed, of_inode, inode, digest) in content["files"].items()
            if max(changed, of_inode) < until
        }
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return {}  # none yet, or a damaged one: everything is read


def _state(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _hashed(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unread(path, error) from error


def unread(path: Path, error: OSError) -> DataError:
    """A failure of the disk, which must not leave an image out for good: the store is kept."""
    return DataError(
        f"cannot read {path}: {error.strerror}; nothing is known of the image: try again, "
        "or take it out of the folder"
    )
