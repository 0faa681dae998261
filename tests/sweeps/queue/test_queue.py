import dataclasses
import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from bvae import files
from bvae.exceptions import ConfigError
from bvae.trial import TrialResult
from sweeps import load_study
from sweeps.queue.attempts import Attempts, recorded
from sweeps.queue.events import End
from sweeps.queue.journal import open_journal
from sweeps.queue.queue import Lease, LeaseLostError, Queue
from sweeps.search import samplers
from sweeps.search.search import Search
from sweeps.study.heartbeat import HeartbeatWriter, WorkerRegistry
from sweeps.study.study import Study
from sweeps.study.trials import Trial
from tests.doubles.studies import (
    CONFIGURATION,
    SEARCH,
    attempts_of,
    make_search,
    make_study,
    result,
    slugs,
    trials,
    write_result,
)

STEPS_10, STEPS_20 = {"trainer.max_steps": 10}, {"trainer.max_steps": 20}


@pytest.fixture
def queue(study: Study) -> Queue:
    """Its queue, every trial queued."""
    queue = Queue(study)
    queue.reconcile(registry(study))
    return queue


def registry(study: Study) -> WorkerRegistry:
    """Return a registry that has seen no heartbeat yet."""
    return WorkerRegistry(study.folder.workers)


def heartbeat(study: Study, name: str = "w") -> HeartbeatWriter:
    """Return the heartbeat of a living worker."""
    return HeartbeatWriter(study.folder.workers / f"{name}.json", name=name)


def lease(queue: Queue, worker: str = "w", **options: Any) -> Lease:
    """Lease a trial that must be there."""
    found = queue.lease(worker, **options)
    assert found is not None
    return found


class TestClaim:
    def test_trials_come_in_order_each_once(self, study: Study, queue: Queue) -> None:
        """Leases follow the order of the study; when no trial waits there is none."""
        taken = [lease(queue).trial.slug for _ in study.trials]

        assert slugs(study) == taken
        assert queue.lease("w") is None

    def test_only_wanted_trials(self, study: Study, queue: Queue) -> None:
        """A worker may be given some trials only."""
        last = slugs(study)[-1]

        assert last == lease(queue, among=[last]).trial.slug
        assert queue.lease("w", among=[last]) is None

    def test_a_trial_is_announced_before_it_is_leased(self, study: Study, queue: Queue) -> None:
        """A worker killed at any moment is seen to have had the trial."""
        states: list[TrialState] = []

        lease(queue, announce=lambda slug: states.extend(t.state for t in attempts_of(study)))

        assert {TrialState.WAITING} == set(states)

    def test_two_queues_never_give_the_same_trial(self, study: Study, queue: Queue) -> None:
        """What one has given the other does not give again."""
        other = Queue(study)

        taken = [lease(one).trial.slug for one in (queue, other, queue, other)]

        assert sorted(slugs(study)) == sorted(taken)

    def test_extreme_values_can_be_queued(self, tmp_path: Path) -> None:
        """Any β the configuration allows has a place in the queue."""
        extreme = make_study(tmp_path / "tested", trials(beta=[1e-200, 1e200]))
        queue = Queue(extreme)

        assert 4 == len(queue.reconcile(registry(extreme)).queued)

    def test_leases_are_counted(self, queue: Queue) -> None:
        """The count shows whether a worker got as far as leasing a trial."""
        assert 0 == queue.n_leases()
        lease(queue)
        assert 1 == queue.n_leases()


class TestSearch:
    @pytest.fixture
    def study(self, tmp_path: Path) -> Study:
        """A search for twelve trials, seven of them to begin with."""
        return make_search(tmp_path / "tested")

    def test_trials_are_found_once_the_queue_is_empty(self, study: Study, queue: Queue) -> None:
        """Each is in the manifest before it is trained; twelve trainings, then no more."""
        for number in range(12):
            found = lease(queue)
            assert found.trial in load_study(study.folder.root).trials
            queue.commit(found, result(found.trial, scores={"mig": 0.01 * number}))

        assert queue.lease("w") is None
        done = load_study(study.folder.root)
        assert {"expected": 12, "complete": 12}.items() <= done.counts.items()
        assert study.trials == done.trials[:7]

    def test_the_leader_is_repeated(self, queue: Queue) -> None:
        """What is committed decides what is found next."""
        for _ in range(7):
            found = lease(queue)
            best = found.trial.values["beta"] == 16
            queue.commit(found, result(found.trial, scores={"mig": 0.5 if best else 0.1}))

        assert {"beta": 16, "latent_dim": 10, "seed": 1} == lease(queue).trial.values

    def test_two_workers_never_share_a_trial(self, study: Study, queue: Queue) -> None:
        """Nobody waits for another's result, nor gets what the other has."""
        other = Queue(study)
        found = [lease(one, name).trial for one, name in ((queue, "a"), (other, "b")) * 6]

        assert 12 == len(set(found))

    def test_a_kill_before_a_trial_is_queued(
        self, study: Study, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is in the manifest, so it is queued by the next reconciliation, and counts."""
        taken = [lease(queue) for _ in range(7)]

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt("killed")

        monkeypatch.setattr(Attempts, "enqueue", killed)
        with heartbeat(study), pytest.raises(KeyboardInterrupt, match="killed"):
            queue.lease("w")
        monkeypatch.undo()
        with heartbeat(study):
            again = Queue(load_study(study.folder.root))
            queued = again.reconcile(registry(study)).queued

        assert queued == slugs(load_study(study.folder.root))[7:]
        assert 1 == len(queued)
        assert queued[0] not in {one.trial.slug for one in taken}

    def test_a_trial_found_while_one_waits_for_the_lock(self, study: Study, queue: Queue) -> None:
        """A queue that read the study earlier reads it again when it gets the lock."""
        found = [lease(queue, "a") for _ in range(8)]
        late = lease(Queue(study), "b")  # which knows of seven trials

        assert late.trial not in {one.trial for one in found}
        assert 9 == len(load_study(study.folder.root).trials)

    @pytest.mark.slow
    def test_all_there_is_has_been_found(self, tmp_path: Path) -> None:
        """A search for more trials than there are ends; nothing is missing then."""
        space = {
            "beta": {"low": 1, "high": 2, "log": True, "integer": False},
            "latent_dim": {"low": 2, "high": 3, "log": True, "integer": True},
        }
        search = replace(SEARCH, space=space, n_trials=1000)
        made = make_study(tmp_path / "dry", Search.read(search).start(), search=search)
        queue = Queue(made)
        queue.reconcile(registry(made))
        while (found := queue.lease("w")) is not None:
            queue.commit(found, result(found.trial))

        done = load_study(made.folder.root)
        assert 0 == done.manifest.unfound == done.left
        assert 1000 > done.counts["complete"] >= 2 * 2 * 21  # seeds, latent sizes, places of β

    def test_a_worker_with_trials_of_its_own_finds_none(self, study: Study, queue: Queue) -> None:
        """A worker that trains certain trials does not search."""
        assert queue.lease("w", among=["beta=3,latent_dim=5,seed=0"]) is None
        assert 7 == len(load_study(study.folder.root).trials)

    def test_a_sampler_gets_its_system_attributes_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """CMA-ES keeps its state there; it is in the journal, beside the trials it has drawn."""
        given: list[dict[str, Any]] = []

        def next_trial(*known: Any, system_attrs: dict[str, Any]) -> Any:
            given.append(system_attrs)
            return real(*known, system_attrs=system_attrs)

        real = samplers.next_trial
        monkeypatch.setattr(samplers, "next_trial", next_trial)
        cmaes = {"_target_": "optuna.samplers.CmaEsSampler", "n_startup_trials": 1}
        study = make_study(
            tmp_path / "tested",
            trials(beta=[1, 64]),
            search=replace(SEARCH, sampler=cmaes, seeds=[0]),
        )
        queue = Queue(study)
        queue.reconcile(registry(study))
        for number in range(12):
            found = lease(queue)
            queue.commit(found, result(found.trial, scores={"mig": 0.01 * number}))

        last = given[-1].values()
        assert any(key.startswith("cma:") for system_attrs in last for key in system_attrs)


class TestCommit:
    def test_a_result_is_written_and_the_attempt_ended(self, study: Study, queue: Queue) -> None:
        """A complete trial is complete on disk and in the journal, with its objective."""
        with heartbeat(study):
            mine = lease(queue)
            queue.commit(mine, result(mine.trial))

        ended = [attempt for attempt in attempts_of(study) if attempt.state is TrialState.COMPLETE]
        assert [0.25] == [attempt.value for attempt in ended]
        assert 1 == load_study(study.folder.root).counts["complete"]

    def test_a_score_that_is_absent_is_the_worst(self, study: Study, queue: Queue) -> None:
        """Data without factors has no objective; the trial is complete all the same."""
        mine = lease(queue)
        queue.commit(mine, result(mine.trial, scores={}))

        assert [float("-inf")] == [t.value for t in attempts_of(study) if t.values]

    def test_a_score_that_is_no_number_is_the_worst(self, study: Study, queue: Queue) -> None:
        """Optuna would refuse NaN, and the worker would die of its own result."""
        mine = lease(queue)
        queue.commit(mine, result(mine.trial, scores={"mig": float("nan")}))

        assert [float("-inf")] == [t.value for t in attempts_of(study) if t.values]

    def test_a_failed_attempt_is_queued_again_until_the_last(
        self, study: Study, queue: Queue
    ) -> None:
        """Three attempts by default; then the trial is failed, and not queued again."""
        first = slugs(study)[0]
        for attempt in (1, 2, 3):
            mine = lease(queue, among=[first])
            assert attempt == mine.attempt_number
            failed = result(mine.trial, state="failed", attempt=attempt, error="ValueError: no")
            queue.commit(mine, failed)

        assert queue.lease("w", among=[first]) is None
        assert "failed" == load_study(study.folder.root).states[first]

    def test_a_worker_whose_trial_was_taken_over_cannot_commit(
        self, study: Study, queue: Queue
    ) -> None:
        """A slow worker wrongly declared dead is fenced off: its result is not written."""
        slow = lease(queue, "slow")
        queue.reconcile(registry(study))  # it has no heartbeat, so it is dead
        with heartbeat(study, "quick"):
            quick = lease(Queue(study), "quick", among=[slow.trial.slug])

            with pytest.raises(LeaseLostError, match=slow.trial.slug):
                queue.commit(slow, result(slow.trial, scores={"mig": 0.9}))
            queue.commit(quick, result(quick.trial))

        written = load_study(study.folder.root).results.get(slow.trial.slug)
        assert written is not None
        assert {"mig": 0.25} == written.scores

    def test_a_full_disk_leaves_the_lease(
        self, study: Study, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """ENOSPC while committing costs nothing: the next try succeeds."""
        mine = lease(queue)
        write = files._write

        def full(path: Path, data: bytes) -> None:
            write(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files, "_write", full)
        with pytest.raises(OSError, match="No space left"):
            queue.commit(mine, result(mine.trial))
        folder = study.folder.trial(mine.trial.slug).root
        assert [] == list(folder.iterdir())

        monkeypatch.setattr(files, "_write", write)
        queue.commit(mine, result(mine.trial))
        assert 1 == load_study(study.folder.root).counts["complete"]

    def test_training_state_goes_when_the_trial_is_complete(
        self, study: Study, queue: Queue
    ) -> None:
        """Only what is worth keeping stays: neither resume.ckpt nor a killed writer's file."""
        mine = lease(queue)
        folder = study.folder.trial(mine.trial.slug)
        folder.checkpoints.mkdir(parents=True)
        for name in ("resume.ckpt", "last.ckpt", f".{'a' * 32}.ckpt"):
            (folder.checkpoints / name).touch()

        queue.commit(mine, result(mine.trial))

        assert ["last.ckpt"] == [path.name for path in folder.checkpoints.iterdir()]


class TestRelease:
    def test_a_released_trial_keeps_its_attempt_number(self, study: Study, queue: Queue) -> None:
        """An interruption does not count."""
        mine = lease(queue)
        queue.release(mine)

        again = lease(queue)
        assert (mine.trial, 1) == (again.trial, again.attempt_number)

    def test_a_trial_that_was_taken_over_cannot_be_released(
        self, study: Study, queue: Queue
    ) -> None:
        """It is the other worker's now."""
        mine = lease(queue)
        queue.reconcile(registry(study))

        with pytest.raises(LeaseLostError, match=mine.trial.slug):
            queue.release(mine)


class TestReconcile:
    def test_it_is_idempotent(self, study: Study, queue: Queue) -> None:
        """A second call finds nothing to do."""
        assert [] == queue.reconcile(registry(study)).queued
        assert len(study.trials) == len(attempts_of(study))

    def test_a_dead_workers_trial_is_queued_again(self, study: Study, queue: Queue) -> None:
        """Death is no attempt: the number stays."""
        mine = lease(queue)

        changes = queue.reconcile(registry(study))

        assert [mine.trial.slug] == changes.died == changes.queued
        assert 1 == lease(queue).attempt_number

    def test_a_living_workers_trial_is_left_alone(self, study: Study, queue: Queue) -> None:
        """The lease of a living worker stands."""
        with heartbeat(study):
            mine = lease(queue)
            changes = queue.reconcile(registry(study))

            assert [] == changes.died == changes.queued
            assert queue.holds(mine)

    def test_a_result_without_an_ended_attempt_is_imported(
        self, study: Study, queue: Queue
    ) -> None:
        """Killed between result and journal: the result stands, the trial is not run again."""
        mine = lease(queue)
        write_result(study, mine.trial)

        changes = queue.reconcile(registry(study))

        assert [mine.trial.slug] == changes.imported
        assert [] == changes.died == changes.queued
        assert 1 == sum(attempt.state is TrialState.COMPLETE for attempt in attempts_of(study))

    def test_an_attempt_that_ended_is_no_death(self, study: Study, queue: Queue) -> None:
        """Killed after writing that the attempt failed: the next attempt is queued."""
        mine = lease(queue)
        write_result(study, mine.trial, state="failed", error="ValueError: no")

        queue.reconcile(registry(study))

        ended = [recorded(attempt).end for attempt in attempts_of(study)]
        assert End.DEATH not in ended
        assert 2 == lease(queue).attempt_number

    def test_a_lease_without_a_worker_is_abandoned(self, study: Study, queue: Queue) -> None:
        """Its worker was killed between setting the state and writing its name."""
        storage = open_journal(study.folder.journal)
        (only,) = storage.get_all_studies()
        study_id = storage.get_study_id_from_name(only.study_name)
        first = storage.get_trial_id_from_study_id_trial_number(study_id, 0)
        storage.set_trial_state_values(first, state=TrialState.RUNNING)

        assert slugs(study)[:1] == queue.reconcile(registry(study)).queued

    @pytest.mark.parametrize("deaths", [3])
    def test_a_trial_that_kills_its_workers_is_failed(self, tmp_path: Path, deaths: int) -> None:
        """After so many deaths without progress the trial is failed, and says why."""
        study = make_study(tmp_path / "tested", max_deaths=deaths)
        queue = Queue(study)
        first = slugs(study)[0]
        queue.reconcile(registry(study))
        for _ in range(deaths):
            lease(queue, among=[first])
            changes = queue.reconcile(registry(study))

        assert [first] == changes.abandoned
        failed_study = load_study(study.folder.root)
        assert "failed" == failed_study.states[first]
        assert f"its worker died {deaths} times" in failed_study.failures[0]
        assert queue.lease("w", among=[first]) is None

    def test_an_extended_grid_is_reloaded(self, study: Study, queue: Queue) -> None:
        """A queue opened before the grid grew leases the new trials."""
        more = trials(beta=[1, 4, 16])
        make_study(study.folder.root, more)
        Queue(load_study(study.folder.root)).reconcile(registry(study))

        taken = {lease(queue).trial for _ in more}

        assert set(more) == taken
        assert set(more) == set(queue.study.trials)


class TestExtension:
    @pytest.fixture
    def longer(self, tmp_path: Path) -> Study:
        """A study of one complete trial of 10 steps that was extended to 20."""
        study = make_study(tmp_path / "tested", trials(beta=[1], seed=[0]), base=STEPS_10)
        write_result(study, study.trials[0], steps=10)
        Queue(study).reconcile(registry(study))
        dataclasses.replace(study.manifest, base=STEPS_20).write(study.folder.manifest)
        return load_study(study.folder.root)

    def test_a_shorter_trial_is_queued_again(self, longer: Study) -> None:
        """Its result stays until there is one of more steps, and that is final."""
        queue = Queue(longer)
        assert slugs(longer) == queue.reconcile(registry(longer)).queued
        with heartbeat(longer):
            mine = lease(queue)
            assert (1, 10) == (mine.attempt_number, longer.results[mine.trial.slug].steps)
            queue.commit(mine, result(mine.trial, steps=20))

        assert [] == queue.reconcile(registry(longer)).queued
        assert 1 == load_study(longer.folder.root).counts["complete"]

    def test_a_seed_of_a_pruned_configuration_keeps_its_result(self, tmp_path: Path) -> None:
        """It was trained to the end, and can be continued to any length."""
        listed = trials(beta=[1], seed=[0, 1])
        study = make_study(tmp_path / "t", listed, base=STEPS_10, pruner="percentile")
        write_result(study, listed[0], steps=10)
        write_result(study, listed[1], steps=5, state="pruned", scores={})
        Queue(study).reconcile(registry(study))
        dataclasses.replace(study.manifest, base=STEPS_20).write(study.folder.manifest)
        longer = load_study(study.folder.root)
        queue = Queue(longer)
        queue.reconcile(registry(longer))
        with heartbeat(longer):
            mine = lease(queue)

            assert (listed[0], None) == (mine.trial, queue.lease("other"))
            assert not queue.should_prune(mine, step=10, score=0.0)
        kept = longer.results.get(mine.trial.slug)
        assert kept is not None
        assert ("complete", 10) == (kept.state, kept.steps)

    def test_a_continued_trial_that_fails_keeps_its_scores(self, longer: Study) -> None:
        """Those of the shorter training are beside the result of the failure."""
        queue = Queue(longer)
        queue.reconcile(registry(longer))
        with heartbeat(longer):
            mine = lease(queue)
            queue.commit(mine, result(mine.trial, state="failed", scores={}, error="E: no"))

        folder = longer.folder.trial(mine.trial.slug)
        kept = TrialResult.read(folder.result.with_name("result.10.json"))
        assert kept is not None
        assert {"mig": 0.25} == kept.scores

    def test_a_death_on_the_way_is_a_death(self, longer: Study) -> None:
        """The shorter result does not pass for that of the attempt which was killed."""
        queue = Queue(longer)
        queue.reconcile(registry(longer))
        lease(queue)

        changes = queue.reconcile(registry(longer))

        assert slugs(longer) == changes.died == changes.queued
        assert TrialState.FAIL in {attempt.state for attempt in attempts_of(longer)}

    def test_its_training_state_stays(self, longer: Study) -> None:
        """Files of a late attempt are not removed while another attempt may use them."""
        folder = longer.folder.trial(slugs(longer)[0])
        folder.checkpoints.mkdir(parents=True)
        folder.resume.write_bytes(b"state")

        Queue(longer).tidy(slugs(longer)[0])

        assert folder.resume.exists()


class TestLostJournal:
    def damage(self, journal: Path) -> None:
        """Put nonsense into the middle of a journal."""
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join([*lines[:2], b"nonsense\n", *lines[2:]]))

    def test_a_damaged_journal_is_moved_aside_and_rebuilt(self, study: Study, queue: Queue) -> None:
        """Results are imported, the rest is queued, the old journal is kept, a message says so."""
        mine = lease(queue)
        queue.commit(mine, result(mine.trial))
        self.damage(study.folder.journal)

        rebuilt = Queue(study)
        changes = rebuilt.reconcile(registry(study))

        assert [mine.trial.slug] == changes.imported
        assert slugs(study)[1:] == changes.queued
        assert study.folder.journal.with_name("study.journal.damaged-1").exists()
        assert "moved to study.journal.damaged-1" in changes.messages[0]

    @pytest.mark.parametrize("lose", [Path.unlink, None], ids=["gone", "damaged"])
    def test_a_living_worker_keeps_its_trial(
        self, study: Study, queue: Queue, lose: Callable[[Path], None] | None
    ) -> None:
        """A trial of a living worker is not leased to others when the journal is lost."""
        with heartbeat(study) as worker:
            mine = lease(queue, announce=worker.report)
            (lose or self.damage)(study.folder.journal)
            other = Queue(study)
            other.reconcile(registry(study))

            assert mine.trial.slug not in {lease(other, "o").trial.slug for _ in range(3)}
            assert other.lease("o") is None
            queue.commit(mine, result(mine.trial))

        assert 1 == load_study(study.folder.root).counts["complete"]
        assert 1 == sum(attempt.state is TrialState.COMPLETE for attempt in attempts_of(study))

    def test_a_journal_that_was_removed_is_reported(self, study: Study) -> None:
        """Removed while no command ran: results are imported, and there is one message."""
        write_result(study, study.trials[0])
        queue = Queue(study)

        assert ["study.journal was lost; rebuilt from the result files"] == (
            queue.reconcile(registry(study)).messages
        )
        assert [] == queue.reconcile(registry(study)).messages

    def test_a_new_study_has_lost_nothing(self, study: Study) -> None:
        """It has no journal because it is new."""
        assert [] == Queue(study).reconcile(registry(study)).messages

    def test_every_trial_waits_again_in_the_new_one(self, study: Study, queue: Queue) -> None:
        """Whatever numbers its attempts had in the journal that is gone."""
        for _ in range(2):
            queue.release(lease(queue))
        study.folder.journal.unlink()

        assert slugs(study) == [lease(queue).trial.slug for _ in study.trials]

    def test_a_journal_cut_off_is_rebuilt(self, study: Study, queue: Queue) -> None:
        """Emptied in place, under a queue that has it open."""
        study.folder.journal.write_bytes(b"")

        changes = queue.reconcile(registry(study))

        assert "was replaced or cut off" in changes.messages[0]
        assert slugs(study) == [lease(queue).trial.slug for _ in study.trials]

    def test_a_study_moved_elsewhere_goes_on(self, study: Study, tmp_path: Path) -> None:
        """Nothing in a study's folder depends on where it is."""
        for trial in study.trials:
            write_result(study, trial)
        Queue(study).reconcile(registry(study))
        shutil.move(study.folder.root, tmp_path / "moved")
        moved = load_study(tmp_path / "moved")

        changes = Queue(moved).reconcile(registry(moved))

        assert [] == changes.queued == changes.imported


class TestKeepTrials:
    @pytest.fixture
    def study(self, tmp_path: Path) -> Study:
        """Four trials, of which one keeps its weights."""
        checkpoint = CONFIGURATION["checkpoint"] | {"keep_trials": 1}
        return make_study(
            tmp_path / "tested", compositions={"": CONFIGURATION | {"checkpoint": checkpoint}}
        )

    def with_weights(self, study: Study) -> list[str]:
        """Return the slugs of the trials that have weights."""
        return [slug for slug in slugs(study) if study.folder.trial(slug).last.exists()]

    def save(self, study: Study) -> None:
        """Give every trial weights, as if each were trained."""
        for slug in slugs(study):
            folder = study.folder.trial(slug)
            folder.checkpoints.mkdir(parents=True, exist_ok=True)
            folder.last.touch()

    def test_the_best_keeps_its_weights(self, study: Study) -> None:
        """Decided whenever a result is committed; one that is to be trained is left alone."""
        self.save(study)
        queue = Queue(study)
        queue.reconcile(registry(study))
        for score in (0.3, 0.5, 0.4):
            leased = lease(queue)
            queue.commit(leased, result(leased.trial, scores={"mig": score}, active_latents=3))
            ended = load_study(study.folder.root).results
            best = max(ended, key=lambda slug: ended[slug].scores["mig"])
            left = [slug for slug in slugs(study) if slug not in ended]
            assert {best, *left} == {*self.with_weights(study)}

    def test_a_finished_study(self, study: Study) -> None:
        """Typed again with fewer, the others lose theirs; one that has collapsed is not best."""
        for trial, (score, active) in zip(
            study.trials, [(0.9, 1), (0.2, 3), (0.4, 3), (0.3, 3)], strict=True
        ):
            write_result(study, trial, scores={"mig": score}, active_latents=active)
        self.save(study)

        Queue(study).reconcile(registry(study))

        assert [slugs(study)[2]] == self.with_weights(study)

    def test_a_trial_to_be_continued(self, study: Study) -> None:
        """Its weights are where it goes on from."""
        longer = replace(study.manifest, base=STEPS_20)
        longer.write(study.folder.manifest)
        for trial in study.trials:
            write_result(study, trial, steps=10)
        self.save(study)

        Queue(study).reconcile(registry(study))

        assert slugs(study) == self.with_weights(study)


class TestDrop:
    def drop(self, study: Study, *dropped: Trial) -> list[Path]:
        """Drop these trials as another process does."""
        return Queue(study).drop([trial.slug for trial in dropped], registry(study))

    def test_they_leave_and_their_folders_stay(self, study: Study) -> None:
        """Manifest and queue of a process at work lose them; the result lies in the trash."""
        first, second, *others = study.trials
        write_result(study, first)
        at_work = Queue(study)
        at_work.reconcile(registry(study))

        moved = self.drop(study, first, second)
        at_work.reconcile(registry(study))

        assert others == [*load_study(study.folder.root).trials]
        assert {trial.slug for trial in others} == at_work.open_slugs()
        assert [study.folder.trash / first.slug / "result.json"] == [*moved[0].iterdir()]
        assert not study.folder.trial(first.slug).root.exists()

    def test_a_trial_comes_back_and_goes_again(self, study: Study) -> None:
        """Added once more it is trained anew; both folders are kept."""
        first = study.trials[0]
        for _ in range(2):
            write_result(study, first)
            self.drop(study, first)
            study.manifest.write(study.folder.manifest)

        assert "pending" == load_study(study.folder.root).states[first.slug]
        assert {first.slug, f"{first.slug}.2"} == {one.name for one in study.folder.trash.iterdir()}

    def test_a_link_to_nowhere_goes_too(self, study: Study) -> None:
        """In a trial's place it would be in the way of its next folder; in the trash, of this."""
        first = study.trials[0]
        for path in (study.folder.trial(first.slug).root, study.folder.trash / first.slug):
            path.parent.mkdir(exist_ok=True)
            path.symlink_to("nowhere")

        moved = self.drop(study, first)

        assert [study.folder.trash / f"{first.slug}.2"] == moved
        assert not study.folder.trial(first.slug).root.is_symlink()

    def test_none_that_a_worker_runs(self, study: Study) -> None:
        """Nothing is changed; what is to be done is said."""
        with HeartbeatWriter(study.folder.heartbeat("w"), name="w") as worker:
            queue = Queue(study)
            queue.reconcile(registry(study))
            leased = queue.lease("w", announce=worker.report)
            assert leased is not None
            with pytest.raises(ConfigError, match=r"a worker runs it; stop .*: sweeps stop '?/"):
                self.drop(study, *study.trials[:2])
        assert study.manifest == load_study(study.folder.root).manifest

        self.drop(study, leased.trial)  # whose worker has died
        assert leased.trial not in load_study(study.folder.root).trials

    def test_not_all(self, study: Study) -> None:
        """A study without a trial is none."""
        with pytest.raises(ConfigError, match="no trial would be left; remove the folder"):
            self.drop(study, *study.trials)

    def test_a_search_finds_no_others_instead(self, tmp_path: Path) -> None:
        """It ends after as many trainings fewer."""
        study = make_search(tmp_path / "tested", n_trials=6)
        before = len(study.trials)

        self.drop(study, study.trials[0])

        found = load_study(study.folder.root).manifest
        assert (before - 1, 5) == (len(found.trials), found.search.n_trials)  # type: ignore[union-attr]
        assert study.manifest.unfound == found.unfound


class TestRetry:
    def fail(self, study: Study, trial: Trial) -> None:
        """Make a trial failed for good."""
        write_result(study, trial, state="failed", attempt=3, error="ValueError: no")

    def test_a_failed_trial_starts_anew(self, study: Study) -> None:
        """The old result is kept beside, old weights go, attempts count from one again."""
        first = study.trials[0]
        self.fail(study, first)
        folder = study.folder.trial(first.slug)
        folder.checkpoints.mkdir()
        queue = Queue(study)
        queue.reconcile(registry(study))

        queue.retry([first.slug])

        again = lease(queue)
        assert (first, 1) == (again.trial, again.attempt_number)
        assert (folder.root / "result.failed.json").exists()
        assert not folder.checkpoints.exists()

    def test_a_queue_at_work_learns_of_it(self, study: Study) -> None:
        """Another process may ask for it while the study runs."""
        self.fail(study, study.trials[0])
        at_work = Queue(study)
        at_work.reconcile(registry(study))

        Queue(study).retry([study.trials[0].slug])
        at_work.reconcile(registry(study))

        assert study.trials[0] == lease(at_work).trial

    def test_deaths_before_count_no_more(self, tmp_path: Path) -> None:
        """A trial that failed by deaths of its workers does not fail again at once."""
        study = make_study(tmp_path / "tested", trials(beta=[1], seed=[0]), max_deaths=1)
        queue = Queue(study)
        queue.reconcile(registry(study))
        lease(queue)
        assert queue.reconcile(registry(study)).abandoned

        queue.retry(slugs(study))

        assert [] == queue.reconcile(registry(study)).abandoned
        assert 1 == lease(queue).attempt_number

    def test_a_trial_that_has_failed_no_more_is_left_alone(self, study: Study) -> None:
        """Asked for twice at once, the second time there is nothing to do."""
        first = study.trials[0]
        self.fail(study, first)
        queue = Queue(study)

        assert [first.slug] == queue.retry([first.slug])
        assert [] == queue.retry([first.slug])


class TestDroppedTrial:
    def test_its_worker_loses_the_lease(self, study: Study, queue: Queue) -> None:
        """The trial leaves the manifest; nothing of it waits, is committed or counts."""
        mine = lease(queue)
        Queue(study).drop([mine.trial.slug, "unknown"], registry(study))

        with pytest.raises(LeaseLostError, match="is dropped"):
            queue.commit(mine, result(mine.trial))
        assert mine.trial.slug not in queue.open_slugs()
        assert 3 == load_study(study.folder.root).counts["expected"]

    def test_one_typed_again_begins_anew(self, study: Study, queue: Queue) -> None:
        """Killed before the queue was told, too: whoever looks after it then does it."""
        first = lease(queue).trial
        shorter = [trial.values for trial in study.trials[1:]]
        replace(study.manifest, trials=shorter).write(study.folder.manifest)
        assert [] == queue.reconcile(registry(study)).died
        study.manifest.write(study.folder.manifest)

        assert [first.slug] == queue.reconcile(registry(study)).queued
        ends = [recorded(one).end for one in attempts_of(study)]
        assert [End.DROPPED] == [end for end in ends if end is not None]


def test_records_are_frozen() -> None:
    """A lease cannot be changed by its worker."""
    held = Lease(trials()[0], 1, "w")
    with pytest.raises(dataclasses.FrozenInstanceError, match="attempt_number"):
        held.attempt_number = 2  # type: ignore[misc]
