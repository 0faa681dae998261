import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps import load_study
from sweeps.commands import live_report as module
from sweeps.commands.live_report import LiveReport, watch
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit
from tests.doubles.processes import wait_for
from tests.doubles.studies import write_result


class FakeProcess:
    """A writing that ends when it is told to."""

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None before the end."""
        return self.code

    def terminate(self) -> None:
        """End it."""
        self.code = -15

    def wait(self) -> int | None:
        """Return the exit code."""
        return self.code


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock whose last entry is now."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[-1])
    return now


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[FakeProcess]:
    """The writings that were begun."""
    processes: list[FakeProcess] = []

    def start(_: LiveReport) -> FakeProcess:
        processes.append(FakeProcess())
        return processes[-1]

    monkeypatch.setattr(LiveReport, "_start", start)
    return processes


class TestLiveReport:
    def test_at_most_a_twentieth_of_the_time(
        self, study: Study, clock: list[float], begun: list[FakeProcess]
    ) -> None:
        """First after a minute; the next after twenty times as long as the last has taken."""
        report = LiveReport(study.folder)
        report(1)
        assert not begun
        clock.append(1060.0)
        report(1)
        assert 1 == len(begun)

        clock.append(1070.0)
        report(2)
        begun[-1].code = 0
        report(2)
        clock.append(1269.0)
        report(3)
        assert 1 == len(begun)
        clock.append(1270.0)
        report(3)
        assert 2 == len(begun)

    def test_only_if_trials_have_ended(
        self, study: Study, clock: list[float], begun: list[FakeProcess]
    ) -> None:
        """A page of the same results would be the same."""
        report = LiveReport(study.folder)
        clock.append(1060.0)
        report(0)
        assert not begun
        report(2)
        begun[-1].code = 0
        report(2)
        clock.append(9999.0)
        report(2)
        assert 1 == len(begun)

    def test_a_writing_is_ended_with_the_sweep(
        self, study: Study, clock: list[float], begun: list[FakeProcess]
    ) -> None:
        """The command writes the last page itself."""
        with LiveReport(study.folder) as report:
            clock.append(1060.0)
            report(1)
            assert begun[-1].code is None
        assert -15 == begun[-1].code

    def test_a_process_that_cannot_be_started_costs_nothing(
        self, study: Study, clock: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sweep goes on without a page."""

        def fail(*_: object, **__: object) -> None:
            raise OSError(12, "Cannot allocate memory")

        monkeypatch.setattr(subprocess, "Popen", fail)
        study.folder.logs.mkdir(exist_ok=True)
        with LiveReport(study.folder) as report:
            clock.append(1060.0)
            report(1)

    def test_a_page_is_written(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        """By a process of its own, which prints nothing and logs what goes wrong."""
        monkeypatch.setattr(module, "EVERY_S", 0.0)
        study.folder.logs.mkdir(exist_ok=True)
        with LiveReport(study.folder) as report:
            report(1)
            wait_for(study.folder.page.exists)
        assert "Traceback" not in study.folder.orchestrator_log.read_text()


class TestWatch:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wait for nothing."""
        monkeypatch.setattr(module, "EVERY_S", 0.0)
        monkeypatch.setattr(module, "POLL_S", 0.01)

    @pytest.fixture
    def orchestrator(self, study: Study) -> Iterator[contextlib.ExitStack]:
        """A command that runs the study until it is closed."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(HeartbeatWriter(study.folder.orchestrator, name="orchestrator"))
            yield stack

    def test_until_the_study_is_finished(
        self,
        study: Study,
        orchestrator: contextlib.ExitStack,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Written as trials end, and once more when the command has ended; the path said first."""
        missing = [trial for trial in study.trials if study.states[trial.slug] == "pending"]
        left: list[int] = []

        def write() -> Path:
            left.append(load_study(study.folder.root).left)
            if missing:
                write_result(study, missing.pop())
            else:
                orchestrator.close()
            return study.folder.page

        assert Exit.COMPLETE is watch(study.folder.root, write)
        assert [2, 1, 0, 0] == left
        first, last = capsys.readouterr().out.splitlines()
        assert first == f"{study.folder.page}, written anew while the study runs"
        assert last == f"{study.folder.page}: complete"

    def test_of_a_study_that_nobody_runs(
        self, study: Study, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """There is nothing to wait for."""
        assert Exit.LEFT is watch(study.folder.root, lambda: study.folder.page)
        assert f"{study.folder.page}: 2 trials left\n" == capsys.readouterr().out

    @pytest.mark.usefixtures("orchestrator")
    def test_ctrl_c_ends_it(self, study: Study) -> None:
        """Without a traceback: there is no other way to end it early."""

        def interrupted() -> Path:
            raise KeyboardInterrupt

        assert Exit.INTERRUPTED is watch(study.folder.root, interrupted)


def test_what_the_process_runs() -> None:
    """The command line of `sweeps`, whatever lies in the folder that it is typed in."""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", module.NICELY, "--help"], capture_output=True, check=False
    )
    assert 0 == ran.returncode
    assert b"usage: sweeps" in ran.stdout
