"""The rules of the queue: what an event does to a trial. No I/O, no clock, no Optuna.

    absent ──Reconcile──▶ waiting ─GrantLease▶ leased ──Commit──▶ complete, pruned or failed
                             ▲  └─PruneWaiting▶ pruned │                          │
                             ├─ Release, Fault, a failed attempt ◀┤         │
                             ├─ Reconcile, if its worker is dead ◀┘         │
                             └─ Retry of a failed trial, more steps ◀───────┘

`transition` returns what is to be done, in order. A process may be killed after any of the actions:
what it leaves behind, `Reconcile` mends, which looks at the state and at no other event. Results
come first, since they are the truth.
"""

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sweeps.queue.events import (
    Action,
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
from sweeps.study.heartbeat import Sighting
from sweeps.study.results import ABANDONED, AttemptResult, Limits, Outcome, is_final, next_attempt
from sweeps.study.timeouts import Timeouts

MAX_SAME_FAULT = 3
"""Faults of the machine at one trial that are the trial's own, if other trials end meanwhile."""


class State(enum.Enum):
    """The state of a trial, or of an attempt at one."""

    ABSENT = "absent"
    WAITING = "waiting"
    LEASED = "leased"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    DROPPED = "dropped"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to happen."""
        return self not in (State.ABSENT, State.WAITING, State.LEASED)


MARKS = (End.RETRIED, End.DROPPED)
"""Ends from which on deaths and faults are counted anew."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial.

    Attributes:
        id: given by the store.
        number: 1 for the first attempt; those that were interrupted do not count.
        worker: to whom it was leased; None while it waits, or if that worker was killed meanwhile.
        end: why it has ended, if it has no result; `step`, how far it had got.
        cause: the fault of the machine that ended it; `n_complete` trials were complete then.
    """

    id: int
    number: int
    state: State
    worker: str | None = None
    end: str | None = None
    step: int = 0
    cause: str = ""
    n_complete: int = 0


@dataclass(frozen=True)
class TrialRecord:
    """All that is known of a trial.

    Attributes:
        attempts: in the order they were queued.
        result: on disk; it has the last word.
        is_expected: whether the trial is in the manifest.
    """

    slug: str
    limits: Limits
    attempts: tuple[Attempt, ...] = ()
    result: Outcome | None = None
    is_expected: bool = True

    @property
    def has_final_result(self) -> bool:
        """Whether the trial needs no further attempt."""
        return self.result is not None and is_final(self.result, self.limits)

    @property
    def state(self) -> State:
        """The state of the trial."""
        if not self.is_expected:
            return State.DROPPED
        if self.result is not None and self.has_final_result:
            return State(self.result.state)
        states = {attempt.state for attempt in self.attempts}
        return next((one for one in (State.LEASED, State.WAITING) if one in states), State.ABSENT)

    @property
    def unfinished(self) -> tuple[Attempt, ...]:
        """The attempts that wait or are leased."""
        return tuple(attempt for attempt in self.attempts if not attempt.state.has_ended)

    def leased_to(self, worker: str) -> Attempt | None:
        """Return the attempt that is leased to a worker, if there is one."""
        leased = (one for one in self.attempts if one.state is State.LEASED)
        return next((one for one in leased if one.worker == worker), None)

    @property
    def waiting(self) -> Attempt | None:
        """The attempt that waits, if one does."""
        return next((one for one in self.attempts if one.state is State.WAITING), None)


class IllegalEventError(Exception):
    """Nothing of that kind can happen to a trial in its state."""

    def __init__(self, trial: TrialRecord, event: Event) -> None:
        lines = [
            f"  attempt {one.number}: {one.state.value}"
            + (f" to {one.worker}" if one.worker else "")
            + (f", ended by {one.end} at step {one.step}" if one.end else "")
            for one in trial.attempts
        ]
        result = "none" if trial.result is None else trial.result.state
        worker = getattr(event, "worker", None)
        happened = type(event).__name__ + (f" by {worker}" if worker else "")
        super().__init__(
            f"{trial.slug}: {happened} of a trial that is {trial.state.value} (result: {result}); "
            + "\n".join(["its attempts:", *(lines or ["  none"])])
        )


class LeaseLostError(IllegalEventError):
    """The trial was taken over by another worker; this attempt must not be committed."""


def transition(
    trial: TrialRecord, event: Event, now: float, timeouts: Timeouts
) -> tuple[Action, ...]:
    """Return what an event does to a trial.

    Args:
        trial: as it stands.
        event: what has happened.
        now: by the clock of those who saw the workers.
        timeouts: after how long what was seen is no longer true.

    Raises:
        LeaseLostError: the event's worker does not have the trial.
        IllegalEventError: the event cannot happen to a trial in this state.
    """
    match event:
        case GrantLease(worker) if _may_begin(trial) and (waits := trial.waiting):
            following = next_attempt(trial.result, trial.limits)
            if waits.number == following:
                return (LeaseTo(worker),)
            # its results were removed, or put back, while it waited
            return EndAttempt(waits.id, End.SUPERSEDED), Enqueue(following), LeaseTo(worker)
        case Commit() | Release() | Fault() if _leased(trial, event) and trial.has_final_result:
            return _imported(trial)  # written already, by one who then could not end the attempt
        case Commit(_, result):
            return _committed(trial, _leased(trial, event), result)
        case Release():
            attempt = _leased(trial, event)
            return _requeued(trial, attempt, EndAttempt(attempt.id, End.INTERRUPTED))
        case Fault():
            return _faulted(trial, _leased(trial, event), event)
        case PruneWaiting() if _may_begin(trial) and (waits := trial.waiting):
            return _committed(trial, waits, AttemptResult("pruned", waits.number, steps=0))
        case Retry() if trial.state is State.FAILED:
            return *_without_result(trial, End.SUPERSEDED), AddMark(), SetAside(), Enqueue(1)
        case Drop():
            return _without_result(trial, End.DROPPED) or _marked(trial)
        case Reconcile(sightings) if not trial.is_expected:
            return transition(trial, Drop(), now, timeouts)
        case Reconcile(sightings) if trial.has_final_result:
            return _imported(trial)
        case Reconcile(sightings):
            alive = {name for name, seen in sightings.items() if seen.is_alive(now, timeouts)}
            return _reconciled(trial, sightings, alive)
    raise IllegalEventError(trial, event)


def _without_result(trial: TrialRecord, reason: End) -> tuple[EndAttempt, ...]:
    return tuple(EndAttempt(attempt.id, reason) for attempt in trial.unfinished)


def _marked(trial: TrialRecord) -> tuple[AddMark, ...]:
    """Mark a trial, if anything before would count should it ever come back."""
    ends = [attempt.end for attempt in trial.attempts]
    last = max((place for place, end in enumerate(ends) if end in MARKS), default=-1)
    return (AddMark(),) if {End.DEATH, End.FAULT} & set(ends[last + 1 :]) else ()


def _may_begin(trial: TrialRecord) -> bool:
    return trial.is_expected and not trial.has_final_result and trial.waiting is not None


def _leased(trial: TrialRecord, event: Commit | Release | Fault) -> Attempt:
    attempt = trial.leased_to(event.worker) if trial.is_expected else None
    if attempt is None:
        raise LeaseLostError(trial, event)
    return attempt


def _committed(trial: TrialRecord, attempt: Attempt, result: Outcome) -> tuple[Action, ...]:
    written = (Write(result), Finish(attempt.id))
    if not is_final(result, trial.limits):
        return (*written, Enqueue(next_attempt(result, trial.limits)))
    return written if result.state == "failed" else (written[0], Tidy(), written[1])


def _faulted(trial: TrialRecord, attempt: Attempt, fault: Fault) -> tuple[Action, ...]:
    """Queue the trial again, unless it alone has the same fault again and again."""
    same = _same_faults(trial.attempts, fault.cause)
    others_pass = bool(same) and fault.n_complete > same[0].n_complete
    if len(same) + 1 >= MAX_SAME_FAULT and others_pass:
        most = trial.limits.max_attempts
        return _committed(trial, attempt, AttemptResult("failed", most, cause=fault.cause))
    ended = EndAttempt(attempt.id, End.FAULT, cause=fault.cause, n_complete=fault.n_complete)
    return _requeued(trial, attempt, ended)


def _requeued(trial: TrialRecord, attempt: Attempt, ended: EndAttempt) -> tuple[Action, ...]:
    """Queue a trial again; if a failure of this attempt was written already, it counts."""
    following = next_attempt(trial.result, trial.limits)
    if following > attempt.number:
        return Finish(attempt.id), Enqueue(following)
    return ended, Enqueue(following, is_last=ended.reason is End.FAULT)


def _imported(trial: TrialRecord) -> tuple[Action, ...]:
    """Make the attempts at a trial agree with its result, which is final."""
    assert trial.result is not None
    unfinished = trial.unfinished
    superseded = [EndAttempt(one.id, End.SUPERSEDED) for one in unfinished[1:]]
    if unfinished:
        return *superseded, Finish(unfinished[0].id), Tidy()
    if State(trial.result.state) in {attempt.state for attempt in trial.attempts}:
        return ()
    return AddFinished(), Tidy()


def _reconciled(
    trial: TrialRecord, sightings: Mapping[str, Sighting], alive: set[str]
) -> tuple[Action, ...]:
    """Queue a trial without a final result, unless it waits or a living worker has it."""
    dead = [
        attempt
        for attempt in trial.unfinished
        if attempt.state is State.LEASED and attempt.worker not in alive
    ]
    ended = [_buried(trial, attempt, sightings) for attempt in dead]
    if len(dead) < len(trial.unfinished):
        return tuple(ended)
    left = trial
    for action in ended:
        left = applied(left, action)
    if deaths_without_progress(left.attempts) >= trial.limits.max_deaths:
        error = f"{ABANDONED} {trial.limits.max_deaths} times without progress; see logs/"
        return *ended, Write(AttemptResult("failed", trial.limits.max_attempts, cause=error))
    training = (name for name in sorted(alive) if sightings[name].slug == trial.slug)
    return (
        *ended,
        Enqueue(next_attempt(trial.result, trial.limits)),
        *(LeaseTo(worker) for worker in list(training)[:1]),  # the store has lost its lease
    )


def _buried(
    trial: TrialRecord, attempt: Attempt, sightings: Mapping[str, Sighting]
) -> Finish | EndAttempt:
    """End the attempt of a dead worker, by its result if the worker had written one."""
    if next_attempt(trial.result, trial.limits) > attempt.number:
        return Finish(attempt.id)
    last = sightings.get(attempt.worker or "")
    step = last.step if last is not None and last.slug == trial.slug else 0
    return EndAttempt(attempt.id, End.DEATH, step=step)


def applied(trial: TrialRecord, action: Action) -> TrialRecord:
    """Return the trial after an action: what a store must do, and tests and rules reckon with."""
    new = len(trial.attempts) if not trial.attempts else trial.attempts[-1].id + 1
    match action:
        case Enqueue(number):
            return _with(trial, Attempt(new, number, State.WAITING))
        case LeaseTo(worker) if (waiting := trial.waiting) is not None:
            return _with(trial, replace(waiting, state=State.LEASED, worker=worker))
        case Write(result):
            return replace(trial, result=result)
        case Finish(attempt) if trial.result is not None:
            state = State(trial.result.state)
            return _with(trial, replace(_numbered(trial, attempt), state=state))
        case EndAttempt(attempt, reason, step, cause, n_complete):
            ended = replace(_numbered(trial, attempt), state=State.FAILED, end=reason.value)
            return _with(trial, replace(ended, step=step, cause=cause, n_complete=n_complete))
        case AddFinished() if (last := trial.result) is not None:
            return _with(trial, Attempt(new, last.attempt, State(last.state)))
        case AddMark():
            return _with(trial, Attempt(new, 0, State.FAILED, end=End.RETRIED.value))
        case SetAside():
            return replace(trial, result=None)
        case _:
            return trial


def _numbered(trial: TrialRecord, attempt: int) -> Attempt:
    return next(one for one in trial.attempts if one.id == attempt)


def _with(trial: TrialRecord, changed: Attempt) -> TrialRecord:
    by_id = {one.id: one for one in trial.attempts} | {changed.id: changed}
    return replace(trial, attempts=tuple(by_id.values()))


def deaths_without_progress(attempts: Sequence[Attempt]) -> int:
    """Count how many workers have died at a trial since one that got further than all before.

    Args:
        attempts: the trial's, oldest first; only the last unbroken series of deaths counts.
    """
    count, furthest = 0, -1
    for attempt in attempts:
        if not attempt.state.has_ended:
            continue
        if attempt.end != End.DEATH:
            count, furthest = 0, -1
            continue
        count = 1 if attempt.step > furthest else count + 1
        furthest = max(furthest, attempt.step)
    return count


def _same_faults(attempts: Sequence[Attempt], cause: str) -> list[Attempt]:
    """Return the attempts that had the same fault, since the last that had a result or a mark."""
    same: list[Attempt] = []
    for attempt in attempts:
        if not attempt.state.has_ended:
            continue
        if attempt.end == End.FAULT and kind(attempt.cause) == kind(cause):
            same.append(attempt)
        elif attempt.end in (None, *MARKS):
            same = []
    return same


def kind(cause: str) -> str:
    """Return an error without its numbers: they may name a step, or a value that was swept."""
    return re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?|\b(nan|inf)\b", "#", cause)
