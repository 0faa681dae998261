"""The journal after a power cut: results are synced, what the journal had not synced may be gone.

What is left of it may end anywhere, or have zeros where blocks never reached the disk.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps import load_study
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import WorkerRegistry
from sweeps.study.study import Study
from tests.doubles.studies import make_study, result, slugs


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose machine goes off: two trials have a result, one at its second attempt."""
    study = make_study(tmp_path_factory.mktemp("cut") / "tested")
    queue = Queue(study)
    queue.reconcile(WorkerRegistry(study.folder.workers))
    first, second, *_ = slugs(study)
    for slug, state in ((first, "complete"), (second, "failed"), (second, "complete")):
        lease = queue.lease("w", among=[slug])
        assert lease is not None
        queue.commit(lease, result(lease.trial, state=state, attempt=lease.attempt_number))
    assert queue.lease("w") is not None  # in training when the light goes out
    return study


def left(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what may be left of a journal: up to each record, within it, and with zeros."""
    ends = [0, *(k + 1 for k, byte in enumerate(whole) if byte == ord("\n"))]
    for number, end in enumerate(ends):
        yield f"{number} records", whole[:end]
        yield f"{number} records and a piece", whole[: end + 17]
        yield f"{number} records, then zeros", whole[:end] + bytes(len(whole) - end)
    for start in range(0, len(whole), 512):
        yield f"a block of zeros at {start}", whole[:start] + bytes(512) + whole[start + 512 :]


def finish(study: Study) -> Counter[str]:
    """Do what the same command does when it is typed again; return how often each was trained."""
    queue = Queue(study)
    queue.reconcile(WorkerRegistry(study.folder.workers))
    trained: Counter[str] = Counter()
    while (lease := queue.lease("again")) is not None:
        trained[lease.trial.slug] += 1
        queue.commit(lease, result(lease.trial, attempt=lease.attempt_number))
    return trained


def test_the_same_command_finishes_the_study(cut: Study, tmp_path: Path) -> None:
    """Whatever is left: results stay, all other trials are trained, and each once."""
    first, second, *others = slugs(cut)
    whole = cut.folder.journal.read_bytes()
    kept = {slug: cut.folder.trial(slug).result.read_bytes() for slug in (first, second)}

    for number, (what, journal) in enumerate(left(whole)):
        root = tmp_path / str(number)
        shutil.copytree(cut.folder.root, root)
        (root / cut.folder.journal.name).write_bytes(journal)
        study = load_study(root)

        assert Counter(others) == finish(study), what
        assert kept == {slug: study.folder.trial(slug).result.read_bytes() for slug in kept}, what
        assert {"complete"} == {*load_study(root).states.values()}, what
        assert Counter() == finish(load_study(root)), what
