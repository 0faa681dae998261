from collections.abc import Sequence
from pathlib import Path

import pytest
from optuna.trial import TrialState, create_trial

from sweeps.queue.attempts import Attempts, WaitingAttempts, slug_of
from sweeps.queue.events import End
from sweeps.queue.journal import JournalStore
from sweeps.queue.states import Attempt, State
from sweeps.study.folder import StudyFolder
from tests.doubles.studies import trials


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    """Attempts at the trials of a new study; one waits."""
    attempts = Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested")
    attempts.enqueue(trials()[0], attempt_number=2)
    return attempts


class TestAttempts:
    def test_another_process_sees_what_waits(self, attempts: Attempts, tmp_path: Path) -> None:
        """What is queued is on disk, with the trial, its parameters and the attempt."""
        (found,) = Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested").select()

        assert TrialState.WAITING is found.state
        assert {"beta": 1, "latent_dim": 5} == found.params
        assert {"slug": trials()[0].slug, "attempt": 2, "seed": 0} == found.user_attrs

    def test_an_attempt_is_leased_to_one_worker(self, attempts: Attempts) -> None:
        """No other worker has it, and this one has no other trial."""
        attempts.lease(trials()[0].slug, "w")

        assert [(State.LEASED, "w")] == [
            (one.state, one.worker) for one in attempts.of(trials()[0].slug)
        ]
        assert [] == attempts.of(trials()[1].slug)

    def test_a_samplers_attributes_are_kept(self, attempts: Attempts) -> None:
        """In the journal they are called `notes`, as in studies of earlier versions."""
        attempts.enqueue(trials()[1], attempt_number=1, system_attrs={"cma:x": "1"})

        assert {"cma:x": "1"} == attempts.select()[1].user_attrs["notes"]
        assert {trials()[1].slug: {"cma:x": "1"}} == attempts.system_attrs()

    def test_an_ended_attempt_says_why_and_where(self, attempts: Attempts) -> None:
        """It is no longer leased; reason and step are kept."""
        attempts.lease(trials()[0].slug, "w")
        attempts.end(0, End.DEATH, step=7)

        assert [Attempt(0, 2, State.FAILED, worker="w", end="death", step=7)] == (
            attempts.of(trials()[0].slug)
        )
        assert TrialState.FAIL is attempts.select()[0].state

    def test_what_another_process_leased_is_found_too(
        self, attempts: Attempts, tmp_path: Path
    ) -> None:
        """Not only what was leased here."""
        attempts.enqueue(trials()[1], attempt_number=1)
        other = Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested")
        other.lease(trials()[1].slug, "w")
        attempts.lease(trials()[0].slug, "w")

        held = [attempts.of(trial.slug) for trial in trials()[:2]]
        assert [[(0, "w")], [(1, "w")]] == [[(one.id, one.worker) for one in some] for some in held]

    def test_numbers_are_the_order_of_queueing(self, attempts: Attempts, tmp_path: Path) -> None:
        """Whichever process queued them; there is none beyond the last."""
        Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested").enqueue(
            trials()[1], attempt_number=1
        )

        second = attempts.numbered(1)
        assert second is not None
        assert trials()[1].slug == slug_of(second)
        assert attempts.numbered(2) is None
        assert [[0, 1], [1], []] == [
            [attempt.number for attempt in attempts.since(number)] for number in range(3)
        ]

    def test_a_journal_that_grows_is_current(self, attempts: Attempts, tmp_path: Path) -> None:
        """Others may add to it at any time."""
        Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested").enqueue(
            trials()[1], attempt_number=1
        )

        assert attempts.is_current()
        assert 2 == len(attempts.select())

    def test_a_journal_put_in_its_place_is_not(self, attempts: Attempts, tmp_path: Path) -> None:
        """Even one that is as long: its first record is another."""
        (tmp_path / "study.journal").rename(tmp_path / "old")
        Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested").enqueue(
            trials()[0], attempt_number=2
        )

        assert not attempts.is_current()
        assert ["study.journal was replaced or cut off; rebuilt from the result files"] == (
            attempts.messages
        )


class TestWaitingAttempts:
    @pytest.fixture
    def waiting(self, attempts: Attempts) -> WaitingAttempts:
        """The first trial waits; all four are in the queue's order."""
        return WaitingAttempts(attempts, [trial.slug for trial in trials()])

    def test_the_order_is_that_of_the_trials(
        self, waiting: WaitingAttempts, attempts: Attempts
    ) -> None:
        """Not that of queueing: a trial that comes back is before those that have not begun."""
        slugs = [trial.slug for trial in trials()]
        assert slugs[0] == self.leased(waiting, attempts, slugs)
        for place in (3, 1):
            attempts.enqueue(trials()[place], attempt_number=1)
        assert slugs[1] == self.leased(waiting, attempts, slugs)
        attempts.enqueue(trials()[0], attempt_number=3)

        assert [slugs[0], slugs[3], None] == [
            self.leased(waiting, attempts, slugs) for _ in range(3)
        ]

    def test_an_attempt_that_is_not_leased_stays_first(self, waiting: WaitingAttempts) -> None:
        """Reading the first changes nothing."""
        slugs = [trials()[0].slug]
        first = [waiting.first(slugs), waiting.first(slugs)]

        assert [0, 0] == [attempt.number for attempt in first if attempt is not None]

    def test_others_are_passed_over_not_lost(
        self, waiting: WaitingAttempts, attempts: Attempts
    ) -> None:
        """Asking for some trials leaves the others waiting."""
        attempts.enqueue(trials()[1], attempt_number=1)

        assert trials()[1].slug == self.leased(waiting, attempts, [trials()[1].slug])
        assert trials()[0].slug == self.leased(waiting, attempts, [trials()[0].slug])

    def test_what_another_process_leased_no_longer_waits(
        self, waiting: WaitingAttempts, attempts: Attempts, tmp_path: Path
    ) -> None:
        """What it has queued since does."""
        slugs = [trial.slug for trial in trials()]
        assert waiting.first(slugs) is not None
        other = Attempts(JournalStore(StudyFolder(tmp_path)), study_name="tested")
        other.lease(trials()[0].slug, "w")
        assert waiting.first(slugs) is None
        other.enqueue(trials()[2], attempt_number=1)

        assert slugs[2] == self.leased(waiting, attempts, slugs)

    def test_a_foreign_trial_is_not_in_line(self, attempts: Attempts) -> None:
        """Nor is a trial that the study does not know."""
        assert WaitingAttempts(attempts, [trials()[1].slug]).first([trials()[0].slug]) is None

    def leased(
        self, waiting: WaitingAttempts, attempts: Attempts, among: Sequence[str]
    ) -> str | None:
        """Lease the next of these slugs; return it."""
        attempt = waiting.first(among)
        if attempt is None:
            return None
        attempts.lease(slug_of(attempt), "w")
        return slug_of(attempt)


def test_a_foreign_trial_has_no_trial() -> None:
    """Other programs may add trials to the journal."""
    assert "" == slug_of(create_trial(state=TrialState.WAITING))
