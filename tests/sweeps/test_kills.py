"""SIGKILL at every boundary of a trial's life: the same command ends with every point once."""

from collections import Counter
from pathlib import Path

import faults
import optuna
import pytest
from processes import end, start
from studies import make_study, points
from sweeping import killed_command, run_alone

from sweeps.exits import Exit
from sweeps.journal import open_journal
from sweeps.presence import new_worker_name
from sweeps.study import Study, load_study
from sweeps.worker import Worker


def work(root: Path) -> None:
    """Work on a study until no point is left."""
    Worker(load_study(root), name=new_worker_name(), drains=True).work()


def accounts(study: Study) -> dict[str, object]:
    """Return what must be the same however often a study was killed."""
    study = load_study(study.folder.root)
    trials = optuna.load_study(
        storage=open_journal(study.folder.journal), study_name=study.name
    ).trials
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
    """Return the accounts of a study of which every point is complete."""
    number = len(study.points)
    counts = {"complete": number, "failed": 0, "pruned": 0, "running": 0, "pending": 0}
    return {
        "counts": {"expected": number} | counts,
        "states": {"COMPLETE": number},
        "slugs": sorted(point.slug for point in study.points),
        "left over": [],
    }


def kill_and_go_on(root: Path, number: int, log: Path) -> int | None:
    """Kill a worker at a boundary, then work on; return how the killed one ended."""
    study = make_study(root, points(seed=[0]), trial="fakes.failing_once")
    code = end(start(faults.killed_worker, root, number, log))

    work(root)

    assert expected(study) == accounts(study), log.read_text().splitlines()[-1:]
    return code


@pytest.mark.parametrize("number", range(5, 240, 20))
def test_a_worker_killed_at_some_boundary(tmp_path: Path, number: int) -> None:
    """A sample, spread over the life of two trials of two attempts each."""
    assert kill_and_go_on(tmp_path / "tested", number, tmp_path / "log") in (-9, 0)


@pytest.mark.slow
def test_a_worker_killed_at_each_boundary(tmp_path: Path) -> None:
    """Whichever claim, write, fsync, rename or tell is the last, each point ends up there once."""
    log = tmp_path / "log"
    number = 1
    while kill_and_go_on(tmp_path / f"{number}" / "tested", number, log) == -9:
        number += 1

    reached = {line.partition(" ")[2] for line in log.read_text().splitlines()}
    assert {
        "in a write",
        "in a journal record",
        "before Path.replace",
        "after Path.replace",
        "before JournalStorage.set_trial_state_values",
        "after JournalStorage.set_trial_state_values",
    } <= reached


@pytest.mark.slow
def test_a_command_killed_at_every_fifth_boundary(tmp_path: Path) -> None:
    """Command and worker die together, whichever of them comes to the boundary."""
    log = tmp_path / "log"
    for number in range(1, 1000, 5):
        root = tmp_path / f"{number}" / "tested"
        study = make_study(root, points(seed=[0]), trial="fakes.failing_once")
        code = end(start(killed_command, root, number, log))

        assert Exit.COMPLETE == run_alone(root)
        assert expected(study) == accounts(study), log.read_text().splitlines()[-1:]
        if code != -9:
            break

    assert 0 == code
    assert len(log.read_text().splitlines()) > 30
