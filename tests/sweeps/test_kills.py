"""SIGKILL at every boundary of a trial's life: the same command ends with every trial once."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from sweeps import load_study
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import WorkerRegistry, new_worker_name
from sweeps.study.locks import locked
from sweeps.study.study import Study
from sweeps.study.timeouts import Timeouts
from sweeps.workers.exit_codes import Exit
from sweeps.workers.worker import Worker
from tests.doubles import faults
from tests.doubles.processes import end, start, wait_for
from tests.doubles.studies import attempts_of, make_study, manifest, trials
from tests.doubles.sweeping import command, killed_orchestrator, of_steps


def work(root: Path) -> None:
    """Work on a study until no trial is left."""
    Worker(load_study(root), name=new_worker_name(), detached=True).work()


def accounts(study: Study) -> dict[str, object]:
    """Return what must be the same however often a study was killed."""
    study = load_study(study.folder.root)
    trials = attempts_of(study)
    states = Counter(trial.state.name for trial in trials if trial.state.name != "FAIL")
    left_over = [
        path.name
        for path in study.folder.root.rglob("*")
        if path.name.startswith(".")
        or path.suffix == ".ckpt"
        # One killed before it wrote its first word is no trace of a worker.
        or (path.parent.name == "workers" and path.stat().st_size)
    ]
    return {
        "counts": study.counts,
        "states": dict(states),
        "slugs": sorted(t.user_attrs["slug"] for t in trials if t.state.name == "COMPLETE"),
        "left over": sorted(left_over),
    }


def expected(study: Study) -> dict[str, object]:
    """Return the accounts of a study of which every trial is complete."""
    number = len(study.trials)
    counts = {"complete": number, "failed": 0, "pruned": 0, "running": 0, "pending": 0}
    return {
        "counts": {"expected": number} | counts,
        "states": {"COMPLETE": number},
        "slugs": sorted(trial.slug for trial in study.trials),
        "left over": [],
    }


def kill_and_go_on(root: Path, number: int, log: Path) -> int | None:
    """Kill a worker at a boundary, then work on; return how the killed one ended."""
    study = make_study(root, trials(seed=[0]), trial="tests.doubles.fakes.failing_once")
    code = end(start(faults.killed_worker, root, number, log))

    assert 0 == end(start(work, root))
    assert expected(study) == accounts(study), log.read_text().splitlines()[-1:]
    return code


def test_a_stopped_worker_comes_too_late(tmp_path: Path) -> None:
    """Declared dead, its trial trained by another, it continues and may not commit."""
    (trial,) = trials(beta=[1], seed=[0])
    study = make_study(tmp_path / "tested", [trial], trial="tests.doubles.fakes.held_up")
    folder, runs = study.folder, study.folder.trial(trial.slug).root / "runs.txt"
    slow = start(work, folder.root)
    wait_for(lambda: runs.exists() and runs.read_text())
    with locked(folder.guard):  # so that it is not stopped while it holds this lock
        os.kill(slow.pid or 0, signal.SIGSTOP)
    hasty = Timeouts(heartbeat=0.1, heartbeat_lost=0.2)
    queue, registry = Queue(study, timeouts=hasty), WorkerRegistry(folder.workers)
    wait_for(lambda: queue.reconcile(registry).queued)
    work(folder.root)
    committed = folder.trial(trial.slug).result.stat().st_ino

    runs.with_name("go").touch()
    os.kill(slow.pid or 0, signal.SIGCONT)

    assert 0 == end(slow)
    assert ["held up", "ran", "ran"] == runs.read_text().splitlines()
    assert committed == folder.trial(trial.slug).result.stat().st_ino
    assert expected(study) == accounts(study)


@pytest.mark.parametrize("number", range(5, 300, 25))
def test_a_worker_killed_at_some_boundary(tmp_path: Path, number: int) -> None:
    """A sample, spread over the life of two trials of two attempts each."""
    assert kill_and_go_on(tmp_path / "tested", number, tmp_path / "log") in (-9, 0)


@pytest.mark.slow
def test_a_worker_killed_at_every_second_boundary(tmp_path: Path) -> None:
    """Whichever lease, write, fsync or rename is the last, each trial has one result."""
    log = tmp_path / "log"
    number = 2
    while kill_and_go_on(tmp_path / f"{number}" / "tested", number, log) == -9:
        number += 2

    reached = {line.partition(" ")[2] for line in log.read_text().splitlines()}
    assert {
        "in a write",
        "in a journal record",
        "before os.replace",
        "after os.replace",
        "before JournalStorage.set_trial_state_values",
        "after JournalStorage.set_trial_state_values",
    } <= reached


def kill_the_orchestrator(
    root: Path, number: int, log: Path, *, only: str = "", max_minutes: float | None = None
) -> int | None:
    """Kill a command at a boundary and type it again; return how the killed one ended."""
    trial, steps = (
        ("tests.doubles.fakes.stepping", 100)
        if max_minutes
        else ("tests.doubles.fakes.failing_once", 1)
    )
    asked = manifest(trials(seed=[0]), trial=trial, compositions=of_steps(steps))
    code = end(start(killed_orchestrator, root, asked, number, log, only, max_minutes))

    assert Exit.COMPLETE == end(start(command, root, asked)), log.read_text()
    study = load_study(root)
    assert expected(study) == accounts(study), log.read_text().splitlines()[-1:]
    assert ["ran"] * len(study.trials) == ran(study), log.read_text().splitlines()[-1:]
    assert all(path.stat().st_size for path in written(study))
    return code


def ran(study: Study) -> list[str]:
    """Return how often a trial went to its end, over all trials."""
    files = study.folder.trials.glob("*/runs.txt")
    return [line for file in files for line in file.read_text().splitlines() if line == "ran"]


def written(study: Study) -> list[Path]:
    """Return what a command writes last."""
    folder = study.folder
    return [folder.table, folder.report / "curve.csv", folder.report / "index.html"]


@pytest.mark.slow
def test_an_orchestrator_killed_at_every_second_boundary(tmp_path: Path) -> None:
    """From before its manifest to after its report; workers live on, and repeat nothing."""
    log = tmp_path / "log"
    for number in range(1, 1000, 2):
        if kill_the_orchestrator(tmp_path / f"{number}" / "tested", number, log) != -9:
            break

    reached = [line.partition(" ")[2] for line in log.read_text().splitlines()]
    assert len(reached) > 30
    assert {"in a write", "in a journal record", "before os.replace"} <= set(reached)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_an_orchestrator_killed_while_it_stops_its_workers(tmp_path: Path, number: int) -> None:
    """Before and after it has written the stop file, since its budget is spent."""
    root, log = tmp_path / "tested", tmp_path / "log"

    code = kill_the_orchestrator(root, number, log, only="Path.write_text", max_minutes=1 / 600)

    assert -9 == code
