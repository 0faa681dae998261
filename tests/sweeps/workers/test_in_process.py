import io
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bvae import train
from bvae.assignment import Assignment
from bvae.trial import TrialResult
from sweeps import load_study
from sweeps.study.study import Study
from sweeps.study.timeouts import Timeouts
from sweeps.workers import processes, worker
from sweeps.workers.exit_codes import Exit
from sweeps.workers.in_process import run_here
from sweeps.workers.live_table import Display
from sweeps.workers.orchestrator import running
from tests.doubles.studies import CONFIGURATION, make_study, slugs, trials


def run(study: Study, *slugs: str, **options: Any) -> tuple[Exit, str]:
    """Run these trials, or all, in this process; returns exit code and what is said.

    It may take long to save: what exits then would be the tests.
    """
    options = {"timeouts": Timeouts(exit_within=600)} | options
    out = io.StringIO()
    asked = [trial for trial in study.trials if not slugs or trial.slug in slugs]
    with running(study.folder):
        code = run_here(study, asked, display=Display(Console(file=out)), **options)
    return code, out.getvalue()


def states(study: Study) -> list[str]:
    """Return the states of the trials as they are now."""
    return list(load_study(study.folder.root).states.values())


def test_what_was_asked_for_is_run(tmp_path: Path) -> None:
    """One of four: the others stay pending."""
    study = make_study(tmp_path / "tested")

    assert Exit.COMPLETE is run(study, slugs(study)[1])[0]
    assert ["pending", "complete", "pending", "pending"] == states(study)


def test_a_failure_has_an_exit_code(tmp_path: Path) -> None:
    """Code 1 if what was asked for failed; another trial's failure does not count."""
    study = make_study(tmp_path / "tested", trial="tests.doubles.fakes.failing")

    assert Exit.COMPLETE is run(study, "beta=1,latent_dim=5,seed=0")[0]
    assert Exit.FAILED is run(study, "beta=4,latent_dim=5,seed=0")[0]
    assert Exit.COMPLETE is run(study, "beta=1,latent_dim=5,seed=0")[0]


def test_in_a_terminal_something_is_seen_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step the bar says what there is to wait for."""
    study = make_study(tmp_path / "tested", trials([1], [0]), trial="tests.doubles.fakes.stepping")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    run(study)

    said = terminal.getvalue()
    assert "importing torch" in said
    assert said.index("importing torch") < said.index(slugs(study)[0])


@pytest.fixture
def at_the_first_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen at the first step of a stepping trial."""

    def install(happen: Callable[[], object]) -> None:
        stepping = worker._function("tests.doubles.fakes.stepping")

        def watched(task: Assignment) -> TrialResult:
            happen()
            return stepping(task)

        monkeypatch.setattr(worker, "_function", lambda _: watched)

    return install


@pytest.mark.parametrize(
    ("number", "code"), [("SIGINT", 130), ("SIGTERM", 130), ("SIGQUIT", 130), ("SIGHUP", 129)]
)
def test_interrupted_it_saves_and_stops(
    tmp_path: Path,
    at_the_first_step: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
    number: str,
    code: int,
) -> None:
    """With the code of the signal; typed again it resumes from there."""
    monkeypatch.setattr(processes, "_stays_ignored", lambda number: False)  # where tests have no
    sent = signal.Signals[number]  # terminal
    study = make_study(tmp_path / "tested", trials([1], [0]), trial="tests.doubles.fakes.stepping")
    interrupts = iter([lambda: os.kill(os.getpid(), sent), lambda: None])
    at_the_first_step(lambda: next(interrupts)())

    assert code == run(study)[0]
    assert ["pending"] == states(study)
    assert Exit.COMPLETE is run(study)[0]
    runs = (study.folder.trial(slugs(study)[0]).root / "runs.txt").read_text().split("\n")
    assert "from 1" in runs


SHORT = CONFIGURATION | {
    "data": CONFIGURATION["data"] | {"score_every": [1, 3, 8, 4, 4]},
    "trainer": CONFIGURATION["trainer"]
    | {"max_steps": 30, "batch_size": 16, "log_every_n_steps": 3, "val_every_n_steps": 15},
}
"""A second of real training."""


def told_after_asking(task: Assignment) -> Assignment:
    """Return the assignment with a SIGTERM that comes when the monitor was just asked."""
    asked = task.monitor.stopping

    def stopping() -> bool:
        answer = asked()
        if not answer:
            os.kill(os.getpid(), signal.SIGTERM)
        return answer

    return replace(task, monitor=replace(task.monitor, stopping=stopping))


def told_before_asking(task: Assignment) -> Assignment:
    """Return the assignment with a SIGTERM that comes in the midst of a step."""
    at, told = task.monitor.at, []

    def report(step: int, total: int) -> None:
        at(step, total)
        if not told:
            told.append(os.kill(os.getpid(), signal.SIGTERM))

    return replace(task, monitor=replace(task.monitor, at=report))


@pytest.mark.parametrize("told", [told_before_asking, told_after_asking])
def test_no_sigterm_is_a_failed_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Callable[[Assignment], Assignment]
) -> None:
    """However many stop a training: each time it goes on, and it ends bit for bit as if none had.

    Lightning has a handler of its own, which would raise wherever its loop is.
    """
    tellers = iter([told] * 4)
    monkeypatch.setattr(
        worker, "_function", lambda _: lambda task: train.run_trial(next(tellers)(task))
    )
    one = trials([1], [0])
    stopped = make_study(tmp_path / "stopped", one, compositions={"": SHORT})
    before = signal.getsignal(signal.SIGTERM)
    for number in range(1, 5):
        assert (Exit.INTERRUPTED, ["pending"]) == (run(stopped)[0], states(stopped))
        log = stopped.folder.trial(one[0].slug).log
        assert number - 1 == log.read_text().count("resumed from step")
        assert before is signal.getsignal(signal.SIGTERM)

    monkeypatch.setattr(worker, "_function", lambda _: train.run_trial)
    whole = make_study(tmp_path / "whole", one, compositions={"": SHORT})
    assert [Exit.COMPLETE] * 2 == [run(study)[0] for study in (stopped, whole)]
    (found,), (expected,) = (load_study(s.folder.root).results.values() for s in (stopped, whole))
    assert (1, 30) == (found.attempt, found.steps)
    assert (expected.scores, expected.losses) == (found.scores, found.losses)
    folders = [study.folder.trial(one[0].slug) for study in (stopped, whole)]
    assert 1 == len({folder.history.read_bytes() for folder in folders})
    assert 1 == len({folder.codes.read_bytes() for folder in folders})


def test_stopped_from_outside_something_is_left(
    tmp_path: Path,
    at_the_first_step: Callable[[Callable[[], object]], None],
) -> None:
    """`sweeps stop` ends a single run with code 3."""
    study = make_study(tmp_path / "tested", trials([1], [0]), trial="tests.doubles.fakes.stepping")
    at_the_first_step(study.folder.stop.touch)

    assert Exit.LEFT is run(study, timeouts=Timeouts(stop_check=0, exit_within=600))[0]


def test_a_fault_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial is left, nothing has failed, and a line says what to mend; code 3."""

    def broken(task: Assignment) -> TrialResult:
        raise MemoryError("no room")

    monkeypatch.setattr(worker, "_function", lambda _: broken)
    study = make_study(tmp_path / "tested", trials([1], [0]))

    code, said = run(study, timeouts=Timeouts(fault=0))

    assert (Exit.LEFT, ["pending"]) == (code, states(study))
    assert "which stay queued: MemoryError: no room (3 times in a row); mend it" in said


def test_a_damaged_journal_is_reported(tmp_path: Path) -> None:
    """It is rebuilt, and a message says so."""
    study = make_study(tmp_path / "tested")
    study.folder.journal.write_text('nonsense\n{"op_code": 0}\n')

    code, said = run(study)

    assert Exit.COMPLETE is code
    assert "study.journal.damaged-1, rebuilt from the result files" in said


def test_the_log_is_in_the_studys_folder(tmp_path: Path) -> None:
    """As that of any worker."""
    study = make_study(tmp_path / "tested")
    run(study)

    (log,) = study.folder.logs.glob("worker-*.log")
    assert 4 == log.read_text().count(": complete")
