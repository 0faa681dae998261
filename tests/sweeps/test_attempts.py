from collections.abc import Sequence
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from studies import points

from sweeps.attempts import Attempts, deaths_without_progress, is_orphan, slug_of, worker_of
from sweeps.presence import Present, Watch


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    """Attempts at the points of a new study; one waits."""
    attempts = Attempts(tmp_path / "study.journal", study_name="tested")
    attempts.enqueue(points()[0], attempt=2)
    return attempts


class TestAttempts:
    def test_another_process_sees_the_queue(self, attempts: Attempts, tmp_path: Path) -> None:
        """What is queued is on disk, with the point, its parameters and the attempt."""
        (found,) = Attempts(tmp_path / "study.journal", study_name="tested").trials()

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

    def test_a_journal_that_grows_is_in_step(self, attempts: Attempts, tmp_path: Path) -> None:
        """Others may add to it at any time."""
        Attempts(tmp_path / "study.journal", study_name="tested").enqueue(points()[1], attempt=1)

        assert attempts.is_in_step()
        assert 2 == len(attempts.trials())

    def test_a_journal_put_in_its_place_is_not(self, attempts: Attempts, tmp_path: Path) -> None:
        """Even one that is as long: its first record is another."""
        (tmp_path / "study.journal").rename(tmp_path / "old")
        Attempts(tmp_path / "study.journal", study_name="tested").enqueue(points()[0], attempt=2)

        assert not attempts.is_in_step()
        assert ["study.journal was replaced or cut off; rebuilt from the result files"] == (
            attempts.notes
        )


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
