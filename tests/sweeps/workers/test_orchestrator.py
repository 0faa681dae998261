import errno
import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bvae.assignment import Assignment
from bvae.exceptions import ConfigError, MachineFaultError
from bvae.trial import TrialResult
from sweeps import load_study
from sweeps.queue.queue import Queue
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import Heartbeat, HeartbeatWriter, new_worker_name, this_host
from sweeps.study.study import Study
from sweeps.study.timeouts import Timeouts
from sweeps.workers import orchestrator as module
from sweeps.workers import worker as worker_module
from sweeps.workers.exit_codes import Exit
from sweeps.workers.live_table import Display
from sweeps.workers.orchestrator import Orchestrator, Settings, running
from sweeps.workers.worker import Worker
from tests.doubles.processes import wait_for
from tests.doubles.studies import CONFIGURATION, make_study, slugs, trials

Launch = Callable[[int], None]
LONG = {"": CONFIGURATION | {"trainer": CONFIGURATION["trainer"] | {"max_steps": 2000}}}
"""20 seconds a trial."""


QUICK = Timeouts(poll=0.02, reconcile=0.1, stop_check=0, fault=0.01)
"""To wait for nothing longer than a test may take."""


def long_study(root: Path) -> Study:
    """Return a study of two trials of 20 seconds each, for tests that interrupt it."""
    return make_study(
        root, trials(seed=[0]), trial="tests.doubles.fakes.stepping", compositions=LONG
    )


def worker(study: Study) -> Launch:
    """Return a launcher that works in the thread it is called in."""

    def launch(index: int) -> None:
        del index
        Worker(study, name=new_worker_name(), detached=False, launched=True, timeouts=QUICK).work()

    return launch


def one_by_one(study: Study) -> Launch:
    """Return a launcher whose workers take one trial each."""

    def launch(index: int) -> None:
        del index
        states = load_study(study.folder.root).states
        first = next(slug for slug, state in states.items() if state == "pending")
        name = new_worker_name()
        Worker(
            study, name=name, detached=False, launched=True, among=[first], timeouts=QUICK
        ).work()

    return launch


def interrupted(launch: Launch, *, after: Callable[[], object]) -> Launch:
    """Return a launcher that gets this process a Ctrl-C once something has come about."""

    def interrupt() -> None:
        wait_for(after)
        os.kill(os.getpid(), signal.SIGINT)

    def launching(index: int) -> None:
        threading.Thread(target=interrupt).start()
        launch(index)

    return launching


def begun(study: Study) -> Callable[[], bool]:
    """Return whether the first trial has been begun, when asked."""
    return (study.folder.trial(slugs(study)[0]).root / "runs.txt").exists


class Run:
    """Runs a study in this process; keeps its exit code and what was said."""

    def __init__(
        self,
        study: Study,
        launch: Launch | None = None,
        *,
        timeouts: Timeouts = QUICK,
        **settings: Any,
    ) -> None:
        out = io.StringIO()
        wanted = replace(Settings(n_workers=1), **settings)
        with running(study.folder):
            self.code = Orchestrator(
                study,
                launch=launch or worker(study),
                settings=wanted,
                display=Display(Console(file=out)),
                timeouts=timeouts,
            ).run()
        self.said = out.getvalue()
        self.counts = load_study(study.folder.root).counts


class TestEndings:
    def test_all_complete(self, study: Study) -> None:
        """Code 0; no worker is left."""
        run = Run(study, n_workers=2)

        assert (Exit.COMPLETE, 4) == (run.code, run.counts["complete"])
        assert [] == list(study.folder.workers.glob("*.json"))
        assert "tested: 4/4 complete" in run.said

    @pytest.mark.parametrize("is_wrapped", [False, True], ids=["as raised", "by submitit"])
    def test_the_machine_fails(
        self, study: Study, monkeypatch: pytest.MonkeyPatch, is_wrapped: bool
    ) -> None:
        """Trials are left, none has failed, and what to mend is said; code 3."""

        def full(task: Assignment) -> TrialResult:
            raise OSError(errno.ENOSPC, "No space left on device")

        def launch(index: int) -> None:
            try:
                worker(study)(index)
            except MachineFaultError as error:
                if not is_wrapped:
                    raise
                trace = f"Job failed:\nbvae.exceptions.MachineFaultError: {error}\n"
                raise RuntimeError(trace) from None

        monkeypatch.setattr(worker_module, "_function", lambda _: full)
        run = Run(study, launch, n_workers=2)

        assert (Exit.LEFT, 4) == (run.code, run.counts["pending"])
        assert "stopping: the machine has failed, not the trials, which stay queued" in run.said
        assert "No space left on device (3 times in a row); mend it, then type" in run.said

    def test_more_trials_get_more_workers(self, tmp_path: Path) -> None:
        """What another command adds while one worker runs, the others are started for."""
        short = {"": CONFIGURATION | {"trainer": CONFIGURATION["trainer"] | {"max_steps": 100}}}
        stepping = "tests.doubles.fakes.stepping"
        study = make_study(
            tmp_path / "tested", trials([1], [0]), trial=stepping, compositions=short
        )
        started: list[int] = []

        def launch(index: int) -> None:
            started.append(index)
            replace(study.manifest, trials=[one.values for one in trials()]).write(
                study.folder.manifest
            )
            worker(study)(index)

        run = Run(study, launch, n_workers=3)

        assert (Exit.COMPLETE, 4) == (run.code, run.counts["complete"])
        assert {0, 1, 2} == {*started}

    def test_who_wants_to_hear_how_far_it_is(self, study: Study) -> None:
        """The command that writes the report is told how many trials have ended."""
        heard: list[int] = []
        with running(study.folder):
            Orchestrator(
                study,
                launch=worker(study),
                settings=Settings(n_workers=1),
                display=Display(Console(file=io.StringIO())),
                at=heard.append,
            ).run()

        assert heard == sorted(heard)
        assert 4 == heard[-1]

    def test_a_finished_study_starts_no_worker(self, study: Study) -> None:
        """Typed again, it is looked at only."""
        Run(study)
        started: list[int] = []

        assert Exit.COMPLETE is Run(study, started.append).code
        assert [] == started

    def test_some_failed(self, tmp_path: Path) -> None:
        """Code 1, also when the command is typed again."""
        study = make_study(tmp_path / "tested", trial="tests.doubles.fakes.failing")

        assert Exit.FAILED is Run(study).code
        assert Exit.FAILED is Run(study).code

    def test_the_budget_is_spent(self, tmp_path: Path) -> None:
        """Code 3; the running trial is saved, and the study can be continued."""
        study = long_study(tmp_path / "tested")
        run = Run(study, max_minutes=0.3 / 60)

        assert Exit.LEFT is run.code
        assert "stopping: the budget of 0.005 minutes is spent" in run.said
        assert 2 == run.counts["pending"]
        assert study.folder.trial(slugs(study)[0]).resume.exists()

    def test_stopped_from_outside(self, tmp_path: Path) -> None:
        """`sweeps stop` ends it with code 3."""
        study = long_study(tmp_path / "tested")

        def launch(index: int) -> None:
            study.folder.stop.touch()
            worker(study)(index)

        run = Run(study, launch)

        assert Exit.LEFT is run.code
        assert "stopping: asked to by `sweeps stop`" in run.said

    def test_a_stop_of_an_earlier_command_is_forgotten(self, study: Study) -> None:
        """The stop file is for the command that runs when it is written."""
        study.folder.stop.touch()

        assert Exit.COMPLETE is Run(study).code

    def test_the_same_failure_again_and_again(self, tmp_path: Path) -> None:
        """After so many different trials the rest is not tried."""
        listed = trials(beta=[2.0**n for n in range(1, 12)], seed=[0])
        study = make_study(
            tmp_path / "tested", listed, trial="tests.doubles.fakes.failing", max_attempts=1
        )
        run = Run(study, one_by_one(study))

        assert Exit.FAILED is run.code
        assert "stopping: 5 trials failed in a row with the same cause: ValueError" in run.said
        assert run.counts["pending"] > 0


class TestJobsThatAreLate:
    def test_nobody_waits_for_them_when_all_is_done(self, study: Study) -> None:
        """A job in a cluster's queue, or one that was lost, does not keep the command."""
        forever, returned = threading.Event(), threading.Event()
        work = worker(study)

        def launch(index: int) -> None:
            if index == 0:
                work(index)
            else:
                forever.wait(30)
                returned.set()

        run = Run(study, launch, n_workers=2, timeouts=replace(QUICK, linger=0.1))
        was_late = not returned.is_set()
        forever.set()

        assert was_late
        assert (Exit.COMPLETE, 4) == (run.code, run.counts["complete"])


class TestWorkersThatDie:
    @pytest.mark.parametrize(
        "error", [RuntimeError("exit code -9"), KeyboardInterrupt(), SystemExit(1)]
    )
    def test_one_is_replaced(self, study: Study, error: BaseException) -> None:
        """Whatever a launcher raises means: its worker has died."""
        deaths = iter([True, False])

        def launch(index: int) -> None:
            if next(deaths):
                Queue(study).lease("dead")
                raise error
            worker(study)(index)

        assert Exit.COMPLETE is Run(study, launch).code

    def test_workers_that_never_begin(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a launcher that cannot launch the sweep ends, and names the error; code 3."""
        monkeypatch.setattr(module, "MAX_IDLE_STARTS", 2)

        def broken(index: int) -> None:
            raise RuntimeError("Traceback\n  File\nImportError: no torch\n")

        run = Run(study, broken)

        assert Exit.LEFT is run.code
        assert "workers end before they lease a trial (ImportError: no torch)" in run.said
        assert "worker 0 ended" in (study.folder.logs / "orchestrator.log").read_text()

    def test_a_start_with_a_lease_is_not_idle(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Workers that die with a lease may be replaced without end."""
        monkeypatch.setattr(module, "MAX_IDLE_STARTS", 2)
        starts: list[int] = []

        def launch(index: int) -> None:
            starts.append(index)
            if len(starts) % 2:
                raise RuntimeError("died at once")
            one_by_one(study)(index)

        assert Exit.COMPLETE is Run(study, launch).code
        assert 8 == len(starts)

    def test_a_study_that_cannot_be_written(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk ends the sweep with code 3 rather than a traceback: trials are left."""

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Queue, "reconcile", full)
        run = Run(study)

        assert Exit.LEFT is run.code
        assert "the study cannot be written: [Errno 28] No space left" in run.said


class TestDatabaseAway:
    @pytest.fixture
    def restart(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        """Let the server be away for so many questions."""

        def restart(number: int) -> None:
            answers = {"reconcile": Queue.reconcile, "n_leases": Queue.n_leases}
            left = [number]

            def asked(name: str) -> Callable[..., object]:
                def ask(*arguments: Any) -> object:
                    if left[0] > 0:
                        left[0] -= 1
                        raise ConnectionError("db: the server is starting up")
                    return answers[name](*arguments)  # type: ignore[operator]

                return ask

            for name in answers:
                monkeypatch.setattr(Queue, name, asked(name))

        return restart

    def test_for_a_moment(self, study: Study, restart: Callable[[int], None]) -> None:
        """It is said once, and waited for."""
        restart(3)
        Queue(study)
        run = Run(study)

        assert Exit.COMPLETE is run.code, run.said
        assert 1 == run.said.count("db: the server is starting up; trying again for 60 s")

    def test_for_good(self, study: Study, restart: Callable[[int], None]) -> None:
        """The sweep ends with code 3."""
        restart(10**9)
        run = Run(study, timeouts=replace(QUICK, database=0.2))

        assert Exit.LEFT is run.code
        assert "the database cannot be reached: db: the server is starting up" in run.said


class TestTakingOver:
    def test_workers_of_a_killed_command_are_waited_for(self, study: Study) -> None:
        """Never more workers than were asked for: a slot waits until its old worker has ended."""
        left: list[bool] = []
        old = HeartbeatWriter(study.folder.workers / "old.json", name="old", launched=True)
        with old:
            threading.Timer(0.2, lambda: old.__exit__(None, None, None)).start()

            def launch(index: int) -> None:
                left.append(not (study.folder.workers / "old.json").exists())
                worker(study)(index)

            code = Run(study, launch).code
            old._file = os.open(os.devnull, os.O_RDWR)

        assert Exit.COMPLETE is code
        assert [True] == left

    def test_an_attached_worker_takes_no_slot(self, study: Study) -> None:
        """`sweeps worker` comes on top."""
        with HeartbeatWriter(study.folder.workers / "more.json", name="more"):
            assert Exit.COMPLETE is Run(study).code


class TestInterruption:
    @pytest.fixture
    def study(self, tmp_path: Path) -> Study:
        """A study of two trials of many steps."""
        return long_study(tmp_path / "tested")

    def test_once_it_saves_and_stops(self, study: Study) -> None:
        """Code 130; the running trial is saved and requeued."""
        run = Run(study, interrupted(worker(study), after=begun(study)))

        assert (Exit.INTERRUPTED, 2) == (run.code, run.counts["pending"])
        assert "stopping: interrupted; running trials are saved" in run.said
        assert study.folder.trial(slugs(study)[0]).resume.exists()

    def test_twice_it_exits_at_once(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever was started is killed first."""
        left: list[str] = []
        monkeypatch.setattr(module, "_kill_workers", lambda _: left.append("killed"))
        monkeypatch.setattr(module.os, "_exit", lambda code: left.append(f"exit {code:d}"))

        def launch(index: int) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            wait_for(study.folder.stop.exists)
            os.kill(os.getpid(), signal.SIGTERM)
            wait_for(lambda: len(left) == 2)
            worker(study)(index)

        Run(study, launch)

        assert ["killed", "exit 130"] == left

    def test_a_worker_that_does_not_stop_is_killed(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Workers that ignore the request do not delay the exit for long."""
        killed = threading.Event()
        monkeypatch.setattr(module, "_kill_workers", lambda _: killed.set())

        def stubborn(index: int) -> None:
            del index
            os.kill(os.getpid(), signal.SIGINT)
            killed.wait(20)

        assert (
            Exit.INTERRUPTED is Run(study, stubborn, timeouts=replace(QUICK, stop_within=0.1)).code
        )
        assert killed.is_set()


class TestSignals:
    def test_handlers_are_put_back(self, study: Study) -> None:
        """The report is drawn after that: Ctrl-C ends it as usual."""
        before = signal.getsignal(signal.SIGINT)
        Run(study)

        assert before is signal.getsignal(signal.SIGINT)

    def test_workers_do_not_get_the_terminals_signal(self, study: Study) -> None:
        """Only the orchestrator reacts: all of them are blocked in what is started."""
        masks: list[set[int]] = []

        def launch(index: int) -> None:
            masks.append({int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])})
            worker(study)(index)

        Run(study, launch)

        blocked = {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
        assert all(blocked <= mask for mask in masks)
        assert set() == blocked & {*signal.pthread_sigmask(signal.SIG_BLOCK, [])}

    @pytest.fixture
    def hang_ups(self) -> Iterator[list[int]]:
        """The hang-ups that reach whoever runs the study, who then ends it."""
        received: list[int] = []

        def end(number: int, _: object) -> None:
            received.append(number)
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGHUP, end)
        yield received
        signal.signal(signal.SIGHUP, before)

    def test_a_closed_terminal_hangs_up_twice(
        self, tmp_path: Path, hang_ups: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The kernel and the shell both tell: the second is no hurry, and trials are saved."""
        study = long_study(tmp_path / "long")

        def launch(index: int) -> None:
            os.kill(os.getpid(), signal.SIGHUP)
            wait_for(study.folder.stop.exists)  # or both would be one
            os.kill(os.getpid(), signal.SIGHUP)
            worker(study)(index)

        killed = []
        monkeypatch.setattr(module, "_kill_workers", killed.append)
        monkeypatch.setattr(module.os, "_exit", killed.append)
        done = Run(study, launch)

        assert [] == killed
        assert ([], Exit.HUNG_UP, 2) == (hang_ups, done.code, done.counts["pending"])
        assert study.folder.stop.exists()

    def test_jobs_outlive_the_terminal(self, study: Study, hang_ups: list[int]) -> None:
        """Those of SLURM work on when the laptop is closed: nothing tells them to stop."""

        def launch(index: int) -> None:
            del index
            os.kill(os.getpid(), signal.SIGHUP)
            threading.Event().wait()  # not to be launched again, whatever else is tested

        with pytest.raises(KeyboardInterrupt):
            Run(study, launch, outlive=True)

        assert [signal.SIGHUP] == hang_ups
        assert not study.folder.stop.exists()

    def test_workers_are_stopped_though_nobody_can_be_told(self, tmp_path: Path) -> None:
        """What is to be done is done before it is said."""
        study = long_study(tmp_path / "long")

        class Broken(Display):
            def say(self, message: str) -> None:
                if message.startswith("stopping"):
                    raise BrokenPipeError(message)

        orchestrator = Orchestrator(
            study,
            launch=interrupted(worker(study), after=begun(study)),
            settings=Settings(n_workers=1),
            display=Broken(Console(file=io.StringIO())),
        )
        with running(study.folder), pytest.raises(BrokenPipeError, match="stopping"):
            orchestrator.run()

        assert study.folder.stop.exists()


class TestRunning:
    def test_one_command_at_a_time(self, study: Study) -> None:
        """The second is told which process runs the study, and how to see and to end it."""
        with (
            running(study.folder),
            pytest.raises(ConfigError, match=rf"run already by process {os.getpid()} on .*sweeps"),
            running(study.folder),
        ):
            pass

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        """It is reported before anything is begun."""
        (tmp_path / "file").touch()

        with (
            pytest.raises(ConfigError, match=r"cannot be written .*give another runs_dir"),
            running(StudyFolder(tmp_path / "file" / "study")),
        ):
            pass


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("exit code 1", "exit code 1"),
        ("Job failed\nTraceback\n  x = 1\nValueError: no\n(end)", "ValueError: no"),
        ("a.b.SomeError: one\nOtherError: two", "OtherError: two"),
        ("", "RuntimeError"),
    ],
)
def test_the_line_that_names_an_error(message: str, expected: str) -> None:
    """Launchers wrap what happened in a traceback of its own."""
    assert expected == module._error_line(RuntimeError(message))


def test_workers_of_this_machine_are_killed(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was started this_host, and what a killed command has left; not others' workers."""
    killed: list[int] = []
    monkeypatch.setattr(module, "descendants", lambda _: [11, 12, 16])
    monkeypatch.setattr(module, "is_resource_tracker", lambda pid: pid == 16)
    monkeypatch.setattr(module, "kill", killed.extend)
    one = Heartbeat(name="w", host=this_host(), pid=13, launched=True)
    present = [one, replace(one, pid=14, launched=False), replace(one, pid=15, host="far")]
    monkeypatch.setattr(module, "living_workers", lambda _: present)

    module._kill_workers(study)

    assert [11, 12, 13] == killed
