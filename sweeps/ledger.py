"""The ledger: which points wait, which are being worked on, and what became of each attempt.

It is an Optuna study, one trial per attempt at a point. Result files are the truth; `reconcile`
brings the ledger in line with them whenever it is called, and may be called at any time by anyone.

Claims, commits and take-overs happen under one lock of the study, which dies with its holder; a
claim is besides an atomic step of the storage (WAITING to RUNNING). A worker whose trial was taken
from it finds it finished, and cannot commit.
"""

import math
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from bvae.trial import TrialResult, now
from sweeps.journal import open_journal
from sweeps.points import Point
from sweeps.presence import Watch, locked, read
from sweeps.study import Study

# Wide enough that no study has to change them: a sampler never draws from these.
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "beta": FloatDistribution(1e-9, 1e9, log=True),
    "latent_dim": IntDistribution(1, 1_000_000),
}


class ClaimLostError(Exception):
    """The point was taken over by another worker; this attempt must not be committed."""


@dataclass(frozen=True)
class Claim:
    """A point in this worker's hands."""

    trial_id: int
    point: Point
    attempt: int


@dataclass
class Changes:
    """What a reconciliation did, by slug."""

    queued: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)


class Ledger:
    """The queue of one study, shared by all its workers."""

    def __init__(self, study: Study, *, storage: BaseStorage | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._folder = study.folder
        self._manifest = study.manifest
        self._points = {point.slug: point for point in study.points}
        self._order = {slug: order for order, slug in enumerate(self._points)}
        self._storage = storage or open_journal(study.folder.journal)
        self._optuna = optuna.create_study(
            storage=self._storage,
            study_name=study.name,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        self._study_id = self._storage.get_study_id_from_name(study.name)
        self._final: dict[str, TrialResult] = {}

    def claim(self, worker: str, *, among: Collection[str] | None = None) -> Claim | None:
        """Take the next waiting point, of these slugs if given; None when none waits."""
        # A point this ledger does not know is of a grid extended since; newer workers know it.
        wanted = self._points if among is None else among
        with locked(self._folder.guard):
            for trial in sorted(self._trials(TrialState.WAITING), key=self._rank):
                if trial.user_attrs["slug"] in wanted and self._take(trial, worker):
                    point = self._points[trial.user_attrs["slug"]]
                    return Claim(_id(trial), point, trial.user_attrs["attempt"])
        return None

    def _take(self, trial: FrozenTrial, worker: str) -> bool:
        if not self._storage.set_trial_state_values(_id(trial), state=TrialState.RUNNING):
            return False
        self._storage.set_trial_user_attr(_id(trial), "worker", worker)
        return True

    def commit(self, claim: Claim, result: TrialResult) -> None:
        """Write the result, then tell the study.

        Raises:
            ClaimLostError: if the point was taken over meanwhile; nothing is written then.
        """
        with locked(self._folder.guard):
            if not self.holds(claim):
                raise ClaimLostError(claim.point.slug)
            result.write(self._folder.trial(claim.point.slug).result)
            self._tell(claim.trial_id, result)
            if not self._is_final(result):
                self._enqueue(claim.point, attempt=result.attempt + 1)

    def release(self, claim: Claim) -> None:
        """Give an unfinished point back; it goes on from its checkpoint."""
        with locked(self._folder.guard):
            if self.holds(claim):
                self._end(claim.trial_id, "interrupted")
                self._enqueue(claim.point, attempt=claim.attempt)

    def holds(self, claim: Claim) -> bool:
        """Whether the claim still stands."""
        return self._storage.get_trial(claim.trial_id).state is TrialState.RUNNING

    def waiting(self) -> int:
        """Return how many points wait."""
        return len(self._trials(TrialState.WAITING))

    def reconcile(self, watch: Watch) -> Changes:
        """Bring the ledger in line with the result files and the living workers.

        Level-triggered: it looks at what is, not at what happened, so that a kill at any moment
        leaves nothing that the next call does not see.
        """
        changes = Changes()
        with locked(self._folder.guard):
            by_slug: dict[str, list[FrozenTrial]] = {slug: [] for slug in self._points}
            for trial in self._storage.get_all_trials(self._study_id, deepcopy=False):
                by_slug.setdefault(trial.user_attrs.get("slug", ""), []).append(trial)
            for slug, point in self._points.items():
                self._settle(point, by_slug[slug], watch, changes)
        return changes

    def _settle(
        self, point: Point, trials: list[FrozenTrial], watch: Watch, changes: Changes
    ) -> None:
        slug = point.slug
        open_trials = [trial for trial in trials if not trial.state.is_finished()]
        result = self._result(slug)
        if result is not None and self._is_final(result):
            self._adopt(point, result, trials, open_trials, changes)
            return
        dead = [trial for trial in open_trials if self._is_orphan(trial, watch)]
        steps = [self._last_step(trial) for trial in dead]
        for trial, step in zip(dead, steps, strict=True):
            self._storage.set_trial_user_attr(_id(trial), "step", step)
            self._end(_id(trial), "death")
            changes.died.append(slug)
        if len(dead) < len(open_trials):
            return
        if deaths_without_progress(trials, steps) > self._manifest.max_deaths:
            self._give_up(point, changes)
            return
        self._enqueue(point, attempt=result.attempt + 1 if result else 1)
        changes.queued.append(slug)

    def _is_orphan(self, trial: FrozenTrial, watch: Watch) -> bool:
        if trial.state is not TrialState.RUNNING:
            return False
        # Under the lock no living worker is between taking a trial and signing it.
        worker = trial.user_attrs.get("worker")
        return worker is None or bool(watch.dead({worker}))

    def _last_step(self, trial: FrozenTrial) -> int:
        said = read(self._folder.workers / f"{trial.user_attrs.get('worker')}.json")
        return said.step if said is not None and said.slug == trial.user_attrs["slug"] else 0

    def _adopt(
        self,
        point: Point,
        result: TrialResult,
        trials: list[FrozenTrial],
        open_trials: list[FrozenTrial],
        changes: Changes,
    ) -> None:
        for trial in open_trials:
            self._tell(_id(trial), result)
        told = {trial.state for trial in trials} - {TrialState.WAITING, TrialState.RUNNING}
        if _state(result) not in told and not open_trials:
            self._optuna.add_trial(self._record(point, result))
        if open_trials or _state(result) not in told:
            changes.adopted.append(point.slug)

    def _give_up(self, point: Point, changes: Changes) -> None:
        limit = self._manifest.max_deaths
        TrialResult(
            point=point.values,
            state="failed",
            attempt=self._manifest.max_attempts,
            threads=self._manifest.threads,
            started_at=now(),
            error=f"its worker died {limit + 1} times without progress; see logs/",
        ).write(self._folder.trial(point.slug).result)
        changes.given_up.append(point.slug)

    def retry(self, slugs: Iterable[str]) -> None:
        """Set the results of failed points aside, so that they are run again from the start."""
        with locked(self._folder.guard):
            for slug in slugs:
                folder = self._folder.trial(slug)
                folder.result.replace(folder.result.with_name("result.failed.json"))
                shutil.rmtree(folder.checkpoints, ignore_errors=True)
                self._final.pop(slug, None)
                attrs = {"slug": slug, "end": "retried"}
                self._optuna.add_trial(_trial(self._points[slug], TrialState.FAIL, attrs=attrs))

    def _enqueue(self, point: Point, *, attempt: int) -> None:
        attrs = {"slug": point.slug, "attempt": attempt, "order": self._order[point.slug]}
        self._optuna.add_trial(_trial(point, TrialState.WAITING, attrs=attrs))

    def _record(self, point: Point, result: TrialResult) -> FrozenTrial:
        attrs = {"slug": point.slug, "attempt": result.attempt}
        value = self._value(result)
        return _trial(point, _state(result), attrs=attrs, value=value)

    def _tell(self, trial_id: int, result: TrialResult) -> None:
        state = _state(result)
        values = [self._value(result)] if state is TrialState.COMPLETE else None
        self._storage.set_trial_state_values(trial_id, state=state, values=values)

    def _end(self, trial_id: int, reason: str) -> None:
        self._storage.set_trial_user_attr(trial_id, "end", reason)
        self._storage.set_trial_state_values(trial_id, state=TrialState.FAIL)

    def _value(self, result: TrialResult) -> float:
        # A study without factors has no such score; Optuna refuses NaN, but not an infinity.
        return result.scores.get(self._manifest.objective, -math.inf)

    def _trials(self, state: TrialState) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False, states=(state,))

    def _rank(self, trial: FrozenTrial) -> tuple[int, int]:
        return self._order.get(trial.user_attrs["slug"], len(self._order)), trial.number

    def _result(self, slug: str) -> TrialResult | None:
        if slug not in self._final:
            result = TrialResult.read(self._folder.trial(slug).result)
            if result is None or not self._is_final(result):
                return result
            self._final[slug] = result
        return self._final[slug]

    def _is_final(self, result: TrialResult) -> bool:
        return result.state != "failed" or result.attempt >= self._manifest.max_attempts


def deaths_without_progress(trials: Sequence[FrozenTrial], latest: Sequence[int]) -> int:
    """Count a point's deaths since one that got further than all before it.

    Args:
        trials: the point's trials, oldest first; only the last unbroken row of deaths counts.
        latest: the steps at which workers were just found dead, not yet in `trials`.
    """
    steps: list[int] = []
    for trial in trials:
        if trial.state.is_finished():
            died = trial.user_attrs.get("end") == "death"
            steps = [*steps, trial.user_attrs.get("step", 0)] if died else []
    count, furthest = 0, -1
    for step in [*steps, *latest]:
        count = 1 if step > furthest else count + 1
        furthest = max(furthest, step)
    return count


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


def _state(result: TrialResult) -> TrialState:
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    return states.get(result.state, TrialState.FAIL)


def _id(trial: FrozenTrial) -> int:
    # The storage's own key of a trial: Optuna's storages take it, and give it only here.
    return trial._trial_id
