import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sweeps import load_study
from sweeps.queue.postgres import DatabaseStore, Rows, check
from sweeps.queue.queue import LeaseLostError, Queue
from sweeps.study.heartbeat import WorkerRegistry
from sweeps.study.study import Study
from tests.doubles import postgres
from tests.doubles.processes import end, start
from tests.doubles.studies import make_study, result, slugs, trials, write_result

pytestmark = [pytest.mark.slow, pytest.mark.covered, pytest.mark.xdist_group("postgresql")]


@pytest.fixture
def study(tmp_path: Path, database: str) -> Study:
    """A study of four trials whose attempts are in the database; all wait."""
    made = make_study(tmp_path / "tested", storage=database, study_id=os.urandom(16).hex())
    Queue(made).reconcile(WorkerRegistry(made.folder.workers))
    return made


def lease_all(root: Path, leased: Any) -> None:
    """Lease until nothing waits, and report what was leased."""
    queue = Queue(load_study(root))
    while (lease := queue.lease(f"worker-{os.getpid()}")) is not None:
        leased.put(lease.trial.slug)


def die_while_locked(root: Path) -> None:
    """Lease a trial, and be killed before it is committed."""
    queue = Queue(load_study(root))

    def kill(slug: str) -> None:
        del slug
        os.kill(os.getpid(), 9)

    queue.lease("dying", announce=kill)


def query(url: str, text: str, *values: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(url) as connection:
        return connection.execute(text, values).fetchall()


class TestQueue:
    def test_no_trial_is_leased_twice(self, tmp_path: Path, database: str) -> None:
        """By four processes at once."""
        listed = trials(beta=range(1, 51), seed=range(4))
        study = make_study(tmp_path / "many", listed, storage=database, study_id="many")
        Queue(study).reconcile(WorkerRegistry(study.folder.workers))
        leased = multiprocessing.get_context("forkserver").Manager().Queue()
        processes = [start(lease_all, study.folder.root, leased) for _ in range(4)]
        assert [0] * 4 == [end(process) for process in processes]

        found = Counter(leased.get() for _ in range(leased.qsize()))
        assert Counter(slugs(study)) == found

    def test_a_late_worker_is_fenced(self, study: Study) -> None:
        """A trial that was given to another cannot be committed."""
        queue, registry = Queue(study), WorkerRegistry(study.folder.workers)
        lease = queue.lease("gone")
        assert lease is not None
        Queue(study).reconcile(registry)  # its worker has no heartbeat file: it is dead

        with pytest.raises(LeaseLostError, match=lease.trial.slug):
            queue.commit(lease, result(lease.trial))
        assert {} == load_study(study.folder.root).results

    def test_another_queue_sees_a_commit(self, study: Study) -> None:
        """And what is done is handed out no more."""
        queue = Queue(study)
        lease = queue.lease("one")
        assert lease is not None
        queue.commit(lease, result(lease.trial))

        assert set(slugs(study)) - {lease.trial.slug} == Queue(study).open_slugs()

    def test_the_lock_dies_with_its_holder(self, study: Study) -> None:
        """What a killed process was in the midst of is undone, and others need not wait."""
        assert -9 == end(start(die_while_locked, study.folder.root))

        lease = Queue(study).lease("next")
        assert lease is not None
        assert slugs(study)[0] == lease.trial.slug

    def test_lost_rows_are_rebuilt_from_results(self, study: Study, database: str) -> None:
        """As a lost file is."""
        queue = Queue(study)
        write_result(study, trials()[0])
        query(database, "DELETE FROM bvae_journal WHERE study = %s RETURNING 1",
              study.manifest.study_id)  # fmt: skip
        changes = queue.reconcile(WorkerRegistry(study.folder.workers))

        assert "was replaced or cut off; rebuilt from the result files" in changes.messages[0]
        assert set(slugs(study)[1:]) == queue.open_slugs()

    def test_a_lost_connection_is_replaced(self, study: Study, database: str) -> None:
        """A server that was restarted costs nothing."""
        queue = Queue(study)
        query(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
              "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")  # fmt: skip

        assert 4 == len(queue.open_slugs())

    def test_what_a_crash_of_the_server_took_is_read_again(
        self, study: Study, database: str
    ) -> None:
        """Rows that another has written in their place are not those that were known."""
        queue = Queue(study)
        queue.lease("mine")
        key = study.manifest.study_id
        last = "(SELECT max(number) FROM bvae_journal WHERE study = %s)"
        query(database, f"DELETE FROM bvae_journal WHERE study = %s AND number = {last} "
              "RETURNING 1", key, key)  # fmt: skip
        Queue(study).lease("other")
        query(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
              "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")  # fmt: skip

        assert queue.open_slugs() == Queue(study).open_slugs()
        found = [queue.lease("mine"), Queue(study).lease("other")]
        assert 2 == len({one.trial for one in found if one is not None})

    def test_studies_of_one_name_do_not_mix(
        self, study: Study, tmp_path: Path, database: str
    ) -> None:
        """Another folder's study may have the same name in the same database."""
        one = study.trials[:1]
        other = make_study(tmp_path / "b" / "tested", one, storage=database, study_id="other")

        assert len(Queue(other).open_slugs()) <= 1
        assert 4 == len(Queue(study).open_slugs())


class TestRows:
    def test_records_are_numbered_without_gaps(self, study: Study, database: str) -> None:
        """However they are added."""
        with psycopg.connect(database) as connection:
            rows = Rows(lambda: connection, study.manifest.study_id)
            first = rows.length()
            rows.append_logs([{"a": 1}, {"b": 2}])

            assert [{"a": 1}, {"b": 2}] == list(rows.read_logs(first))
            assert first + 2 == rows.length()


class TestCheck:
    def test_nobody_listens(self) -> None:
        """In the words of PostgreSQL's library, with the URL."""
        with pytest.raises(ConnectionError, match=r"postgresql://u@127\.0\.0\.1:1/d: .*refused"):
            check("postgresql://u@127.0.0.1:1/d")


@pytest.mark.slow
def test_a_password_is_nowhere_in_the_study(short_folder: Path, repository: Path) -> None:
    """It is typed in the URL, reaches the workers, and is in no file; without it, code 2."""
    if postgres.missing():
        pytest.skip(str(postgres.missing()))
    with postgres.running(short_folder / "guarded", password="s3cret/word") as url:
        folder = short_folder / "typed"
        folder.mkdir()
        typed = ["beta=1", "latent_dim=2", "study=guarded", "tracker=none"]
        typed += ["hydra.sweeper.trial=tests.doubles.fakes.instant", "hydra.sweeper.n_workers=1"]

        def run(address: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "bvae", "-m", *typed, f"hydra.sweeper.storage={address}"],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": f"{repository}"},
                capture_output=True,
                text=True,
                check=False,
            )

        refused = run(url)
        done = run(url.replace("postgres@", "postgres:s3cret%2Fword@"))

    assert (2, 0) == (refused.returncode, done.returncode), done.stderr
    assert "is the password in PGPASSWORD or ~/.pgpass?" in refused.stderr
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not [content for content in [*files, done.stderr.encode()] if b"s3cret" in content]
    assert url == load_study(folder / "runs" / "guarded").manifest.storage


def test_a_lost_connection_takes_its_lock_along(study: Study) -> None:
    """What was decided under the lock is not written over a connection that does not have it."""
    queue = Queue(study)
    queue.reconcile(WorkerRegistry(study.folder.workers))

    def lose(slug: str) -> None:
        store = queue._attempts.store
        assert isinstance(store, DatabaseStore)
        assert store.section is not None
        store.section.close()

    with pytest.raises(ConnectionError, match="closed"):
        queue.lease("w", announce=lose)

    lease = queue.lease("w")
    assert lease is not None
    assert study.trials[0] == lease.trial
    assert 1 == queue.n_leases()  # of one that was not written, nobody has died
