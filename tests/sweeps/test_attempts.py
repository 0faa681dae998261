from collections.abc import Sequence
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from studies import points

from sweeps.attempts import (
    Attempts,
    Queue,
    deaths_without_progress,
    is_orphan,
    slug_of,
    worker_of,
)
from sweeps.journal import JournalStore
from sweeps.presence import Present, Watch
from sweeps.study import StudyFolder


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    """Attempts at the points of a new study; one waits."""
    attempts = Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested")
    attempts.enqueue(points()[0], attempt=2)
    return attempts


class TestAttempts:
    def test_another_process_sees_the_queue(self, attempts: Attempts, tmp_path: Path) -> None:
        """What is queued is on disk, with the point, its parameters and the attempt."""
        (found,) = Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested").trials()

        assert TrialState.WAITING is found.state
        assert {"beta": 1, "latent_dim": 5} == found.params
        assert {"slug": points()[0].slug, "attempt": 2, "seed": 0} == found.user_attrs

    def test_an_attempt_is_held_by_who_took_it(self, attempts: Attempts) -> None:
        """Nobody else holds it, and nobody holds another point."""
        attempts.take(attempts.trials()[0], "w")

        held = attempts.held(points()[0].slug, "w")
        assert held is not None
        assert "w" == worker_of(held)
        assert attempts.held(points()[0].slug, "other") is None
        assert attempts.held(points()[1].slug, "w") is None

    def test_an_ended_attempt_says_why_and_where(self, attempts: Attempts) -> None:
        """It is held no more; reason and step are kept."""
        (trial,) = attempts.trials()
        attempts.take(trial, "w")
        attempts.end(trial, "death", step=7)

        again = attempts.again(trial)
        assert TrialState.FAIL is again.state
        assert ("death", 7) == (again.user_attrs["end"], again.user_attrs["step"])
        assert attempts.held(points()[0].slug, "w") is None

    def test_what_another_has_taken_is_found_too(self, attempts: Attempts, tmp_path: Path) -> None:
        """Not only the attempt that was taken here last."""
        attempts.enqueue(points()[1], attempt=1)
        first, second = attempts.trials()
        other = Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested")
        other.take(second, "w")
        attempts.take(first, "w")

        held = [attempts.held(point.slug, "w") for point in points()[:2]]
        assert [0, 1] == [trial.number for trial in held if trial is not None]

    def test_numbers_are_the_order_of_queueing(self, attempts: Attempts, tmp_path: Path) -> None:
        """Whoever queued them; there is none beyond the last."""
        Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested").enqueue(
            points()[1], attempt=1
        )

        second = attempts.numbered(1)
        assert second is not None
        assert points()[1].slug == slug_of(second)
        assert attempts.numbered(2) is None
        assert [[0, 1], [1], []] == [
            [trial.number for trial in attempts.since(number)] for number in range(3)
        ]

    def test_a_journal_that_grows_is_in_step(self, attempts: Attempts, tmp_path: Path) -> None:
        """Others may add to it at any time."""
        Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested").enqueue(
            points()[1], attempt=1
        )

        assert attempts.is_in_step()
        assert 2 == len(attempts.trials())

    def test_a_journal_put_in_its_place_is_not(self, attempts: Attempts, tmp_path: Path) -> None:
        """Even one that is as long: its first record is another."""
        (tmp_path / "study.journal").rename(tmp_path / "old")
        Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested").enqueue(
            points()[0], attempt=2
        )

        assert not attempts.is_in_step()
        assert ["study.journal was replaced or cut off; rebuilt from the result files"] == (
            attempts.notes
        )


class TestQueue:
    @pytest.fixture
    def queue(self, attempts: Attempts) -> Queue:
        """The first point waits; all four are in the queue's order."""
        return Queue(attempts, [point.slug for point in points()])

    def test_the_order_is_that_of_the_points(self, queue: Queue, attempts: Attempts) -> None:
        """Not that of queueing: a point that comes back is before those that have not begun."""
        slugs = [point.slug for point in points()]
        assert slugs[0] == self.taken(queue, attempts, slugs)
        for place in (3, 1):
            attempts.enqueue(points()[place], attempt=1)
        assert slugs[1] == self.taken(queue, attempts, slugs)
        attempts.enqueue(points()[0], attempt=3)

        assert [slugs[0], slugs[3], None] == [self.taken(queue, attempts, slugs) for _ in range(3)]

    def test_who_is_not_taken_stays_next(self, queue: Queue) -> None:
        """To look changes nothing."""
        slugs = [points()[0].slug]
        first = [queue.first(slugs), queue.first(slugs)]

        assert [0, 0] == [trial.number for trial in first if trial is not None]

    def test_others_are_passed_over_not_lost(self, queue: Queue, attempts: Attempts) -> None:
        """Who wants some points only leaves the rest in line."""
        attempts.enqueue(points()[1], attempt=1)

        assert points()[1].slug == self.taken(queue, attempts, [points()[1].slug])
        assert points()[0].slug == self.taken(queue, attempts, [points()[0].slug])

    def test_what_another_process_took_waits_no_more(
        self, queue: Queue, attempts: Attempts, tmp_path: Path
    ) -> None:
        """What it has queued since does."""
        slugs = [point.slug for point in points()]
        assert queue.first(slugs) is not None
        other = Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested")
        other.take(other.trials()[0], "w")
        assert queue.first(slugs) is None
        other.enqueue(points()[2], attempt=1)

        assert slugs[2] == self.taken(queue, attempts, slugs)

    def test_a_foreign_trial_is_not_in_line(self, attempts: Attempts) -> None:
        """Nor is a point that the study does not know."""
        assert Queue(attempts, [points()[1].slug]).first([points()[0].slug]) is None

    def taken(self, queue: Queue, attempts: Attempts, among: Sequence[str]) -> str | None:
        """Take the next of these slugs; return it."""
        trial = queue.first(among)
        if trial is None:
            return None
        attempts.take(trial, "w")
        return slug_of(trial)


class TestIsOrphan:
    def running(self, **attrs: object) -> FrozenTrial:
        """Return an attempt that somebody has taken."""
        return create_trial(state=TrialState.RUNNING, user_attrs=attrs)

    def test_it_is_while_its_worker_lives_not(self, tmp_path: Path) -> None:
        """A worker without a presence is dead."""
        trial = self.running(worker="w")
        assert is_orphan(trial, Watch(tmp_path))
        with Present(tmp_path / "w.json", name="w"):
            assert not is_orphan(trial, Watch(tmp_path))

    def test_an_attempt_that_nobody_signed_is(self, tmp_path: Path) -> None:
        """Its worker died between taking it and signing it."""
        assert is_orphan(self.running(), Watch(tmp_path))

    def test_a_waiting_attempt_is_not(self, tmp_path: Path) -> None:
        """It is in nobody's hands."""
        assert not is_orphan(create_trial(state=TrialState.WAITING), Watch(tmp_path))


def test_a_foreign_trial_has_no_point() -> None:
    """Someone else may put trials into the journal."""
    assert "" == slug_of(create_trial(state=TrialState.WAITING))


class TestDeaths:
    @staticmethod
    def ended(*ends: tuple[str, int]) -> Sequence[FrozenTrial]:
        """Return finished trials that ended so, at these steps."""
        return [
            create_trial(state=TrialState.FAIL, user_attrs={"end": end, "step": step})
            for end, step in ends
        ]

    @pytest.mark.parametrize(
        ("ends", "expected"),
        [
            ([], 0),
            ([("death", 0)], 1),
            ([("death", 0)] * 4, 4),
            ([("death", 10), ("death", 20), ("death", 30)], 1),
            ([("death", 10), ("death", 20), ("death", 20), ("death", 5)], 3),
            ([("death", 0), ("death", 0), ("retried", 0), ("death", 0)], 1),
            ([("death", 0), ("death", 0), ("interrupted", 0)], 0),
        ],
    )
    def test_progress_resets_the_count(self, ends: list[tuple[str, int]], expected: int) -> None:
        """Deaths count from the last one that got further than all before it."""
        assert expected == deaths_without_progress(self.ended(*ends))
