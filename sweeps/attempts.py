"""Attempts at points as an Optuna study: a trial for each, in the study's journal.

What Optuna calls a trial is one attempt: waiting in the queue, running in a worker's hands, or
ended. Nothing here takes the study's lock; the `Ledger` does, around all of it.
"""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from bvae.exceptions import DataError
from sweeps.journal import DAMAGE, head, open_journal, set_aside
from sweeps.points import Point
from sweeps.presence import Watch
from sweeps.results import Ended

log = logging.getLogger("sweeps")

# Wide enough that no study has to change them: a sampler never draws from these.
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "beta": FloatDistribution(1e-300, 1e300, log=True),
    "latent_dim": IntDistribution(1, 2**31),
}


class Attempts:
    """The attempts at the points of a study, in the order they were queued.

    Attributes:
        notes: what there is to say about a journal that was lost or damaged.
    """

    def __init__(self, journal: Path, *, study_name: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._path = journal
        self._name = study_name
        self.notes: list[str] = []
        self.open()

    def open(self) -> None:
        """Open the journal, or begin a new one after moving aside one that cannot be read."""
        try:
            self._storage = open_journal(self._path)
        except DataError as error:
            aside = set_aside(self._path).name
            self.note(f"{error}; moved to {aside}, rebuilt from the result files")
            self._storage = open_journal(self._path)
        self._optuna = optuna.create_study(
            storage=self._storage,
            study_name=self._name,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        self._study_id = self._storage.get_study_id_from_name(self._name)
        self._head = head(self._path)
        self.remember_size()

    def remember_size(self) -> None:
        """Note how long the journal is: it never becomes shorter, unless it is damaged."""
        self._size = self._path.stat().st_size

    def is_in_step(self) -> bool:
        """Whether the journal is the one that was opened, has only grown, and can be read."""
        if head(self._path) != self._head or self._path.stat().st_size < self._size:
            self.note(f"{self._path.name} was replaced or cut off; rebuilt from the result files")
            return False
        try:
            self._storage.get_study_id_from_name(self._name)
        except DAMAGE:
            return False
        return True

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

    def held(self, slug: str, worker: str) -> FrozenTrial | None:
        """Return the attempt at a point that is in a worker's hands, if it is."""
        for trial in self.trials(TrialState.RUNNING):
            if slug_of(trial) == slug and worker_of(trial) == worker:
                return trial
        return None

    def enqueue(self, point: Point, *, attempt: int) -> None:
        """Add a waiting attempt."""
        attrs = {"slug": point.slug, "attempt": attempt}
        self._optuna.add_trial(_trial(point, TrialState.WAITING, attrs=attrs))

    def take(self, trial: FrozenTrial, worker: str) -> None:
        """Put a waiting attempt into a worker's hands."""
        self._storage.set_trial_state_values(_id(trial), state=TrialState.RUNNING)
        self._storage.set_trial_user_attr(_id(trial), "worker", worker)

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
