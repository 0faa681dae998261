"""Anything may happen to a study at any moment: every trial ends exactly once, and none is lost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sweeps.queue import store
from sweeps.queue.events import (
    Action,
    Commit,
    Drop,
    End,
    EndAttempt,
    Enqueue,
    Event,
    Finish,
    GrantLease,
    Reconcile,
    Release,
    Retry,
    Write,
)
from sweeps.queue.states import State, TrialRecord, transition
from sweeps.queue.store import StaleTokenError
from sweeps.study.results import AttemptResult
from sweeps.study.timeouts import Timeouts
from tests.doubles import schedules
from tests.doubles.schedules import CAUSES, OUTCOMES, KilledError, Limits, Memory, World
from tests.doubles.stores import OnDisk

NUMBERS = st.integers(0, 5)

Rules = Callable[[TrialRecord, Event, float, Timeouts], tuple[Action, ...]]


def test_a_few_thousand_schedules() -> None:
    """Leases, deaths, jumps of clocks, commits that come twice, drops: all in a random order."""
    for seed in range(2000):
        schedules.run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_hundred_thousand_schedules(part: int) -> None:
    """The same, so often that rare orders come up, too."""
    for seed in range(10**6 + 25_000 * part, 10**6 + 25_000 * (part + 1)):
        schedules.run(seed)


@pytest.mark.parametrize("seeds", [range(15), pytest.param(range(15, 120), marks=pytest.mark.slow)])
def test_schedules_in_a_journal(tmp_path: Path, seeds: range) -> None:
    """The same rules over the real journal and real result files."""
    for seed in seeds:
        schedules.run(seed, OnDisk(tmp_path / str(seed)))


@pytest.mark.slow
def test_schedules_in_a_database(tmp_path: Path, database: str) -> None:
    """The same over PostgreSQL."""
    for seed in range(60):
        schedules.run(seed, OnDisk(tmp_path / str(seed), storage=database))


class Schedule(RuleBasedStateMachine):
    """The same events, chosen and shrunk by Hypothesis."""

    @initialize(attempts=st.integers(1, 3), deaths=st.integers(1, 3))
    def begin(self, attempts: int, deaths: int) -> None:
        """A study that has just been begun."""
        self.world = World(manifest=Limits(max_attempts=attempts, max_deaths=deaths))
        self.world.reconcile(0)

    @rule(is_local=st.booleans())
    def start(self, is_local: bool) -> None:
        """A worker begins."""
        self.world.start(is_local=is_local)

    @rule(number=NUMBERS, name=st.sampled_from(["lease", "step", "commit_again", "release", "die"]))
    def work(self, number: int, name: str) -> None:
        """A worker does something."""
        getattr(self.world, name)(number)

    @rule(number=NUMBERS, outcome=st.sampled_from(OUTCOMES))
    def commit(self, number: int, outcome: str) -> None:
        """A worker has a result."""
        self.world.commit(number, outcome)

    @rule(number=NUMBERS, cause=st.sampled_from(CAUSES))
    def fault(self, number: int, cause: str) -> None:
        """The machine fails a worker."""
        self.world.fault(number, cause)

    @rule(actions=st.integers(0, 3), by=st.sampled_from([KilledError, OSError]))
    def die_in(self, actions: int, by: type[Exception]) -> None:
        """The next process to act is killed half way, or cannot write."""
        self.world.die_in(actions, by=by)

    @rule(number=NUMBERS, seconds=st.sampled_from([1.0, 100.0]))
    def wait(self, number: int, seconds: float) -> None:
        """A clock goes on, or jumps."""
        self.world.wait(number, seconds)

    @rule(number=NUMBERS, name=st.sampled_from(["reconcile", "freeze", "retry", "drop", "add"]))
    def manage(self, number: int, name: str) -> None:
        """Somebody does something to the study, or to a process."""
        getattr(self.world, name)(number)

    @rule(name=st.sampled_from(["thaw", "extend", "lose"]))
    def change(self, name: str) -> None:
        """What concerns all trials."""
        getattr(self.world, name)()

    @invariant()
    def holds(self) -> None:
        """What must always hold."""
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """Everybody is well again, and everything ends."""
        if hasattr(self, "world"):
            self.world.end()


TestShrunk = Schedule.TestCase
TestShrunk.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
class TestShrunkSlow(Schedule.TestCase):  # type: ignore[misc]
    """So many that rare orders come up, too."""

    settings = settings(TestShrunk.settings, max_examples=2000)


def of_any_worker(trial: TrialRecord, event: Event) -> Event:
    """Return a commit as if it were by the worker that has the trial."""
    held = [one.worker for one in trial.attempts if one.state is State.LEASED and one.worker]
    return replace(event, worker=held[0]) if isinstance(event, Commit) and held else event


def as_failure(trial: TrialRecord, event: Event) -> Event:
    """Return an interruption as if the attempt had failed."""
    if isinstance(event, Release) and (attempt := trial.leased_to(event.worker)):
        return Commit(event.worker, AttemptResult("failed", attempt.number))
    return event


def limits_of(trial: TrialRecord) -> Limits:
    """Return the limits of a trial in memory."""
    assert isinstance(trial.limits, Limits)
    return trial.limits


def without(*kinds: type[Action]) -> Rules:
    """Return the rules without these actions when all is looked after."""

    def broken(
        trial: TrialRecord, event: Event, now: float, timeouts: Timeouts
    ) -> tuple[Action, ...]:
        actions = transition(trial, event, now, timeouts)
        left = tuple(action for action in actions if not isinstance(action, kinds))
        return left if isinstance(event, Reconcile) else actions

    return broken


BROKEN: dict[str, Rules] = {
    "whoever commits is believed": lambda trial, event, now, timeouts: transition(
        trial, of_any_worker(trial, event), now, timeouts
    ),
    "the journal is told first": lambda trial, event, now, timeouts: tuple(
        sorted(
            transition(trial, event, now, timeouts), key=lambda action: isinstance(action, Write)
        )
    ),
    "deaths are not noticed": without(EndAttempt),
    "nothing is queued again": without(Enqueue),
    "results are not imported": without(Finish),
    "the living are taken for dead, and not fenced off": lambda trial, event, now, timeouts: (
        (EndAttempt(trial.unfinished[0].id, End.DEATH), Enqueue(1), Enqueue(1))
        if isinstance(event, Reconcile) and trial.state is State.LEASED
        else transition(trial, event, now, timeouts)
    ),
    "an interruption counts": lambda trial, event, now, timeouts: transition(
        trial, as_failure(trial, event), now, timeouts
    ),
    "one death is enough": lambda trial, event, now, timeouts: transition(
        replace(trial, limits=replace(limits_of(trial), max_deaths=1)), event, now, timeouts
    ),
    "a dropped trial may be committed": lambda trial, event, now, timeouts: (
        ()
        if isinstance(event, Drop) or (isinstance(event, Reconcile) and not trial.is_expected)
        else transition(replace(trial, is_expected=True), event, now, timeouts)
    ),
    "a trial that waits twice": lambda trial, event, now, timeouts: (
        (*transition(trial, event, now, timeouts), Enqueue(1))
        if isinstance(event, Retry)
        else transition(trial, event, now, timeouts)
    ),
    "a commit without a result": lambda trial, event, now, timeouts: tuple(
        action
        for action in transition(trial, event, now, timeouts)
        if not (isinstance(event, Commit) and isinstance(action, Write))
    ),
    "a lease of what has ended": lambda trial, event, now, timeouts: (
        transition(replace(trial, result=None), event, now, timeouts)
        if isinstance(event, (GrantLease, Commit))
        else transition(trial, event, now, timeouts)
    ),
}


@pytest.mark.parametrize("rules", BROKEN.values(), ids=BROKEN)
def test_broken_rules_are_found(rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search would see it: each of these rules fails within some hundred schedules."""
    monkeypatch.setattr(store, "transition", rules)
    with pytest.raises((AssertionError, StopIteration, RuntimeError)):
        run_all(range(1500))


def run_all(seeds: range) -> None:
    """Run a schedule for every seed."""
    for seed in seeds:
        schedules.run(seed)


def test_a_token_is_good_under_one_lock() -> None:
    """What was decided before the lock was lost is not done."""
    backend = Memory()
    backend.use(Limits())
    with backend.locked():
        _, token = backend.get_state("a0")
    for held in (token, None):
        with backend.locked(), pytest.raises(StaleTokenError, match="a0"):
            backend.set_state("a0", Enqueue(1), held)


def test_so_it_is_in_a_journal(tmp_path: Path) -> None:
    """The store of a study is fenced in the same way."""
    backend = OnDisk(tmp_path)
    backend.use(Limits())
    with backend.locked():
        _, token = backend.get_state("a0")
    with backend.locked(), pytest.raises(StaleTokenError, match="under a lock that is gone"):
        backend.set_state("a0", Enqueue(1), token)
