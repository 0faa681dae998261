"""The attempts at a study's trials, kept as the trials of an Optuna study in its journal.

What Optuna calls a trial is one attempt here: waiting in the queue, leased to a worker, or ended.
Nothing here takes the study's lock; the `Queue` does, around every call.
"""

import heapq
import logging
import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.queue.events import End
from sweeps.queue.journal import DAMAGE, JournalStore
from sweeps.queue.states import Attempt, State
from sweeps.study.results import AttemptResult
from sweeps.study.study import Study
from sweeps.study.trials import Trial

if TYPE_CHECKING:
    from sweeps.queue.postgres import DatabaseStore

    Store = JournalStore | DatabaseStore

log = logging.getLogger("sweeps")

SYSTEM_ATTRS = "notes"
"""The attribute in the journal under which a sampler's system attributes are kept."""

# Wide enough that no study has to change them: a sampler never draws from these.
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "beta": FloatDistribution(1e-300, 1e300, log=True),
    "latent_dim": IntDistribution(1, 2**31),
}


def store_of(study: Study) -> "Store":
    """Return where the attempts of a study are kept."""
    if study.manifest.storage is None:
        return JournalStore(study.folder)
    from sweeps.queue.postgres import DatabaseStore  # the driver is an optional dependency

    return DatabaseStore(study)


class Attempts:
    """The attempts at the trials of a study, in the order they were queued.

    Attributes:
        store: where the attempts are kept.
        messages: for the user, about a journal that was lost or damaged.
    """

    def __init__(self, store: "Store", *, study_name: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.store = store
        self._name = study_name
        self.messages: list[str] = []
        self.open()

    def open(self) -> None:
        """Open the storage, and the study in it; a new one if there is none."""
        self._storage, message = self.store.open()
        if message is not None:
            self.warn(message)
        self._optuna = optuna.create_study(
            storage=self._storage,
            study_name=self._name,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        self._study_id = self._storage.get_study_id_from_name(self._name)
        self._numbers: dict[str, list[int]] = {}
        self._indexed = 0
        self.store.remember()

    def is_current(self) -> bool:
        """Whether the journal is the one that was opened, and can be read."""
        if not self.store.is_known():
            self.warn(f"{self.store.name} was replaced or cut off; rebuilt from the result files")
            return False
        try:
            return self._storage.get_study_id_from_name(self._name) == self._study_id
        except DAMAGE:
            return False

    def warn(self, message: str) -> None:
        """Log a message, and keep it for the user."""
        log.warning(message)
        self.messages.append(message)

    def select(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the attempts in these states, or all of them if none is named."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False, states=states or None)

    def of(self, slug: str) -> list[Attempt]:
        """Return the attempts at one trial, oldest first."""
        for attempt in self.since(self._indexed):
            self._numbers.setdefault(slug_of(attempt), []).append(attempt.number)
            self._indexed = attempt.number + 1
        found = (self.numbered(number) for number in self._numbers.get(slug, ()))
        return [recorded(attempt) for attempt in found if attempt is not None]

    def by_slug(self) -> dict[str, list[Attempt]]:
        """Return the attempts at each trial, oldest first."""
        found: dict[str, list[Attempt]] = {}
        for attempt in self.select():
            found.setdefault(slug_of(attempt), []).append(recorded(attempt))
        return found

    def numbered(self, number: int) -> FrozenTrial | None:
        """Return the attempt that was the `number`-th to be queued, from 0; None if none is yet."""
        try:
            return self._storage.get_trial(self._key(number))
        except KeyError:
            return None

    def _key(self, number: int) -> int:
        """Return the number by which the storage knows an attempt."""
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def since(self, number: int) -> list[FrozenTrial]:
        """Return the attempts from this number on; cheap if there is none."""
        return [] if self.numbered(number) is None else self.select()[number:]

    def enqueue(
        self,
        trial: Trial,
        *,
        attempt_number: int,
        is_last: bool = False,
        system_attrs: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a waiting attempt, with the system attributes the sampler has set for it."""
        attrs: dict[str, Any] = {"slug": trial.slug, "attempt": attempt_number}
        if is_last:
            attrs["last"] = True
        if system_attrs:
            attrs[SYSTEM_ATTRS] = system_attrs
        self._optuna.add_trial(_attempt(trial, TrialState.WAITING, attrs=attrs))

    def lease(self, slug: str, worker: str) -> None:
        """Lease the waiting attempt at a trial to a worker."""
        waiting = next(one for one in self.of(slug) if one.state is State.WAITING)
        key = self._key(waiting.id)
        # Under the lock no living worker is between setting the state and writing its name.
        self._storage.set_trial_state_values(key, state=TrialState.RUNNING)
        self._storage.set_trial_user_attr(key, "worker", worker)

    def report(self, attempt: int, step: int, score: float) -> None:
        """Add an intermediate score."""
        self._storage.set_trial_intermediate_value(self._key(attempt), step, score)

    def system_attrs(self) -> dict[str, Mapping[str, Any]]:
        """Return the system attributes that samplers have set, by slug."""
        found = [attempt for attempt in self.select() if SYSTEM_ATTRS in attempt.user_attrs]
        return {slug_of(attempt): attempt.user_attrs[SYSTEM_ATTRS] for attempt in found}

    def intermediate_scores(self) -> dict[str, dict[int, float]]:
        """Return the intermediate scores by slug and step; a later attempt's overrides."""
        found: dict[str, dict[int, float]] = {}
        for attempt in self.select():
            if attempt.intermediate_values:
                found.setdefault(slug_of(attempt), {}).update(attempt.intermediate_values)
        return found

    def finish(self, attempt: int, result: AttemptResult) -> None:
        """End an attempt in the state of its result."""
        state = state_of(result)
        values = [_value(result)] if state is TrialState.COMPLETE else None
        self._storage.set_trial_state_values(self._key(attempt), state=state, values=values)

    def end(self, attempt: int, reason: str, **attrs: object) -> None:
        """End an attempt that has no result; record the reason, and what else is known."""
        for name, value in (attrs | {"end": str(reason)}).items():
            self._storage.set_trial_user_attr(self._key(attempt), name, value)
        self._storage.set_trial_state_values(self._key(attempt), state=TrialState.FAIL)

    def add(self, trial: Trial, result: AttemptResult) -> None:
        """Add an attempt that has ended already."""
        attrs = {"slug": trial.slug, "attempt": result.attempt}
        added = _attempt(trial, state_of(result), attrs=attrs, value=_value(result))
        self._optuna.add_trial(added)

    def add_mark(self, slug: str) -> None:
        """Let deaths of workers at a trial before now no longer count."""
        attrs = {"slug": slug, "end": str(End.RETRIED)}
        self._optuna.add_trial(create_trial(state=TrialState.FAIL, user_attrs=attrs))


class WaitingAttempts:
    """The waiting attempts at a study's trials, in the order to run.

    To search all attempts for every lease would be slow in a large study. Attempts are only added,
    at the end, and one that was leased never waits again: so a heap holds those seen, and drops one
    when it comes first and no longer waits.

    Args:
        attempts: to be given anew when their journal was opened again.
        order: the slugs of the trials.
    """

    def __init__(self, attempts: Attempts, order: Iterable[str]) -> None:
        self._attempts = attempts
        self._rank = {slug: rank for rank, slug in enumerate(order)}
        self._heap: list[tuple[bool, int, int]] = []
        self._seen = 0

    def first(self, among: Collection[str]) -> FrozenTrial | None:
        """Return the next waiting attempt at one of these trials, by slug, if one waits."""
        self._add_new()
        waiting: list[tuple[bool, int, int]] = []
        found = None
        while self._heap and found is None:
            entry = heapq.heappop(self._heap)
            attempt = self._attempts.numbered(entry[-1])
            if attempt is not None and attempt.state is TrialState.WAITING:
                waiting.append(entry)
                found = attempt if slug_of(attempt) in among else None
        for entry in waiting:  # also the one that is returned: it waits until it is leased
            heapq.heappush(self._heap, entry)
        return found

    def _add_new(self) -> None:
        for attempt in self._attempts.since(self._seen):
            self._seen = attempt.number + 1
            rank = self._rank.get(slug_of(attempt))
            if rank is not None and attempt.state is TrialState.WAITING:
                is_last = attempt.user_attrs.get("last", False)
                heapq.heappush(self._heap, (is_last, rank, attempt.number))


def recorded(attempt: FrozenTrial) -> Attempt:
    """Return an attempt as the rules of the queue know it."""
    attrs = attempt.user_attrs
    return Attempt(
        id=attempt.number,
        number=attrs.get("attempt", 0),
        state=_STATES[attempt.state],
        worker=attrs.get("worker"),
        end=attrs.get("end"),
        step=attrs.get("step", 0),
        cause=attrs.get("cause", ""),
        n_complete=attrs.get("complete", 0),
    )


def slug_of(attempt: FrozenTrial) -> str:
    """Return the slug of an attempt's trial; empty for a trial that this project did not add."""
    return str(attempt.user_attrs.get("slug", ""))


def state_of(result: AttemptResult) -> TrialState:
    """Return Optuna's state for an attempt with this result."""
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    return states.get(result.state, TrialState.FAIL)


_STATES = {
    TrialState.WAITING: State.WAITING,
    TrialState.RUNNING: State.LEASED,
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
}


def _attempt(
    trial: Trial, state: TrialState, *, attrs: dict[str, Any], value: float | None = None
) -> FrozenTrial:
    values = trial.values
    return create_trial(
        state=state,
        value=value if state is TrialState.COMPLETE else None,
        params={name: values[name] for name in DISTRIBUTIONS},
        distributions=DISTRIBUTIONS,
        user_attrs=attrs | {"seed": values["seed"]},
    )


def _value(result: AttemptResult) -> float:
    # Without factors there is no such score; Optuna refuses NaN, but not an infinity.
    return -math.inf if result.value is None else result.value
