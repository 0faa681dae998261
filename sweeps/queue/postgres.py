"""A study's journal as rows of a PostgreSQL table, for workers on many hosts.

The records, and how they are replayed, are those of the file. The lock is the database's, since a
shared folder may not support file locks: it ends with its holder's connection, and what the holder
had not committed is rolled back.
"""

import contextlib
import hashlib
import json
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from bvae.exceptions import DataError
from sweeps.queue.journal import DAMAGE
from sweeps.study.study import Study

TABLE = "bvae_journal"

OPTIONS: Mapping[str, Any] = {
    "connect_timeout": 10,
    # The server drops the connection of a host that vanished, and its lock, after half a minute.
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4 "
    # What a crash of the server loses is rebuilt from the results, which are synced.
    "-c synchronous_commit=off",
}


class Rows(BaseJournalBackend):
    """The records of one study, in the order they were added.

    Args:
        connection: returns the one to use now.
        study: the id by which its rows are found.

    Attributes:
        locked_length: how many records there are, while this process has the lock; None otherwise.
    """

    def __init__(self, connection: Callable[[], psycopg.Connection], study: str) -> None:
        self._connection = connection
        self._study = study
        self.locked_length: int | None = None

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the records from this number on."""
        if self.locked_length is not None and log_number_from >= self.locked_length:
            return iter(())  # which saves a round trip to the server
        query = f"SELECT record FROM {TABLE} WHERE study = %s AND number >= %s ORDER BY number"
        found = self._connection().execute(query, (self._study, log_number_from))
        return (json.loads(record) for (record,) in found.fetchall())

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add records at the end, under the study's lock."""
        query = f"INSERT INTO {TABLE} (study, number, record) VALUES (%s, %s, %s)"
        first = self.length()
        records = [json.dumps(record, separators=(",", ":")) for record in logs]
        rows = [(self._study, number, record) for number, record in enumerate(records, first)]
        with self._connection().cursor() as cursor:
            cursor.executemany(query, rows)
        self.locked_length = first + len(rows)

    def length(self) -> int:
        """Return how many records there are."""
        if self.locked_length is not None:
            return self.locked_length
        query = f"SELECT max(number) FROM {TABLE} WHERE study = %s"
        row = self._connection().execute(query, (self._study,)).fetchone()
        return 0 if row is None or row[0] is None else row[0] + 1


class DatabaseStore:
    """Where a study's attempts are kept if a database is named.

    Args:
        study: its manifest has the URL.

    Attributes:
        section: the connection that has the lock, while this process holds it; None otherwise.
    """

    def __init__(self, study: Study) -> None:
        self._url = str(study.manifest.storage)
        self._study = study.manifest.study_id
        self._mutex = threading.Lock()
        self._open: psycopg.Connection | None = None
        self._length: int | None = None
        self.section: psycopg.Connection | None = None
        self._rows = Rows(self._connection, self._study)

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"the journal in {self._url}"

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the study's lock; what is written meanwhile is committed as a whole or not at all.

        Raises:
            OSError: the database cannot be reached.
        """
        with self._mutex, _with_url(self._url):
            connection = self.section = self._locked()
            self._rows.locked_length = self._rows.length()
            try:
                yield
            except psycopg.Error:
                self._length = None
                raise
            finally:
                self.section = None
                self._rows.locked_length = None
                self._finish(connection)

    def _locked(self) -> psycopg.Connection:
        """Begin a transaction with the lock, over a new connection if the last one was lost."""
        try:
            return _lock(self._connection(), self._study)
        except psycopg.OperationalError:
            self._length = None  # a server that crashed may have lost the last commits
            self._connection().close()
            return _lock(self._connection(), self._study)

    def _finish(self, connection: psycopg.Connection) -> None:
        """Commit, also what was written before an error; if that fails, all is read again."""
        try:
            connection.commit()
        except psycopg.Error:
            self._length = None
            connection.close()
            raise

    def _connection(self) -> psycopg.Connection:
        if self.section is not None:  # if it was lost, so is the lock: never over another one
            return self.section
        if self._open is None or self._open.closed:
            self._open = _connected(self._url)
            weakref.finalize(self, self._open.close)
        return self._open

    def open(self) -> tuple[JournalStorage, str | None]:
        """Open the journal, or begin a new one; there is never a message."""
        try:
            return JournalStorage(self._rows), None
        except DAMAGE as error:
            raise DataError(
                f"{self.name}: cannot be replayed ({error}); it is rebuilt from the results once "
                f"its rows are gone: DELETE FROM {TABLE} WHERE study = '{self._study}'"
            ) from error

    def remember(self) -> None:
        """Keep the journal's length; it only grows, unless records are lost."""
        self._length = self._rows.length()

    def is_known(self) -> bool:
        """Whether the journal is not shorter, and no commit may have been lost."""
        return self._length is not None and self._rows.length() >= self._length


def check(url: str) -> None:
    """Connect once, and create the table.

    Raises:
        OSError: the database cannot be reached.
    """
    with _with_url(url), _connected(url):
        pass


def _connected(url: str) -> psycopg.Connection:
    """Connect, and create the table if it is not there, one process at a time."""
    connection = psycopg.connect(url, **OPTIONS)
    row = connection.execute("SELECT to_regclass(%s)", (TABLE,)).fetchone()
    if row is None or row[0] is None:
        _lock(connection, TABLE).execute(
            f"CREATE TABLE IF NOT EXISTS {TABLE} "
            "(study text, number integer, record text NOT NULL, PRIMARY KEY (study, number))"
        )
    connection.commit()
    return connection


def _lock(connection: psycopg.Connection, name: str) -> psycopg.Connection:
    """Wait for the lock of this name; the end of the transaction releases it."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
    return connection


@contextlib.contextmanager
def _with_url(url: str) -> Iterator[None]:
    """Raise a database's errors as `ConnectionError`, with its URL and the library's message."""
    try:
        yield
    except psycopg.Error as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ConnectionError(f"{url}: {lines[0]}") from error
