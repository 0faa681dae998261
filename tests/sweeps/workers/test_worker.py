import errno
import os
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState

from bvae import files
from bvae.assignment import Assignment
from bvae.exceptions import ConfigError, DataError, MachineFaultError
from bvae.trial import Interrupted, TrialResult
from sweeps import load_study
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import HeartbeatWriter, WorkerRegistry, living_workers, new_worker_name
from sweeps.study.study import Study
from sweeps.study.timeouts import Timeouts
from sweeps.study.trials import Trial
from sweeps.workers import worker as module
from sweeps.workers.exit_codes import Exit
from sweeps.workers.stopping import StopRequest
from sweeps.workers.worker import Worker, WorkerLoop
from tests.doubles import fakes
from tests.doubles.studies import attempts_of, make_study, slugs, trials, write_result

QUICK = Timeouts(idle=0.01, reconcile=0.05, stop_check=0, lease_check=0, commit=0.01, fault=0.01)
"""To wait for nothing longer than a test may take."""

Trains = Callable[[Callable[[Assignment], TrialResult]], None]


@pytest.fixture
def trains(monkeypatch: pytest.MonkeyPatch) -> Trains:
    """Let workers run this function instead of the one the manifest names."""

    def trains(function: Callable[[Assignment], TrialResult]) -> None:
        monkeypatch.setattr(module, "_function", lambda _: function)

    return trains


def work(study: Study, **options: Any) -> None:
    """Work on a study in this process until nothing is left."""
    options = {"timeouts": QUICK} | options
    Worker(study, name=new_worker_name(), detached=True, **options).work()


def counts(study: Study) -> dict[str, int]:
    """Return how far the study is, by state, without what there is none of."""
    found = load_study(study.folder.root).counts
    return {name: number for name, number in found.items() if number and name != "expected"}


def runs(study: Study, slug: str) -> list[str]:
    """Return what the fake trial has noted of its runs."""
    return (study.folder.trial(slug).root / "runs.txt").read_text().splitlines()


class TestPruning:
    @pytest.fixture
    def pruned(self, tmp_path: Path) -> Study:
        """A study of four β, best at 4, with three seeds of ten steps, worked on to the end."""
        study = make_study(
            tmp_path / "tested",
            trials(beta=[0.03125, 4, 8, 16], seed=[0, 1, 2]),
            pruner="percentile",
            trial="tests.doubles.fakes.learning",
        )
        work(study)
        return load_study(study.folder.root)

    def test_the_worst_configuration_is_pruned_as_a_whole(self, pruned: Study) -> None:
        """One seed says nothing; the second ends half-way; the third is not begun."""
        steps = {
            (result.point["seed"], result.state, result.steps)
            for result in pruned.results.values()
            if result.point["beta"] == 0.03125
        }

        assert {(0, "complete", 10), (1, "pruned", 5), (2, "pruned", 0)} == steps
        assert {"complete": 10, "pruned": 2} == counts(pruned)

    def test_the_journal_knows_the_scores_on_the_way(self, pruned: Study) -> None:
        """Optuna, and its dashboard, see every intermediate value and the pruned states."""
        pruned_attempts = [one for one in attempts_of(pruned) if one.state is TrialState.PRUNED]

        assert [5, 0] == [len(trial.intermediate_values) for trial in pruned_attempts]

    def test_a_seed_added_later_is_not_begun(self, pruned: Study) -> None:
        """The configuration stays pruned when the study is extended."""
        late = Trial.of({"beta": 0.03125, "latent_dim": 5, "seed": 3})
        more = [*pruned.manifest.trials, late.values]
        replace(pruned.manifest, trials=more, pruner=None).write(pruned.folder.manifest)
        work(load_study(pruned.folder.root))

        assert {"complete": 10, "pruned": 3} == counts(pruned)

    def test_nothing_is_pruned_unless_asked_for(self, tmp_path: Path) -> None:
        """Without a pruner every trial of the grid is trained to the end."""
        listed = trials(beta=[0.03125, 4, 8, 16], seed=[0, 1, 2])
        study = make_study(tmp_path / "tested", listed, trial="tests.doubles.fakes.learning")
        work(study)

        assert {"complete": 12} == counts(study)


class TestWork:
    def test_every_trial_once(self, study: Study) -> None:
        """Trial after trial, until none is left; then the worker is gone without a trace."""
        work(study)

        assert {"complete": 4} == counts(study)
        assert {("ran",)} == {tuple(runs(study, slug)) for slug in slugs(study)}
        assert [] == list(study.folder.workers.glob("*.json"))

    def test_some_trials_only(self, study: Study) -> None:
        """`bvae` without -m runs what was typed, in a study that may hold more."""
        work(study, among=slugs(study)[2:3])

        assert ["pending", "pending", "complete", "pending"] == list(
            load_study(study.folder.root).states.values()
        )

    def test_failure_is_data(self, tmp_path: Path) -> None:
        """Three attempts, then the trial is failed with its reason; the others are trained."""
        study = make_study(tmp_path / "tested", trial="tests.doubles.fakes.failing")
        work(study)

        assert {"complete": 2, "failed": 2} == counts(study)
        failed = load_study(study.folder.root).results.get("beta=4,latent_dim=5,seed=0")
        assert failed is not None
        assert 3 == failed.attempt
        assert failed.error is not None
        assert failed.error.startswith("ValueError: no luck at beta=4\nsecond line\nTraceback")
        assert ["raised"] * 3 == runs(study, "beta=4,latent_dim=5,seed=0")

    @pytest.mark.parametrize("error", [SystemExit(1), RuntimeError("no luck")])
    def test_whatever_a_trial_raises_fails_it(
        self, study: Study, trains: Trains, error: BaseException
    ) -> None:
        """Lightning raises SystemExit on some signals."""

        def broken(task: Assignment) -> TrialResult:
            raise error

        trains(broken)
        work(study)

        assert {"failed": 4} == counts(study)
        assert type(error).__name__ in load_study(study.folder.root).failures[0]

    def test_what_a_trial_gets(self, study: Study, trains: Trains) -> None:
        """The trial's own configuration, folder, attempt, and a name for the tracker."""
        seen: list[Assignment] = []

        def watched(task: Assignment) -> TrialResult:
            seen.append(task)
            return fakes.instant(task)

        trains(watched)
        work(study)

        first = seen[0]
        assert (1, 5, 0) == (first.config.beta, first.config.latent_dim, first.config.seed)
        assert {"beta": 1, "latent_dim": 5, "seed": 0} == dict(first.point)
        assert study.folder.trial(slugs(study)[0]) == first.folder
        assert (1, "b1-m5-s0") == (first.attempt, first.identity.name)
        assert study.folder.root == first.tracker_folder

    def test_each_step_is_reported(self, tmp_path: Path) -> None:
        """To the callback; the heartbeat file has it with the next beat."""
        study = make_study(
            tmp_path / "tested", trials([1], [0]), trial="tests.doubles.fakes.stepping"
        )
        steps: list[tuple[str, int, int]] = []
        work(study, on_step=lambda trial, step, total: steps.append((trial.slug, step, total)))

        assert [(slugs(study)[0], step, 10) for step in range(1, 11)] == steps

    def test_the_first_step_is_written_at_once(self, tmp_path: Path) -> None:
        """From there a trial is timed; the steps after it wait for the next beat."""
        study = make_study(
            tmp_path / "tested", trials([1], [0]), trial="tests.doubles.fakes.stepping"
        )
        written: list[int] = []
        work(
            study,
            on_step=lambda *_: written.extend(
                one.step for one in living_workers(study.folder.workers)
            ),
        )

        assert [1] * 10 == written

    def test_other_sources_are_refused(self, tmp_path: Path) -> None:
        """A worker started after an edit would mix numbers of two versions."""
        study = make_study(tmp_path / "tested", code_version="0" * 12)

        with pytest.raises(
            ConfigError, match="sources of bvae/ or of own parts have changed since tested"
        ):
            Worker(study, name="w", detached=True)


class TestStopping:
    def stepping(self, tmp_path: Path) -> Study:
        """A study of one trial of ten steps."""
        return make_study(
            tmp_path / "tested", trials([1], [0]), trial="tests.doubles.fakes.stepping"
        )

    def test_asked_by_a_signal_it_saves_and_gives_back(self, tmp_path: Path) -> None:
        """The next worker resumes; the attempt does not count."""
        study = self.stepping(tmp_path)
        stop_request = StopRequest(study.folder)
        work(
            study,
            stop_request=stop_request,
            on_step=lambda _, step, __: stop_request.set_signalled() if step == 4 else None,
        )

        assert {"pending": 1} == counts(study)
        work(study)
        (result,) = load_study(study.folder.root).results.values()
        assert ["from 0", "from 4", "ran"] == runs(study, slugs(study)[0])
        assert 1 == result.attempt

    def test_asked_by_the_studys_folder(self, tmp_path: Path) -> None:
        """`sweeps stop` reaches workers on any machine."""
        study = self.stepping(tmp_path)

        def stop(_: Trial, step: int, __: int) -> None:
            if step == 2:
                study.folder.stop.touch()

        work(study, on_step=stop)

        assert {"pending": 1} == counts(study)
        assert "2" == study.folder.trial(slugs(study)[0]).resume.read_text()

    def test_stopped_before_it_began_it_leases_nothing(self, study: Study) -> None:
        """A worker that starts while the sweep is being stopped ends at once."""
        study.folder.stop.touch()
        work(study)

        assert {"pending": 4} == counts(study)

    def test_without_its_orchestrator_it_finishes_its_trial_and_stops(
        self, study: Study, trains: Trains
    ) -> None:
        """A local worker whose orchestrator was killed takes no further trial."""
        with HeartbeatWriter(study.folder.orchestrator, name="orchestrator") as orchestrator:

            def lonely(task: Assignment) -> TrialResult:
                os.close(orchestrator._file)  # as its death would
                orchestrator._file = os.open(os.devnull, os.O_RDWR)
                return fakes.instant(task)

            trains(lonely)
            Worker(study, name="w", detached=False, timeouts=QUICK).work()

        assert {"complete": 1, "pending": 3} == counts(study)

    def test_without_an_orchestrator_it_does_not_begin(self, study: Study) -> None:
        """It was killed while its worker was starting."""
        Worker(study, name="w", detached=False, timeouts=QUICK).work()

        assert {"pending": 4} == counts(study)


class TestLeases:
    @pytest.mark.parametrize("asked", ["holds", "should_prune"])
    def test_a_database_that_is_away_costs_no_attempt(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
    ) -> None:
        """A worker that cannot check its lease continues; commit checks it again."""

        def away(*_: object, **__: object) -> bool:
            raise ConnectionError("the server is starting up")

        monkeypatch.setattr(Queue, asked, away)
        trial = (
            "tests.doubles.fakes.stepping" if asked == "holds" else "tests.doubles.fakes.learning"
        )
        study = make_study(tmp_path / "away", trials([1], [0]), trial=trial)
        work(study)

        assert {"complete": 1} == counts(study)
        assert 1 == runs(study, slugs(study)[0]).count("ran")

    def test_a_lost_lease_ends_the_attempt(self, study: Study, trains: Trains) -> None:
        """A slow worker that was declared dead notices, and drops its attempt."""

        def slow(task: Assignment) -> TrialResult:
            if task.point == study.trials[0].values:
                Queue(study).reconcile(WorkerRegistry(study.folder.root / "nobody"))
                quick = Queue(study).lease("quick", among=[slugs(study)[0]])
                assert quick is not None
                Queue(study).commit(quick, fakes.instant(task))
                assert task.monitor.stopping()
                raise Interrupted("its lease is lost")
            return fakes.instant(task)

        trains(slow)
        work(study)

        assert {"complete": 4} == counts(study)

    def test_a_late_result_is_dropped(self, study: Study, trains: Trains) -> None:
        """The one that was committed first stands, and no training state is left beside it."""

        def late(task: Assignment) -> TrialResult:
            if task.point == study.trials[0].values:
                write_result(study, study.trials[0], scores={"mig": 0.75})
                Queue(study).reconcile(WorkerRegistry(study.folder.workers))
                task.folder.checkpoints.mkdir()
                task.folder.resume.touch()
            return fakes.instant(task)

        trains(late)
        work(study)

        first = load_study(study.folder.root).results.get(slugs(study)[0])
        assert first is not None
        assert {"mig": 0.75} == first.scores
        assert not study.folder.trial(slugs(study)[0]).resume.exists()

    def test_a_dead_workers_trial_is_taken_over(self, study: Study) -> None:
        """Idle workers requeue the trials of dead ones."""
        queue = Queue(study)
        queue.reconcile(WorkerRegistry(study.folder.workers))
        assert queue.lease("dead") is not None

        work(study)

        assert {"complete": 4} == counts(study)

    def test_it_waits_for_trials_that_may_become_free(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While another worker has a lease it stays; once released, the trial is leased."""
        queue = Queue(study)
        with HeartbeatWriter(study.folder.workers / "other.json", name="other") as other:
            queue.reconcile(WorkerRegistry(study.folder.workers))
            lease = queue.lease("other", announce=other.report)
            assert lease is not None
            naps: list[float] = []

            def nap(self: StopRequest, seconds: float) -> None:
                naps.append(seconds)
                if len(naps) == 2:
                    queue.release(lease)

            monkeypatch.setattr(StopRequest, "wait", nap)
            work(study)

        assert len(naps) >= 2
        assert {"complete": 4} == counts(study)


class TestFullDisk:
    def fill(self, monkeypatch: pytest.MonkeyPatch, times: int) -> list[Path]:
        """Let this many results fail to be written; returns the tries."""
        write, tried = files._write, []

        def full(path: Path, data: bytes) -> None:
            if b'"state"' in data:
                tried.append(path)
                if len(tried) <= times:
                    raise OSError(errno.ENOSPC, "No space left on device")
            write(path, data)

        monkeypatch.setattr(files, "_write", full)
        monkeypatch.setattr(StopRequest, "wait", lambda *_: None)
        return tried

    def test_a_result_is_written_when_there_is_room_again(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Space freed in time saves the result."""
        tried = self.fill(monkeypatch, times=module.COMMIT_TRIES - 1)
        work(study)

        assert {"complete": 4} == counts(study)
        assert module.COMMIT_TRIES + 3 == len(tried)
        assert ["ran"] == runs(study, slugs(study)[0])

    def test_after_all_tries_the_trial_is_queued_again(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Behind the others; it is no failure, and no death."""
        self.fill(monkeypatch, times=module.COMMIT_TRIES)
        work(study)

        assert {"complete": 4} == counts(study)
        assert ["ran", "ran"] == runs(study, slugs(study)[0])
        first = load_study(study.folder.root).results.get(slugs(study)[0])
        assert first is not None
        assert 1 == first.attempt

    def test_a_disk_that_stays_full_ends_the_worker(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing has failed; once there is room, all is trained."""
        self.fill(monkeypatch, times=module.COMMIT_TRIES * module.MAX_FAULTS)
        named = r"No space left on device: .*result.json. .3 times in a row"
        with pytest.raises(MachineFaultError, match=named):
            work(study)

        assert {"pending": 4} == counts(study)
        work(study)
        assert {"complete": 4} == counts(study)


class TestFaultsOfTheMachine:
    def faulty(
        self, study: Study, error: Exception, *, times: int
    ) -> Callable[[Assignment], TrialResult]:
        """Return a training that so often raises the error at the study's first trial."""
        raised: list[int] = []

        def run(task: Assignment) -> TrialResult:
            if task.point == study.trials[0].values and len(raised) < times:
                raised.append(task.attempt)
                raise error
            return fakes.instant(task)

        return run

    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            PermissionError(errno.EACCES, "Permission denied", "images/0.png"),  # root reads all
            MemoryError("no memory"),
            ConfigError("tracker.mode=online: nobody is logged in"),
            DataError("expected a folder of images, but images is none"),
        ],
    )
    def test_the_trial_is_trained_later(
        self, study: Study, trains: Trains, error: Exception
    ) -> None:
        """After the others, in its first attempt."""
        trains(self.faulty(study, error, times=1))
        work(study)

        assert {"complete": 4} == counts(study)
        done = load_study(study.folder.root).results
        assert {1} == {result.attempt for result in done.values()}

    def test_what_only_one_trial_has_is_its_own(self, study: Study, trains: Trains) -> None:
        """The same three times, while all others pass: it fails, with the cause."""
        trains(self.faulty(study, MemoryError("no room for 3 GiB"), times=10))
        work(study)

        assert {"complete": 3, "failed": 1} == counts(study)
        first = load_study(study.folder.root).results.get(slugs(study)[0])
        assert first is not None
        assert "MemoryError: no room for 3 GiB" == first.cause

    def test_what_all_have_ends_the_worker(self, study: Study, trains: Trains) -> None:
        """With a sentence; all stay queued, and are trained when the machine is well."""

        def full(task: Assignment) -> TrialResult:
            raise OSError(errno.ENOSPC, "No space left on device")

        trains(full)
        with pytest.raises(MachineFaultError, match=r"OSError: .*No space left.*3 times in a row"):
            work(study)
        assert {"pending": 4} == counts(study)

        trains(fakes.instant)
        work(study)
        assert {"complete": 4} == counts(study)


class TestWorkerLoop:
    def test_it_works_where_the_command_was_typed(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Own modules are found there, after all others, and files by the names that were typed."""
        monkeypatch.chdir("/")
        monkeypatch.setattr(sys, "path", [*sys.path])
        loop = WorkerLoop(study.folder.root, detached=True, typed_in=str(tmp_path))
        loop(OmegaConf.create())

        assert (str(tmp_path), tmp_path) == (sys.path[-1], Path.cwd())
        replace(loop, typed_in="/nowhere")(OmegaConf.create())

    def test_it_travels_to_another_process(self, study: Study) -> None:
        """Launchers pickle what they launch."""
        loop = WorkerLoop(study.folder.root, detached=True, gpu="1")

        assert loop == pickle.loads(pickle.dumps(loop))

    def test_it_writes_a_log(self, study: Study) -> None:
        """Under a name of its own, in the study's folder."""
        WorkerLoop(study.folder.root, detached=True)(OmegaConf.create())

        (log,) = study.folder.logs.glob("worker-*.log")
        assert 4 == log.read_text().count(": complete")
        assert "no trial is left" in log.read_text()

    def test_it_says_that_a_command_started_it(self, study: Study, trains: Trains) -> None:
        """A command typed again takes such workers over, and kills them when it must."""
        launched: list[bool] = []

        def watched(task: Assignment) -> TrialResult:
            launched.extend(one.launched for one in living_workers(study.folder.workers))
            return fakes.instant(task)

        trains(watched)
        WorkerLoop(study.folder.root, detached=True)(OmegaConf.create())

        assert {True} == set(launched)

    def test_it_ignores_the_terminal(self, study: Study, trains: Trains) -> None:
        """Ctrl-C reaches joblib's processes, too; afterwards all is as it was before."""
        before = signal.getsignal(signal.SIGINT)

        def pressed(task: Assignment) -> TrialResult:
            os.kill(os.getpid(), signal.SIGINT)
            return fakes.instant(task)

        trains(pressed)
        WorkerLoop(study.folder.root, detached=True)(OmegaConf.create())

        assert 4 == load_study(study.folder.root).counts["complete"]
        assert before is signal.getsignal(signal.SIGINT)

    @pytest.mark.parametrize(("parents", "left"), [([5, 5], []), ([5, 1], [Exit.COMPLETE])])
    def test_it_ends_a_process_whose_parent_is_gone(
        self,
        study: Study,
        monkeypatch: pytest.MonkeyPatch,
        parents: list[int],
        left: list[Exit],
    ) -> None:
        """A pool's process would wait for minutes to be given more work."""
        asked, codes = iter(parents), list[int]()
        monkeypatch.setattr(module.os, "getppid", lambda: next(asked))
        monkeypatch.setattr(module.os, "_exit", codes.append)
        WorkerLoop(study.folder.root, detached=True)(OmegaConf.create())

        assert left == codes

    def test_it_sees_one_device(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set before torch is imported, over what submitit has blanked."""
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        WorkerLoop(study.folder.root, gpu="3")(OmegaConf.create())

        assert "3" == os.environ["CUDA_VISIBLE_DEVICES"]


def test_a_heartbeat_names_the_leased_trial(study: Study, trains: Trains) -> None:
    """From the moment of the lease."""
    seen: list[str | None] = []

    def watched(task: Assignment) -> TrialResult:
        seen.extend(one.slug for one in living_workers(study.folder.workers))
        return fakes.instant(task)

    trains(watched)
    work(study)

    assert slugs(study) == seen
