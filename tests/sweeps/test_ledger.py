import dataclasses
import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from studies import SEARCH, make_search, make_study, points, result, slugs, write_result

from bvae import files
from bvae.trial import TrialResult
from sweeps import samplers
from sweeps.attempts import Attempts, deaths_without_progress
from sweeps.journal import open_journal
from sweeps.ledger import Claim, ClaimLostError, Ledger
from sweeps.points import Point
from sweeps.presence import Present, Watch
from sweeps.search import Search
from sweeps.study import Study, load_study

STEPS_10, STEPS_20 = {"trainer.max_steps": 10}, {"trainer.max_steps": 20}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study of four points."""
    return make_study(tmp_path / "tested")


@pytest.fixture
def ledger(study: Study) -> Ledger:
    """Its ledger, every point queued."""
    ledger = Ledger(study)
    ledger.reconcile(watch(study))
    return ledger


def watch(study: Study) -> Watch:
    """Return a fresh look at who is alive."""
    return Watch(study.folder.workers)


def trials(study: Study) -> list[FrozenTrial]:
    """Return what the journal holds."""
    return optuna.load_study(
        storage=open_journal(study.folder.journal), study_name=study.name
    ).trials


def present(study: Study, name: str = "w") -> Present:
    """Return the presence of a living worker."""
    return Present(study.folder.workers / f"{name}.json", name=name)


def claim(ledger: Ledger, worker: str = "w", **options: Any) -> Claim:
    """Claim a point that must be there."""
    found = ledger.claim(worker, **options)
    assert found is not None
    return found


class TestClaim:
    def test_points_come_in_order_each_once(self, study: Study, ledger: Ledger) -> None:
        """Claims follow the order of the study; when none waits there is no claim."""
        taken = [claim(ledger).point.slug for _ in study.points]

        assert slugs(study) == taken
        assert ledger.claim("w") is None

    def test_only_wanted_points(self, study: Study, ledger: Ledger) -> None:
        """A worker may be given some points only."""
        last = slugs(study)[-1]

        assert last == claim(ledger, among=[last]).point.slug
        assert ledger.claim("w", among=[last]) is None

    def test_a_point_is_announced_before_it_is_taken(self, study: Study, ledger: Ledger) -> None:
        """Whoever takes a point is seen to be at it, whenever they are killed."""
        states: list[TrialState] = []

        claim(ledger, announce=lambda slug: states.extend(t.state for t in trials(study)))

        assert {TrialState.WAITING} == set(states)

    def test_two_ledgers_never_give_the_same_point(self, study: Study, ledger: Ledger) -> None:
        """What one has given the other does not give again."""
        other = Ledger(study)

        taken = [claim(one).point.slug for one in (ledger, other, ledger, other)]

        assert sorted(slugs(study)) == sorted(taken)

    def test_extreme_values_can_be_queued(self, tmp_path: Path) -> None:
        """Any β the configuration allows has a place in the queue."""
        extreme = make_study(tmp_path / "tested", points(beta=[1e-200, 1e200]))
        ledger = Ledger(extreme)

        assert 4 == len(ledger.reconcile(watch(extreme)).queued)

    def test_claims_are_counted(self, ledger: Ledger) -> None:
        """The count tells whether a worker got as far as taking a point."""
        assert 0 == ledger.claims()
        claim(ledger)
        assert 1 == ledger.claims()


class TestSearch:
    @pytest.fixture
    def study(self, tmp_path: Path) -> Study:
        """A search for twelve points, seven of them to begin with."""
        return make_search(tmp_path / "tested")

    def test_points_are_found_once_the_queue_is_empty(self, study: Study, ledger: Ledger) -> None:
        """Each is in the manifest before it is trained; twelve trainings, then no more."""
        for number in range(12):
            found = claim(ledger)
            assert found.point in load_study(study.folder.root).points
            ledger.commit(found, result(found.point, scores={"mig": 0.01 * number}))

        assert ledger.claim("w") is None
        done = load_study(study.folder.root)
        assert {"expected": 12, "complete": 12}.items() <= done.counts.items()
        assert study.points == done.points[:7]

    def test_the_leader_is_repeated(self, ledger: Ledger) -> None:
        """What is committed decides what is found next."""
        for _ in range(7):
            found = claim(ledger)
            best = found.point.values["beta"] == 16
            ledger.commit(found, result(found.point, scores={"mig": 0.5 if best else 0.1}))

        assert {"beta": 16, "latent_dim": 10, "seed": 1} == claim(ledger).point.values

    def test_two_workers_never_share_a_point(self, study: Study, ledger: Ledger) -> None:
        """Nobody waits for another's result, nor gets what the other has."""
        other = Ledger(study)
        found = [claim(one, name).point for one, name in ((ledger, "a"), (other, "b")) * 6]

        assert 12 == len(set(found))

    def test_a_kill_before_a_point_is_queued(
        self, study: Study, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is in the manifest, so it is queued by whoever looks next, and counts."""
        taken = [claim(ledger) for _ in range(7)]

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Attempts, "enqueue", killed)
        with present(study), pytest.raises(KeyboardInterrupt):
            ledger.claim("w")
        monkeypatch.undo()
        with present(study):
            again = Ledger(load_study(study.folder.root))
            queued = again.reconcile(watch(study)).queued

        assert queued == slugs(load_study(study.folder.root))[7:]
        assert 1 == len(queued)
        assert queued[0] not in {one.point.slug for one in taken}

    def test_a_point_found_while_one_waits_for_the_lock(self, study: Study, ledger: Ledger) -> None:
        """Who read the study before that takes the study as it is when it gets the lock."""
        found = [claim(ledger, "a") for _ in range(8)]
        late = claim(Ledger(study), "b")  # which knows of seven points

        assert late.point not in {one.point for one in found}
        assert 9 == len(load_study(study.folder.root).points)

    def test_all_there_is_has_been_found(self, tmp_path: Path) -> None:
        """A search for more points than there are ends; nothing is missing then."""
        space = {
            "beta": {"low": 1, "high": 2, "log": True, "integer": False},
            "latent_dim": {"low": 2, "high": 3, "log": True, "integer": True},
        }
        search = SEARCH | {"space": space, "n_trials": 1000}
        made = make_study(tmp_path / "dry", Search.read(search).start(), search=search)
        ledger = Ledger(made)
        ledger.reconcile(watch(made))
        while (found := ledger.claim("w")) is not None:
            ledger.commit(found, result(found.point))

        done = load_study(made.folder.root)
        assert 0 == done.manifest.unfound == done.left
        assert 1000 > done.counts["complete"] >= 2 * 2 * 21  # seeds, latent sizes, places of β

    def test_a_worker_with_points_of_its_own_finds_none(self, study: Study, ledger: Ledger) -> None:
        """Who was sent to train one point does not search."""
        assert ledger.claim("w", among=["beta=3,latent_dim=5,seed=0"]) is None
        assert 7 == len(load_study(study.folder.root).points)

    def test_a_sampler_is_told_its_notes_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """CMA-ES keeps its state there; it is in the journal, beside the points it has drawn."""
        told: list[dict[str, Any]] = []

        def next_point(*known: Any, notes: dict[str, Any]) -> Any:
            told.append(notes)
            return real(*known, notes=notes)

        real = samplers.next_point
        monkeypatch.setattr(samplers, "next_point", next_point)
        cmaes = {"_target_": "optuna.samplers.CmaEsSampler", "n_startup_trials": 1}
        study = make_study(
            tmp_path / "tested",
            points(beta=[1, 64]),
            search=SEARCH | {"sampler": cmaes, "seeds": [0]},
        )
        ledger = Ledger(study)
        ledger.reconcile(watch(study))
        for number in range(12):
            found = claim(ledger)
            ledger.commit(found, result(found.point, scores={"mig": 0.01 * number}))

        last = told[-1].values()
        assert any(key.startswith("cma:") for notes in last for key in notes)


class TestCommit:
    def test_result_is_written_then_told(self, study: Study, ledger: Ledger) -> None:
        """A complete point is complete on disk and in the journal, with its objective."""
        with present(study):
            mine = claim(ledger)
            ledger.commit(mine, result(mine.point))

        told = [trial for trial in trials(study) if trial.state is TrialState.COMPLETE]
        assert [0.25] == [trial.value for trial in told]
        assert 1 == load_study(study.folder.root).counts["complete"]

    def test_a_score_that_is_absent_is_the_worst(self, study: Study, ledger: Ledger) -> None:
        """Data without factors has no objective; the point is complete all the same."""
        mine = claim(ledger)
        ledger.commit(mine, result(mine.point, scores={}))

        assert [float("-inf")] == [t.value for t in trials(study) if t.values]

    def test_a_score_that_is_no_number_is_the_worst(self, study: Study, ledger: Ledger) -> None:
        """Optuna would refuse NaN, and the worker would die of its own result."""
        mine = claim(ledger)
        ledger.commit(mine, result(mine.point, scores={"mig": float("nan")}))

        assert [float("-inf")] == [t.value for t in trials(study) if t.values]

    def test_a_failed_attempt_is_queued_again_until_the_last(
        self, study: Study, ledger: Ledger
    ) -> None:
        """Three attempts by default; then the point is failed, and not queued again."""
        first = slugs(study)[0]
        for attempt in (1, 2, 3):
            mine = claim(ledger, among=[first])
            assert attempt == mine.attempt
            failed = result(mine.point, state="failed", attempt=attempt, error="ValueError: no")
            ledger.commit(mine, failed)

        assert ledger.claim("w", among=[first]) is None
        assert "failed" == load_study(study.folder.root).states[first]

    def test_a_worker_whose_point_was_taken_over_cannot_commit(
        self, study: Study, ledger: Ledger
    ) -> None:
        """A slow worker wrongly reaped is fenced: nothing of it is written."""
        slow = claim(ledger, "slow")
        ledger.reconcile(watch(study))  # it has no presence: taken for dead
        with present(study, "quick"):
            quick = claim(Ledger(study), "quick", among=[slow.point.slug])

            with pytest.raises(ClaimLostError):
                ledger.commit(slow, result(slow.point, scores={"mig": 0.9}))
            ledger.commit(quick, result(quick.point))

        written = load_study(study.folder.root).result(slow.point.slug)
        assert written is not None
        assert {"mig": 0.25} == written.scores

    def test_a_full_disk_leaves_the_claim(
        self, study: Study, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """ENOSPC while committing costs nothing: the next try succeeds."""
        mine = claim(ledger)
        write = files._write

        def full(path: Path, data: bytes) -> None:
            write(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files, "_write", full)
        with pytest.raises(OSError, match="No space left"):
            ledger.commit(mine, result(mine.point))
        folder = study.folder.trial(mine.point.slug).root
        assert [] == list(folder.iterdir())

        monkeypatch.setattr(files, "_write", write)
        ledger.commit(mine, result(mine.point))
        assert 1 == load_study(study.folder.root).counts["complete"]

    def test_training_state_goes_when_the_point_is_complete(
        self, study: Study, ledger: Ledger
    ) -> None:
        """Only what is worth keeping stays: neither resume.ckpt nor a killed writer's file."""
        mine = claim(ledger)
        folder = study.folder.trial(mine.point.slug)
        folder.checkpoints.mkdir(parents=True)
        for name in ("resume.ckpt", "last.ckpt", f".{'a' * 32}.ckpt"):
            (folder.checkpoints / name).touch()

        ledger.commit(mine, result(mine.point))

        assert ["last.ckpt"] == [path.name for path in folder.checkpoints.iterdir()]


class TestRelease:
    def test_a_point_given_back_keeps_its_attempt(self, study: Study, ledger: Ledger) -> None:
        """An interruption does not count."""
        mine = claim(ledger)
        ledger.release(mine)

        again = claim(ledger)
        assert (mine.point, 1) == (again.point, again.attempt)

    def test_a_point_that_was_taken_over_cannot_be_given_back(
        self, study: Study, ledger: Ledger
    ) -> None:
        """It is the other worker's now."""
        mine = claim(ledger)
        ledger.reconcile(watch(study))

        with pytest.raises(ClaimLostError):
            ledger.release(mine)


class TestReconcile:
    def test_it_settles_at_once(self, study: Study, ledger: Ledger) -> None:
        """A second call finds nothing to do."""
        assert [] == ledger.reconcile(watch(study)).queued
        assert len(study.points) == len(trials(study))

    def test_a_dead_workers_point_is_queued_again(self, study: Study, ledger: Ledger) -> None:
        """Death is no attempt: the number stays."""
        mine = claim(ledger)

        changes = ledger.reconcile(watch(study))

        assert [mine.point.slug] == changes.died == changes.queued
        assert 1 == claim(ledger).attempt

    def test_a_living_workers_point_is_left_alone(self, study: Study, ledger: Ledger) -> None:
        """Nobody takes what a living worker is at."""
        with present(study):
            mine = claim(ledger)
            changes = ledger.reconcile(watch(study))

            assert [] == changes.died == changes.queued
            assert ledger.holds(mine)

    def test_a_result_that_was_not_told_is_adopted(self, study: Study, ledger: Ledger) -> None:
        """Killed between write and tell: the result stands, the point is not run again."""
        mine = claim(ledger)
        write_result(study, mine.point)

        changes = ledger.reconcile(watch(study))

        assert [mine.point.slug] == changes.adopted
        assert [] == changes.died == changes.queued
        assert 1 == sum(trial.state is TrialState.COMPLETE for trial in trials(study))

    def test_an_attempt_that_ended_is_no_death(self, study: Study, ledger: Ledger) -> None:
        """Killed after writing that the attempt failed: the next attempt is queued."""
        mine = claim(ledger)
        write_result(study, mine.point, state="failed", error="ValueError: no")

        ledger.reconcile(watch(study))

        assert 0 == deaths_without_progress(trials(study))
        assert 2 == claim(ledger).attempt

    def test_a_claim_that_was_not_signed_is_taken_back(self, study: Study, ledger: Ledger) -> None:
        """Killed between taking a trial and writing its name on it."""
        storage = open_journal(study.folder.journal)
        storage.set_trial_state_values(trials(study)[0]._trial_id, state=TrialState.RUNNING)

        assert slugs(study)[:1] == ledger.reconcile(watch(study)).queued

    @pytest.mark.parametrize("deaths", [3])
    def test_a_point_that_kills_its_workers_is_given_up(self, tmp_path: Path, deaths: int) -> None:
        """After so many deaths without progress the point is failed, and says why."""
        study = make_study(tmp_path / "tested", max_deaths=deaths)
        ledger = Ledger(study)
        first = slugs(study)[0]
        ledger.reconcile(watch(study))
        for _ in range(deaths):
            claim(ledger, among=[first])
            changes = ledger.reconcile(watch(study))

        assert [first] == changes.given_up
        given_up = load_study(study.folder.root)
        assert "failed" == given_up.states[first]
        assert f"its worker died {deaths} times" in given_up.failures[0]
        assert ledger.claim("w", among=[first]) is None

    def test_an_extended_grid_is_taken_up(self, study: Study, ledger: Ledger) -> None:
        """A worker that was at work before the grid grew knows the new points."""
        more = points(beta=[1, 4, 16])
        make_study(study.folder.root, more)
        Ledger(load_study(study.folder.root)).reconcile(watch(study))

        taken = {claim(ledger).point for _ in more}

        assert set(more) == taken
        assert set(more) == set(ledger.study.points)


class TestExtension:
    @pytest.fixture
    def longer(self, tmp_path: Path) -> Study:
        """A study of one complete point of 10 steps that was extended to 20."""
        study = make_study(tmp_path / "tested", points(beta=[1], seed=[0]), base=STEPS_10)
        write_result(study, study.points[0], steps=10)
        Ledger(study).reconcile(watch(study))
        dataclasses.replace(study.manifest, base=STEPS_20).write(study.folder.manifest)
        return load_study(study.folder.root)

    def test_a_shorter_trial_is_queued_again(self, longer: Study) -> None:
        """Its result stays until there is one of more steps, and that is final."""
        ledger = Ledger(longer)
        assert slugs(longer) == ledger.reconcile(watch(longer)).queued
        with present(longer):
            mine = claim(ledger)
            assert (1, 10) == (mine.attempt, longer.results[mine.point.slug].steps)
            ledger.commit(mine, result(mine.point, steps=20))

        assert [] == ledger.reconcile(watch(longer)).queued
        assert 1 == load_study(longer.folder.root).counts["complete"]

    def test_a_seed_of_a_pruned_cell_keeps_its_result(self, tmp_path: Path) -> None:
        """It was trained to the end, and is trained on, to whatever length."""
        listed = points(beta=[1], seed=[0, 1])
        study = make_study(tmp_path / "t", listed, base=STEPS_10, pruner="percentile")
        write_result(study, listed[0], steps=10)
        write_result(study, listed[1], steps=5, state="pruned", scores={})
        Ledger(study).reconcile(watch(study))
        dataclasses.replace(study.manifest, base=STEPS_20).write(study.folder.manifest)
        longer = load_study(study.folder.root)
        ledger = Ledger(longer)
        ledger.reconcile(watch(longer))
        with present(longer):
            mine = claim(ledger)

            assert (listed[0], None) == (mine.point, ledger.claim("other"))
            assert not ledger.judge(mine, step=10, score=0.0)
        kept = longer.result(mine.point.slug)
        assert kept is not None
        assert ("complete", 10) == (kept.state, kept.steps)

    def test_what_fails_to_train_on_keeps_its_scores(self, longer: Study) -> None:
        """Those of the shorter training are beside the result of the failure."""
        ledger = Ledger(longer)
        ledger.reconcile(watch(longer))
        with present(longer):
            mine = claim(ledger)
            ledger.commit(mine, result(mine.point, state="failed", scores={}, error="E: no"))

        folder = longer.folder.trial(mine.point.slug)
        kept = TrialResult.read(folder.result.with_name("result.10.json"))
        assert kept is not None
        assert {"mig": 0.25} == kept.scores

    def test_a_death_on_the_way_is_a_death(self, longer: Study) -> None:
        """The shorter result does not pass for that of the attempt which was killed."""
        ledger = Ledger(longer)
        ledger.reconcile(watch(longer))
        claim(ledger)

        changes = ledger.reconcile(watch(longer))

        assert slugs(longer) == changes.died == changes.queued
        assert TrialState.FAIL in {trial.state for trial in trials(longer)}

    def test_its_training_state_stays(self, longer: Study) -> None:
        """What an attempt that came too late leaves is not tidied up while another is at it."""
        folder = longer.folder.trial(slugs(longer)[0])
        folder.checkpoints.mkdir(parents=True)
        folder.resume.write_bytes(b"state")

        Ledger(longer).tidy(slugs(longer)[0])

        assert folder.resume.exists()


class TestLostJournal:
    def damage(self, journal: Path) -> None:
        """Put nonsense into the middle of a journal."""
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join([*lines[:2], b"nonsense\n", *lines[2:]]))

    def test_a_damaged_journal_is_moved_aside_rebuilt_and_told(
        self, study: Study, ledger: Ledger
    ) -> None:
        """Results are adopted, the rest is queued, and the old journal is kept."""
        mine = claim(ledger)
        ledger.commit(mine, result(mine.point))
        self.damage(study.folder.journal)

        rebuilt = Ledger(study)
        changes = rebuilt.reconcile(watch(study))

        assert [mine.point.slug] == changes.adopted
        assert slugs(study)[1:] == changes.queued
        assert study.folder.journal.with_name("study.journal.damaged-1").exists()
        assert "moved to study.journal.damaged-1" in changes.notes[0]

    @pytest.mark.parametrize("lose", [Path.unlink, None], ids=["gone", "damaged"])
    def test_a_living_worker_keeps_its_point(
        self, study: Study, ledger: Ledger, lose: Callable[[Path], None] | None
    ) -> None:
        """A point in living hands is not given to others when the journal is lost."""
        with present(study) as worker:
            mine = claim(ledger, announce=worker.at)
            (lose or self.damage)(study.folder.journal)
            other = Ledger(study)
            other.reconcile(watch(study))

            assert mine.point.slug not in {claim(other, "o").point.slug for _ in range(3)}
            assert other.claim("o") is None
            ledger.commit(mine, result(mine.point))

        assert 1 == load_study(study.folder.root).counts["complete"]
        assert 1 == sum(trial.state is TrialState.COMPLETE for trial in trials(study))

    def test_one_that_was_lost_meanwhile_is_told(self, study: Study) -> None:
        """Removed while no command ran: results are adopted, and it is said, once."""
        write_result(study, study.points[0])
        ledger = Ledger(study)

        assert ["study.journal was lost; rebuilt from the result files"] == (
            ledger.reconcile(watch(study)).notes
        )
        assert [] == ledger.reconcile(watch(study)).notes

    def test_a_new_study_has_lost_nothing(self, study: Study) -> None:
        """It has no journal because it is new."""
        assert [] == Ledger(study).reconcile(watch(study)).notes

    def test_every_point_waits_again_in_the_new_one(self, study: Study, ledger: Ledger) -> None:
        """Whatever numbers its attempts had in the journal that is gone."""
        for _ in range(2):
            ledger.release(claim(ledger))
        study.folder.journal.unlink()

        assert slugs(study) == [claim(ledger).point.slug for _ in study.points]

    def test_a_journal_cut_off_is_rebuilt(self, study: Study, ledger: Ledger) -> None:
        """Emptied in place, under a ledger that has it open."""
        study.folder.journal.write_bytes(b"")

        changes = ledger.reconcile(watch(study))

        assert "was replaced or cut off" in changes.notes[0]
        assert slugs(study) == [claim(ledger).point.slug for _ in study.points]

    def test_a_study_moved_elsewhere_goes_on(self, study: Study, tmp_path: Path) -> None:
        """Nothing in a study's folder depends on where it is."""
        for point in study.points:
            write_result(study, point)
        Ledger(study).reconcile(watch(study))
        shutil.move(study.folder.root, tmp_path / "moved")
        moved = load_study(tmp_path / "moved")

        changes = Ledger(moved).reconcile(watch(moved))

        assert [] == changes.queued == changes.adopted


class TestRetry:
    def fail(self, study: Study, point: Point) -> None:
        """Make a point failed for good."""
        write_result(study, point, state="failed", attempt=3, error="ValueError: no")

    def test_a_failed_point_starts_anew(self, study: Study) -> None:
        """The old result is kept beside, old weights go, attempts count from one again."""
        first = study.points[0]
        self.fail(study, first)
        folder = study.folder.trial(first.slug)
        folder.checkpoints.mkdir()
        ledger = Ledger(study)
        ledger.reconcile(watch(study))

        ledger.retry([first.slug])

        again = claim(ledger)
        assert (first, 1) == (again.point, again.attempt)
        assert (folder.root / "result.failed.json").exists()
        assert not folder.checkpoints.exists()

    def test_a_ledger_at_work_learns_of_it(self, study: Study) -> None:
        """Another process may ask for it while the study runs."""
        self.fail(study, study.points[0])
        at_work = Ledger(study)
        at_work.reconcile(watch(study))

        Ledger(study).retry([study.points[0].slug])
        at_work.reconcile(watch(study))

        assert study.points[0] == claim(at_work).point

    def test_deaths_before_count_no_more(self, tmp_path: Path) -> None:
        """A point given up for its deaths is not given up again at once."""
        study = make_study(tmp_path / "tested", points(beta=[1], seed=[0]), max_deaths=1)
        ledger = Ledger(study)
        ledger.reconcile(watch(study))
        claim(ledger)
        assert ledger.reconcile(watch(study)).given_up

        ledger.retry(slugs(study))

        assert [] == ledger.reconcile(watch(study)).given_up
        assert 1 == claim(ledger).attempt

    def test_a_point_that_has_failed_no_more_is_left_alone(self, study: Study) -> None:
        """Asked for twice at once, the second time there is nothing to do."""
        first = study.points[0]
        self.fail(study, first)
        ledger = Ledger(study)

        assert [first.slug] == ledger.retry([first.slug])
        assert [] == ledger.retry([first.slug])


def test_records_are_frozen() -> None:
    """A claim cannot be changed by whoever holds it."""
    held = Claim(points()[0], 1, "w")
    with pytest.raises(dataclasses.FrozenInstanceError):
        held.attempt = 2  # type: ignore[misc]
