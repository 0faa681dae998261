"""The study's journal, opened the one way all must: under a lock that dies with its holder.

Optuna's own journal locks outlive a killed holder (30 s, or for ever on a relative path), and a
line torn by a kill makes every later read fail. Here the lock is flock's, and whoever acquires it
first cuts off what a dead writer left half-written: no living writer is within a line then.
"""

import fcntl
import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

TAIL_BYTES = 65536
"""How far back the last line break is sought; a journal line is a few hundred bytes long."""


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
            os.close(self._file)
            self._file = None


def mend(journal: Path) -> int:
    """Cut off an unfinished last line; return how many bytes were cut. Call under the lock."""
    with journal.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - TAIL_BYTES)
        file.seek(start)
        tail = file.read()
        if not tail or tail.endswith(b"\n"):
            return 0
        whole = start + tail.rfind(b"\n") + 1
        file.truncate(whole)
        return size - whole


def open_journal(path: Path) -> JournalStorage:
    """Open, or create, the journal of a study."""
    absolute = path.resolve()
    return JournalStorage(JournalFileBackend(str(absolute), lock_obj=FlockLock(absolute)))
