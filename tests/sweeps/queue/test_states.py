from dataclasses import dataclass, replace

import pytest

from sweeps.queue.events import (
    AddFinished,
    AddMark,
    Commit,
    Drop,
    End,
    EndAttempt,
    Enqueue,
    Event,
    Fault,
    Finish,
    GrantLease,
    LeaseTo,
    PruneWaiting,
    Reconcile,
    Release,
    Retry,
    SetAside,
    Tidy,
    Write,
)
from sweeps.queue.states import (
    Attempt,
    IllegalEventError,
    LeaseLostError,
    State,
    TrialRecord,
    deaths_without_progress,
    transition,
)
from sweeps.study.heartbeat import Sighting
from sweeps.study.results import AttemptResult
from sweeps.study.timeouts import Timeouts

NOW = 1000.0


@dataclass(frozen=True)
class Limits:
    """What a manifest says."""

    max_attempts: int = 3
    max_deaths: int = 2
    steps: float | None = 10


def ended(state: str = "complete", attempt: int = 1, steps: int = 10) -> AttemptResult:
    """Return a result."""
    return AttemptResult(state, attempt, steps=steps)  # type: ignore[arg-type]


def trial(*attempts: Attempt, result: AttemptResult | None = None) -> TrialRecord:
    """Return a trial with this history."""
    return TrialRecord("beta=4", Limits(), attempts, result)


WAITS = Attempt(0, 1, State.WAITING)
LEASED = Attempt(0, 1, State.LEASED, worker="w")
DIED = Attempt(0, 1, State.FAILED, worker="w", end="death")
ALIVE = Reconcile({"w": Sighting(since=NOW)})
FAILED = trial(result=ended("failed", 3))


def after(record: TrialRecord, event: Event) -> tuple[object, ...]:
    """Return what an event does to a trial."""
    return transition(record, event, NOW, Timeouts())


@pytest.mark.parametrize(
    ("record", "event", "actions"),
    [
        (trial(WAITS), GrantLease("w"), (LeaseTo("w"),)),
        (trial(LEASED), Commit("w", ended()), (Write(ended()), Tidy(), Finish(0))),
        (
            trial(LEASED),
            Commit("w", ended("failed")),
            (Write(ended("failed")), Finish(0), Enqueue(2)),
        ),
        (
            trial(LEASED),
            Commit("w", ended("failed", 3)),
            (Write(ended("failed", 3)), Finish(0)),
        ),
        (trial(LEASED), Release("w"), (EndAttempt(0, End.INTERRUPTED), Enqueue(1))),
        (
            trial(LEASED),
            Fault("w", "OSError: full", 4),
            (
                EndAttempt(0, End.FAULT, cause="OSError: full", n_complete=4),
                Enqueue(1, is_last=True),
            ),
        ),
        (trial(WAITS), Drop(), (EndAttempt(0, End.DROPPED),)),
        (trial(DIED), Drop(), (AddMark(),)),
        (trial(DIED, Attempt(1, 0, State.FAILED, end="retried")), Drop(), ()),
        (
            trial(replace(WAITS, number=2)),
            GrantLease("w"),
            (EndAttempt(0, End.SUPERSEDED), Enqueue(1), LeaseTo("w")),
        ),
        (trial(LEASED, result=ended("failed")), Release("w"), (Finish(0), Enqueue(2))),
        (trial(LEASED, result=ended()), Commit("w", ended()), (Finish(0), Tidy())),
        (
            trial(LEASED, result=ended("failed", 3)),
            Retry(),
            (EndAttempt(0, End.SUPERSEDED), AddMark(), SetAside(), Enqueue(1)),
        ),
        (FAILED, Retry(), (AddMark(), SetAside(), Enqueue(1))),
        (trial(), Reconcile(), (Enqueue(1),)),
        (trial(WAITS), Reconcile(), ()),
        (trial(LEASED), ALIVE, ()),
        (trial(LEASED), Reconcile(), (EndAttempt(0, End.DEATH), Enqueue(1))),
        (trial(result=ended("failed")), Reconcile(), (Enqueue(2),)),
        (trial(result=ended(steps=5)), Reconcile(), (Enqueue(1),)),
        (trial(result=ended()), Reconcile(), (AddFinished(), Tidy())),
        (trial(LEASED, result=ended()), Reconcile(), (Finish(0), Tidy())),
        (trial(replace(LEASED, state=State.COMPLETE), result=ended()), Reconcile(), ()),
        (replace(trial(LEASED), is_expected=False), ALIVE, (EndAttempt(0, End.DROPPED),)),
    ],
)
def test_what_an_event_does(record: TrialRecord, event: Event, actions: tuple[object, ...]) -> None:
    """Each event in a state it belongs to."""
    assert actions == after(record, event)


@pytest.mark.parametrize(
    ("sighting", "is_alive"),
    [
        (Sighting(since=NOW - 59), True),
        (Sighting(since=NOW - 60), False),
        (Sighting(since=NOW, holds_lock=False), False),
    ],
)
def test_when_a_worker_is_dead(sighting: Sighting, is_alive: bool) -> None:
    """Without a beat for the timeout, or without its lock; then its trial is queued."""
    queued = Enqueue(1) in after(trial(LEASED), Reconcile({"w": sighting}))

    assert queued is not is_alive


def test_the_last_death_fails_the_trial() -> None:
    """As many as the manifest allows, without progress."""
    second = replace(LEASED, id=1)
    actions = after(trial(DIED, second), Reconcile())

    assert [EndAttempt(1, End.DEATH)] == list(actions[:1])
    (written,) = actions[1:]
    assert isinstance(written, Write)
    assert ("failed", 3) == (written.result.state, written.result.attempt)
    assert "its worker died 2 times without progress; see logs/" == written.result.cause


def test_a_death_is_where_the_last_heartbeat_was() -> None:
    """The step that the dead worker had reported of this trial, and of no other."""
    dead = Sighting(NOW, holds_lock=False, slug="beta=4", step=7)

    assert EndAttempt(0, End.DEATH, step=7) in after(trial(LEASED), Reconcile({"w": dead}))
    other = replace(dead, slug="beta=1")
    assert EndAttempt(0, End.DEATH, step=0) in after(trial(LEASED), Reconcile({"w": other}))


def test_a_lease_that_the_store_has_lost() -> None:
    """The worker that says it trains the trial has it again."""
    alive = Reconcile({"w": Sighting(NOW, slug="beta=4")})

    assert (Enqueue(1), LeaseTo("w")) == after(trial(), alive)


def test_a_pruned_seed_is_not_begun() -> None:
    """It ends with no steps, in the attempt that waited."""
    actions = after(trial(WAITS), PruneWaiting())

    assert isinstance(actions[0], Write)
    assert ("pruned", 1, 0) == (
        actions[0].result.state,
        actions[0].result.attempt,
        actions[0].result.steps,
    )
    assert (Tidy(), Finish(0)) == actions[1:]


class TestFaults:
    def record(self, *causes: str, n_complete: int = 0) -> TrialRecord:
        """Return a trial that had these faults, and is leased again."""
        had = [
            Attempt(i, 1, State.FAILED, end="fault", cause=cause, n_complete=n_complete)
            for i, cause in enumerate(causes)
        ]
        return trial(*had, replace(LEASED, id=len(had)))

    def test_the_third_alike_is_the_trials_own(self) -> None:
        """If another trial has ended since the first; numbers in the message do not matter."""
        record = self.record("OutOfMemoryError: 3 GiB", "OutOfMemoryError: 4 GiB")
        actions = after(record, Fault("w", "OutOfMemoryError: 5 GiB", 1))

        assert isinstance(actions[0], Write)
        assert ("failed", 3) == (actions[0].result.state, actions[0].result.attempt)

    @pytest.mark.parametrize(
        ("causes", "n_complete"),
        [
            (["OutOfMemoryError: 3", "OutOfMemoryError: 4"], 0),
            (["OutOfMemoryError: 3"], 5),
            (["OSError: full", "OutOfMemoryError: 4"], 5),
        ],
        ids=["no other passes", "the second", "of another kind"],
    )
    def test_until_then_it_waits_again(self, causes: list[str], n_complete: int) -> None:
        """With the same attempt number."""
        actions = after(self.record(*causes), Fault("w", "OutOfMemoryError: 5", n_complete))

        assert Enqueue(1, is_last=True) == actions[-1]

    def test_a_retry_begins_anew(self) -> None:
        """Faults before the mark do not count."""
        record = self.record("OSError: a", "OSError: a")
        mark = Attempt(2, 0, State.FAILED, end="retried")
        marked = replace(record, attempts=(*record.attempts[:2], mark, replace(LEASED, id=3)))

        assert Enqueue(1, is_last=True) == after(marked, Fault("w", "OSError: a", 5))[-1]


@pytest.mark.parametrize("event", [Commit("x", ended()), Release("x"), Fault("x", "", 0)])
def test_only_its_worker_ends_an_attempt(event: Event) -> None:
    """A worker that was taken for dead is told so."""
    with pytest.raises(LeaseLostError, match=r"(?s)by x of a trial that is leased.*1: leased to w"):
        after(trial(LEASED), event)


@pytest.mark.parametrize("event", [Commit("w", ended()), Release("w"), GrantLease("v")])
def test_a_dropped_trial_has_no_worker(event: Event) -> None:
    """Even while the journal still says so."""
    with pytest.raises(IllegalEventError, match="is dropped"):
        after(replace(trial(LEASED), is_expected=False), event)


@pytest.mark.parametrize(
    ("record", "event"),
    [
        (trial(LEASED), GrantLease("v")),
        (trial(), GrantLease("v")),
        (trial(), PruneWaiting()),
        (trial(LEASED), Retry()),
        (trial(DIED, result=ended()), Retry()),
    ],
)
def test_an_illegal_event_tells_the_history(record: TrialRecord, event: Event) -> None:
    """Whoever reads the message sees how it came to that."""
    with pytest.raises(IllegalEventError) as caught:
        after(record, event)

    assert type(event).__name__ in str(caught.value)
    for attempt in record.attempts:
        assert f"attempt {attempt.number}: {attempt.state.value}" in str(caught.value)


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
def test_progress_resets_the_count(ends: list[tuple[str, int]], expected: int) -> None:
    """Deaths count from the last one that got further than all before it."""
    attempts = [
        Attempt(i, 1, State.FAILED, end=end, step=step) for i, (end, step) in enumerate(ends)
    ]

    assert expected == deaths_without_progress(attempts)
