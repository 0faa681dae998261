"""The study's journal, opened the one way all must: under a lock that dies with its holder.

Optuna's own journal locks outlive a killed holder (30 s, or for ever on a relative path), and a
line torn by a kill makes every later read fail. Here the lock is flock's, and whoever acquires it
first cuts off what a dead writer left half-written: no living writer is within a line then.
"""

import fcntl
import json
import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from bvae.exceptions import DataError

TAIL_BYTES = 4096
"""How far the last line break is sought at a time; a journal line has a few hundred bytes."""

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, AssertionError)
"""What Optuna may raise while it replays a journal that is not what it wrote."""


class FlockLock(BaseJournalFileLock):
    """An exclusive lock beside the journal; mends a torn last line on acquiring."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._path = journal.with_name(journal.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock, then mend the journal's tail."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(file, fcntl.LOCK_EX)
        self._file = file
        mend(self._journal)
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            file, self._file = self._file, None  # before another thread may set it
            os.close(file)


def mend(journal: Path) -> int:
    """Cut off a last line that is no whole record; return how many bytes were cut.

    Call under the lock.
    """
    if not journal.exists():
        return 0
    with journal.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = _last_line(file.fileno(), size)
        if start == size or _is_record(os.pread(file.fileno(), size - start, start)):
            return 0
        file.truncate(start)
        return size - start


def _last_line(file: int, size: int) -> int:
    """Return where the last line starts, whether or not it is ended by a line break."""
    end = size - 1
    while end > 0:
        start = max(0, end - TAIL_BYTES)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _is_record(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def open_journal(path: Path) -> JournalStorage:
    """Open, or create, the journal of a study.

    Raises:
        DataError: its records cannot be replayed.
    """
    absolute = path.resolve()
    lock = FlockLock(absolute)
    lock.acquire()
    lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(absolute), lock_obj=lock))
    except DAMAGE as error:
        raise DataError(f"{path}: cannot be replayed ({type(error).__name__}: {error})") from error


def set_aside(path: Path) -> Path:
    """Move a journal that cannot be read out of the way; return where it is now."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return path.rename(aside)


def head(path: Path) -> bytes | None:
    """Return the first record of a journal, which holds a random number: no other has the same."""
    try:
        with path.open("rb") as file:
            return file.readline()
    except FileNotFoundError:
        return None
