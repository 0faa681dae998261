"""The study's journal, always opened under a lock that is released when its holder dies.

Optuna's own journal locks outlive a killed holder (30 s, or for ever on a relative path), and a
line that a kill cut short makes every later read fail. Here the lock is flock's, and each process
that acquires it first cuts off a half-written last line: its writer is dead, as it has no lock.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from bvae.exceptions import DataError
from sweeps.study.folder import StudyFolder, damaged_journal, journal_lock
from sweeps.study.locks import locked

TAIL_BYTES = 4096
"""Bytes searched for the last line break at a time; a journal line has a few hundred."""

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, AssertionError)
"""What Optuna may raise while it replays a journal with lines it did not write."""


@contextlib.contextmanager
def mended(journal: Path) -> Iterator[None]:
    """Hold the lock beside the journal, whose torn last line is cut off first."""
    with locked(journal_lock(journal)):
        mend(journal)
        yield


def mend(journal: Path) -> int:
    """Cut off a last line that is not a whole record; return how many bytes were cut.

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
    """Return where the last line starts, whether or not a line break ends it."""
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


class Journal(JournalFileBackend):
    """Optuna's journal file, without a sync to the disk after every record.

    A sync costs milliseconds, and a trial has four records. A kill loses nothing that was written;
    what a power cut loses is rebuilt from the results, which are synced.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))  # whose own lock is not used
        self.path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add records at the end, under the lock."""
        lines = [json.dumps(record, separators=(",", ":")) + "\n" for record in logs]
        with mended(self.path), self.path.open("ab") as file:
            file.write("".join(lines).encode())


def open_journal(path: Path) -> JournalStorage:
    """Open, or create, the journal of a study.

    Raises:
        DataError: its records cannot be replayed.
    """
    absolute = path.resolve()
    with mended(absolute):
        pass
    try:
        return JournalStorage(Journal(absolute))
    except DAMAGE as error:
        raise DataError(f"{path}: cannot be replayed ({type(error).__name__}: {error})") from error


def head(path: Path) -> bytes | None:
    """Return the first record of a journal, which holds a random number: no other has the same."""
    try:
        with path.open("rb") as file:
            return file.readline()
    except FileNotFoundError:
        return None


class JournalStore:
    """Where a study's attempts are kept unless a database is named: a journal in its folder.

    Attributes:
        section: unlike any other while the lock is held; None otherwise.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._path = folder.journal
        self._guard = folder.guard
        self.section: object | None = None

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self._path.name

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the study's lock, which is released when its holder dies."""
        with locked(self._guard):
            self.section = object()
            try:
                yield
            finally:
                self.section = None

    def open(self) -> tuple[JournalStorage, str | None]:
        """Open the journal, or begin a new one after moving aside one that cannot be read.

        Returns:
            the storage, and a message for the user if the journal was damaged.
        """
        try:
            return open_journal(self._path), None
        except DataError as error:
            aside = self._path.rename(damaged_journal(self._path)).name
            message = f"{error}; moved to {aside}, rebuilt from the result files"
            return open_journal(self._path), message

    def remember(self) -> None:
        """Keep the journal's first record and its size; it only grows, unless it is damaged."""
        self._head = head(self._path)
        self._size = self._path.stat().st_size

    def is_known(self) -> bool:
        """Whether the journal is the one remembered, and is not shorter."""
        return head(self._path) == self._head and self._path.stat().st_size >= self._size
