from collections.abc import Callable

import pytest

from sweeps import load_study
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit

Type = Callable[..., str]


def test_it_works_until_nothing_is_left(study: Study, typed: Type) -> None:
    """Whether or not a command runs the study."""
    said = typed("worker", study.folder.root)

    assert {"tested", "Ctrl-C"} <= set(said.replace(";", "").split())
    assert (5, 1) == tuple(
        load_study(study.folder.root).counts[name] for name in ("complete", "failed")
    )
    assert 1 == len(list(study.folder.logs.glob("worker-*.log")))


def test_the_stop_of_an_ended_command_is_forgotten(study: Study, typed: Type) -> None:
    """A stopped study can be continued by a worker alone."""
    study.folder.stop.touch()
    typed("worker", study.folder.root)

    assert 0 == load_study(study.folder.root).counts["pending"]


def test_that_of_a_running_one_holds(study: Study, typed: Type) -> None:
    """A worker that joins a sweep while it is stopped, stops with the others."""
    study.folder.stop.touch()
    with HeartbeatWriter(study.folder.orchestrator, name="orchestrator"):
        typed("worker", study.folder.root)

    assert 2 == load_study(study.folder.root).counts["pending"]


def test_a_signal_ends_it_with_its_code(
    study: Study, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """130, as for the command that runs the study."""
    monkeypatch.setattr(
        "sweeps.workers.worker.Worker.work", lambda self: self._stop_request.set_signalled()
    )

    typed("worker", study.folder.root, code=Exit.INTERRUPTED)
