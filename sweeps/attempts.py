"""Attempts at points as an Optuna study: a trial for each, in the study's journal.

What Optuna calls a trial is one attempt: waiting in the queue, running in a worker's hands, or
ended. Nothing here takes the study's lock; the `Ledger` does, around all of it.
"""

import heapq
import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.journal import DAMAGE, JournalStore
from sweeps.points import Point
from sweeps.presence import Watch
from sweeps.results import Ended
from sweeps.study import Study

if TYPE_CHECKING:
    from sweeps.database import DatabaseStore

    Store = JournalStore | DatabaseStore

log = logging.getLogger("sweeps")

# Wide enough that no study has to change them: a sampler never draws from these.
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "beta": FloatDistribution(1e-300, 1e300, log=True),
    "latent_dim": IntDistribution(1, 2**31),
}


def store_of(study: Study) -> "Store":
    """Return where the attempts of a study are kept."""
    if study.manifest.storage is None:
        return JournalStore(study.folder)
    from sweeps.database import DatabaseStore  # whose driver not everyone has

    return DatabaseStore(study)


class Attempts:
    """The attempts at the points of a study, in the order they were queued.

    Attributes:
        notes: what there is to say about a journal that was lost or damaged.
    """

    def __init__(self, store: "Store", *, study_name: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._store = store
        self._name = study_name
        self.notes: list[str] = []
        self.open()

    def open(self) -> None:
        """Open the storage, and the study in it; a new one if there is none."""
        self._storage, note = self._store.open()
        if note is not None:
            self.note(note)
        self._optuna = optuna.create_study(
            storage=self._storage,
            study_name=self._name,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        self._study_id = self._storage.get_study_id_from_name(self._name)
        self._taken: FrozenTrial | None = None
        self._store.remember()

    @property
    def store(self) -> "Store":
        """Where the attempts are kept."""
        return self._store

    def is_in_step(self) -> bool:
        """Whether the study is the one that was opened, and can be read."""
        if not self._store.is_known():
            self.note(f"{self._store.name} was replaced or cut off; rebuilt from the result files")
            return False
        try:
            return self._storage.get_study_id_from_name(self._name) == self._study_id
        except DAMAGE:
            return False

    def note(self, text: str) -> None:
        """Keep what there is to say, and log it."""
        log.warning(text)
        self.notes.append(text)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the attempts in these states, or all."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False, states=states or None)

    def again(self, trial: FrozenTrial) -> FrozenTrial:
        """Return an attempt as it is now."""
        return self._storage.get_trial(_id(trial))

    def numbered(self, number: int) -> FrozenTrial | None:
        """Return the attempt that was the `number`-th to be queued, from 0; None if none is yet."""
        try:
            key = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        except KeyError:
            return None
        return self._storage.get_trial(key)

    def since(self, number: int) -> list[FrozenTrial]:
        """Return the attempts from this number on; to learn that there is none costs little."""
        return [] if self.numbered(number) is None else self.trials()[number:]

    def held(self, slug: str, worker: str) -> FrozenTrial | None:
        """Return the attempt at a point that is in a worker's hands, if it is.

        The one taken here last is most likely meant; only if it is not are all looked at.
        """
        if self._taken is not None and _is_held(last := self.again(self._taken), slug, worker):
            return last
        running = self.trials(TrialState.RUNNING)
        return next((trial for trial in running if _is_held(trial, slug, worker)), None)

    def enqueue(
        self, point: Point, *, attempt: int, notes: Mapping[str, Any] | None = None
    ) -> None:
        """Add a waiting attempt, with the notes of the sampler that has drawn its cell."""
        attrs = {"slug": point.slug, "attempt": attempt} | ({"notes": notes} if notes else {})
        self._optuna.add_trial(_trial(point, TrialState.WAITING, attrs=attrs))

    def take(self, trial: FrozenTrial, worker: str) -> None:
        """Put a waiting attempt into a worker's hands."""
        self._storage.set_trial_state_values(_id(trial), state=TrialState.RUNNING)
        self._storage.set_trial_user_attr(_id(trial), "worker", worker)
        self._taken = trial

    def report(self, trial: FrozenTrial, step: int, score: float) -> None:
        """Note a score on the way."""
        self._storage.set_trial_intermediate_value(_id(trial), step, score)

    def noted(self) -> dict[str, Mapping[str, Any]]:
        """Return the notes of samplers, by slug."""
        found = [trial for trial in self.trials() if "notes" in trial.user_attrs]
        return {slug_of(trial): trial.user_attrs["notes"] for trial in found}

    def reported(self) -> dict[str, dict[int, float]]:
        """Return the scores on the way, by slug and step; a later attempt's count."""
        found: dict[str, dict[int, float]] = {}
        for trial in self.trials():
            if trial.intermediate_values:
                found.setdefault(slug_of(trial), {}).update(trial.intermediate_values)
        return found

    def tell(self, trial: FrozenTrial, ended: Ended) -> None:
        """End an attempt as its result says."""
        state = state_of(ended)
        values = [_value(ended)] if state is TrialState.COMPLETE else None
        self._storage.set_trial_state_values(_id(trial), state=state, values=values)

    def end(self, trial: FrozenTrial, reason: str, *, step: int | None = None) -> None:
        """End an attempt that has no result, and say why and at which step."""
        if step is not None:
            self._storage.set_trial_user_attr(_id(trial), "step", step)
        self._storage.set_trial_user_attr(_id(trial), "end", reason)
        self._storage.set_trial_state_values(_id(trial), state=TrialState.FAIL)

    def add(self, point: Point, ended: Ended) -> None:
        """Add an attempt that has ended already."""
        attrs = {"slug": point.slug, "attempt": ended.attempt}
        added = _trial(point, state_of(ended), attrs=attrs, value=_value(ended))
        self._optuna.add_trial(added)

    def forgive(self, point: Point) -> None:
        """Let the deaths before now count no more."""
        attrs = {"slug": point.slug, "end": "retried"}
        self._optuna.add_trial(_trial(point, TrialState.FAIL, attrs=attrs))


class Queue:
    """The waiting attempts at a study's points, in the order to run.

    A claim that looked at all attempts would cost the more the larger the study. Attempts are only
    added, at the end, and one that was taken never waits again: each is put in line when it is
    new, and dropped when its turn has come and it no longer waits.

    Args:
        attempts: as long as their journal is not opened again.
        order: the slugs of the points.
    """

    def __init__(self, attempts: Attempts, order: Iterable[str]) -> None:
        self._attempts = attempts
        self._place = {slug: place for place, slug in enumerate(order)}
        self._line: list[tuple[int, int]] = []
        self._seen = 0

    def first(self, among: Collection[str]) -> FrozenTrial | None:
        """Return the next waiting attempt at one of these points, by slug, if one waits."""
        self._line_up()
        passed: list[tuple[int, int]] = []
        found = None
        while self._line and found is None:
            turn = heapq.heappop(self._line)
            trial = self._attempts.numbered(turn[1])
            if trial is not None and trial.state is TrialState.WAITING:
                passed.append(turn)
                found = trial if slug_of(trial) in among else None
        for turn in passed:  # who is found stays in line until it is taken
            heapq.heappush(self._line, turn)
        return found

    def _line_up(self) -> None:
        for trial in self._attempts.since(self._seen):
            self._seen = trial.number + 1
            place = self._place.get(slug_of(trial))
            if place is not None and trial.state is TrialState.WAITING:
                heapq.heappush(self._line, (place, trial.number))


def deaths_without_progress(trials: Sequence[FrozenTrial]) -> int:
    """Count a point's deaths since one that got further than all before it.

    Args:
        trials: the point's trials, oldest first; only the last unbroken row of deaths counts.
    """
    count, furthest = 0, -1
    for trial in trials:
        if not trial.state.is_finished():
            continue
        if trial.user_attrs.get("end") != "death":
            count, furthest = 0, -1
            continue
        step = trial.user_attrs.get("step", 0)
        count = 1 if step > furthest else count + 1
        furthest = max(furthest, step)
    return count


def is_orphan(trial: FrozenTrial, watch: Watch) -> bool:
    """Whether an attempt is in the hands of a worker that is dead."""
    if trial.state is not TrialState.RUNNING:
        return False
    # Under the lock no living worker is between taking a trial and signing it.
    worker = worker_of(trial)
    return worker is None or not watch.lives(worker)


def _is_held(trial: FrozenTrial, slug: str, worker: str) -> bool:
    is_running = trial.state is TrialState.RUNNING
    return is_running and slug_of(trial) == slug and worker_of(trial) == worker


def slug_of(trial: FrozenTrial) -> str:
    """Return which point it is; empty for a trial that someone else has put into the journal."""
    return str(trial.user_attrs.get("slug", ""))


def worker_of(trial: FrozenTrial) -> str | None:
    """Return who has taken the attempt, if anyone has."""
    worker: str | None = trial.user_attrs.get("worker")
    return worker


def state_of(ended: Ended) -> TrialState:
    """Return Optuna's word for how an attempt has ended."""
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    return states.get(ended.state, TrialState.FAIL)


def _trial(
    point: Point, state: TrialState, *, attrs: dict[str, Any], value: float | None = None
) -> FrozenTrial:
    values = point.values
    return create_trial(
        state=state,
        value=value if state is TrialState.COMPLETE else None,
        params={name: values[name] for name in DISTRIBUTIONS},
        distributions=DISTRIBUTIONS,
        user_attrs=attrs | {"seed": values["seed"]},
    )


def _value(ended: Ended) -> float:
    # A study without factors has no such score; Optuna refuses NaN, but not an infinity.
    return -math.inf if ended.value is None else ended.value


def _id(trial: FrozenTrial) -> int:
    # The storage's own key of a trial: Optuna's storages take it, and give it only here.
    return trial._trial_id
