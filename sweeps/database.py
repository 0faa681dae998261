"""A study's journal as rows of a PostgreSQL table, for workers on many hosts.

What is written and how it is replayed is as in a file. The lock is the database's, for a shared
folder may not know the locks of files: it dies with its holder's connection, and with it goes what
the holder had not finished.
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
from sweeps.journal import DAMAGE
from sweeps.study import Study

TABLE = "bvae_journal"

OPTIONS: Mapping[str, Any] = {
    "connect_timeout": 10,
    # The server gives up a host that vanished without a word, and its lock, after half a minute.
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4 "
    # What a crash of the server takes is rebuilt from the results, which are synced.
    "-c synchronous_commit=off",
}


class Rows(BaseJournalBackend):
    """The records of one study, in the order they were added.

    Args:
        connection: gives the one to use now.
        study: tells its rows from those of other studies.

    Attributes:
        held: how many records there are, while nobody else can add any; None at other times.
    """

    def __init__(self, connection: Callable[[], psycopg.Connection], study: str) -> None:
        self._connection = connection
        self._study = study
        self.held: int | None = None

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the records from this number on."""
        if self.held is not None and log_number_from >= self.held:
            return iter(())  # which saves a message to the server and back
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
        self.held = first + len(rows)

    def length(self) -> int:
        """Return how many records there are."""
        if self.held is not None:
            return self.held
        query = f"SELECT max(number) FROM {TABLE} WHERE study = %s"
        row = self._connection().execute(query, (self._study,)).fetchone()
        return 0 if row is None or row[0] is None else row[0] + 1


class DatabaseStore:
    """Where a study's attempts are kept if a database is named.

    Args:
        study: its manifest has the URL.
    """

    def __init__(self, study: Study) -> None:
        self._url = str(study.manifest.storage)
        self._study = study.manifest.study_id
        self._mutex = threading.Lock()
        self._open: psycopg.Connection | None = None
        self._length: int | None = None
        self._rows = Rows(self._connection, self._study)

    @property
    def name(self) -> str:
        """What it is called when something is said about it."""
        return f"the journal in {self._url}"

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the study's lock; what is written meanwhile is there as a whole or not at all.

        Raises:
            OSError: the database cannot be reached.
        """
        with self._mutex, _told(self._url):
            connection = self._locked()
            self._rows.held = self._rows.length()
            try:
                yield
            except psycopg.Error:
                self._length = None
                raise
            finally:
                self._rows.held = None
                self._finish(connection)

    def _locked(self) -> psycopg.Connection:
        """Begin a transaction with the lock, over a new connection if the last one was lost."""
        try:
            return _lock(self._connection(), self._study)
        except psycopg.OperationalError:
            self._length = None  # a server that crashed may have lost what it was told last
            self._connection().close()
            return _lock(self._connection(), self._study)

    def _finish(self, connection: psycopg.Connection) -> None:
        """Commit, also what came before an error; if it is lost, all is read again."""
        try:
            connection.commit()
        except psycopg.Error:
            self._length = None
            connection.close()
            raise

    def _connection(self) -> psycopg.Connection:
        if self._open is None or self._open.closed:
            self._open = _connected(self._url)
            weakref.finalize(self, self._open.close)
        return self._open

    def open(self) -> tuple[JournalStorage, str | None]:
        """Open the journal, or begin a new one; there is nothing to say about it."""
        try:
            return JournalStorage(self._rows), None
        except DAMAGE as error:
            raise DataError(
                f"{self.name}: cannot be replayed ({error}); it is rebuilt from the results once "
                f"its rows are gone: DELETE FROM {TABLE} WHERE study = '{self._study}'"
            ) from error

    def remember(self) -> None:
        """Note how long the journal is: it never becomes shorter, unless it is lost."""
        self._length = self._rows.length()

    def is_known(self) -> bool:
        """Whether the journal has only grown, and all that was written to it was kept."""
        return self._length is not None and self._rows.length() >= self._length


def reading(study: Study) -> Rows:
    """Return the rows of a study for who only looks, and takes no lock.

    Raises:
        OSError: the database cannot be reached.
    """
    url = str(study.manifest.storage)
    with _told(url):
        connection = _connected(url)
        connection.autocommit = True
    rows = Rows(lambda: connection, study.manifest.study_id)
    weakref.finalize(rows, connection.close)
    return rows


def check(url: str) -> None:
    """Connect once, and create the table.

    Raises:
        OSError: the database cannot be reached.
    """
    with _told(url), _connected(url):
        pass


def _connected(url: str) -> psycopg.Connection:
    """Connect, and create the table if it is not there; only one at a time may."""
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
    """Wait for the lock of this name; it goes with the transaction."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
    return connection


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Say what is wrong with a database in the words of its library."""
    try:
        yield
    except psycopg.Error as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ConnectionError(f"{url}: {said[0]}") from error
