"""The ledger: which points wait, which are being worked on, and what became of each attempt.

It is an Optuna study, one trial per attempt at a point. Result files are the truth; `reconcile`
brings the ledger in line with them whenever it is called, and may be called at any time by anyone.

Everything happens under one lock of the study, which dies with its holder. Before it does, manifest
and journal are looked at: a study that was extended is taken up as it is now, and a journal that
was lost or damaged is rebuilt from the results and from what the living workers say they are at.
"""

import contextlib
import logging
import math
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from bvae.exceptions import DataError
from bvae.files import remove_leftovers
from bvae.trial import TrialResult, now
from sweeps.journal import DAMAGE, open_journal, set_aside
from sweeps.points import Point
from sweeps.presence import Watch, clear, locked, read
from sweeps.results import Ended, Results
from sweeps.study import Study, load_study

log = logging.getLogger("sweeps")

# Wide enough that no study has to change them: a sampler never draws from these.
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "beta": FloatDistribution(1e-300, 1e300, log=True),
    "latent_dim": IntDistribution(1, 2**31),
}


class ClaimLostError(Exception):
    """The point was taken over by another worker; this attempt must not be committed."""


@dataclass(frozen=True)
class Claim:
    """A point in a worker's hands."""

    point: Point
    attempt: int
    worker: str


@dataclass
class Changes:
    """What a reconciliation did, by slug, and what there is to say about it."""

    queued: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _unannounced(slug: str) -> None:
    del slug


class Ledger:
    """The queue of one study, shared by all its workers."""

    def __init__(self, study: Study) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._folder = study.folder
        self._notes: list[str] = []
        self._take_up(study)
        with locked(self._folder.guard):
            self._open()

    @property
    def study(self) -> Study:
        """The study, as its manifest was when the ledger was last used."""
        return self._study

    def claim(
        self,
        worker: str,
        *,
        among: Collection[str] | None = None,
        announce: Callable[[str], None] = _unannounced,
    ) -> Claim | None:
        """Take the next waiting point, of these slugs if given; None when none waits.

        The slug is announced before it is taken: whoever takes a point is seen to be at it.
        """
        with self._exclusive():
            wanted = self._points if among is None else among
            all_waiting = self._trials(TrialState.WAITING)
            waiting = [trial for trial in all_waiting if _slug(trial) in wanted]
            if not waiting:
                return None
            trial = min(waiting, key=self._rank)
            announce(_slug(trial))
            self._storage.set_trial_state_values(_id(trial), state=TrialState.RUNNING)
            self._storage.set_trial_user_attr(_id(trial), "worker", worker)
            return Claim(self._points[_slug(trial)], trial.user_attrs["attempt"], worker)

    def commit(self, claim: Claim, result: TrialResult) -> None:
        """Write the result, then tell the study.

        Raises:
            ClaimLostError: if the point was taken over meanwhile; nothing is written then.
            OSError: if the result cannot be written; the claim stands.
        """
        with self._exclusive():
            trial = self._held(claim)
            if trial is None:
                raise ClaimLostError(claim.point.slug)
            result.write(self._folder.trial(claim.point.slug).result)
            ended = self._results.read(claim.point.slug)
            if ended is None:
                raise OSError(f"{claim.point.slug}: the result just written cannot be read")
            self._tidy(claim.point.slug, ended)
            self._tell(trial, ended)
            if not self._study.is_final(ended):
                self._enqueue(claim.point, attempt=ended.attempt + 1)

    def release(self, claim: Claim) -> None:
        """Give an unfinished point back; it goes on from its checkpoint.

        Raises:
            ClaimLostError: if the point was taken over meanwhile.
        """
        with self._exclusive():
            trial = self._held(claim)
            if trial is None:
                raise ClaimLostError(claim.point.slug)
            self._end(trial, "interrupted")
            self._enqueue(claim.point, attempt=claim.attempt)

    def holds(self, claim: Claim) -> bool:
        """Whether the claim still stands."""
        with self._exclusive():
            return self._held(claim) is not None

    def open_slugs(self) -> set[str]:
        """Return the slugs of the points that wait or are being worked on."""
        with self._exclusive():
            return {_slug(trial) for trial in self._trials(TrialState.WAITING, TrialState.RUNNING)}

    def claims(self) -> int:
        """Return how many claims there have been."""
        with self._exclusive():
            trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
            return sum("worker" in trial.user_attrs for trial in trials)

    def reconcile(self, watch: Watch) -> Changes:
        """Bring the ledger in line with the result files and the living workers.

        Level-triggered: it looks at what is, not at what happened, so that a kill at any moment
        leaves nothing that the next call does not see.
        """
        with self._exclusive():
            changes = self._settle_all(watch)
            clear(self._folder.workers)
            changes.notes, self._notes = self._notes, []
        return changes

    def retry(self, slugs: Iterable[str]) -> None:
        """Set the results of failed points aside, and queue these points from the start."""
        with self._exclusive():
            for slug in slugs:
                folder = self._folder.trial(slug)
                attrs = {"slug": slug, "end": "retried"}  # deaths before it count no more
                self._optuna.add_trial(_trial(self._points[slug], TrialState.FAIL, attrs=attrs))
                shutil.rmtree(folder.checkpoints, ignore_errors=True)
                folder.result.replace(folder.result.with_name("result.failed.json"))
                self._enqueue(self._points[slug], attempt=1)

    def tidy(self, slug: str) -> None:
        """Remove what an attempt that came too late has left in the folder of a complete point."""
        with self._exclusive():
            self._tidy(slug, self._results.read(slug))

    def _tidy(self, slug: str, ended: Ended | None) -> None:
        """Keep of a complete point what it is worth keeping: weights, no training state."""
        if ended is not None and ended.state == "complete":
            folder = self._folder.trial(slug)
            folder.resume.unlink(missing_ok=True)
            remove_leftovers(folder.root)

    def _take_up(self, study: Study) -> None:
        self._study = study
        self._points = {point.slug: point for point in study.points}
        self._order = {slug: order for order, slug in enumerate(self._points)}
        self._results = Results(study)
        self._manifest_seen = _stamp(study.folder.manifest)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the study's lock, with manifest and journal as they are now."""
        with locked(self._folder.guard):
            if _stamp(self._folder.manifest) != self._manifest_seen:
                self._take_up(load_study(self._folder.root))
            if not self._is_in_step():
                self._open()
                self._settle_all(Watch(self._folder.workers))
            yield
            self._size = self._folder.journal.stat().st_size

    def _open(self) -> None:
        path = self._folder.journal
        try:
            self._storage = open_journal(path)
        except DataError as error:
            self._note(f"{error}; moved to {set_aside(path).name}, rebuilt from the result files")
            self._storage = open_journal(path)
        self._optuna = optuna.create_study(
            storage=self._storage,
            study_name=self._study.name,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        self._study_id = self._storage.get_study_id_from_name(self._study.name)
        self._head = _head(path)
        self._size = path.stat().st_size

    def _is_in_step(self) -> bool:
        """Whether the journal is the one that was opened, has only grown, and can be read."""
        path = self._folder.journal
        if _head(path) != self._head or path.stat().st_size < self._size:
            self._note(f"{path.name} was replaced or cut off; rebuilt from the result files")
            return False
        try:
            self._storage.get_study_id_from_name(self._study.name)
        except DAMAGE:
            return False
        return True

    def _note(self, text: str) -> None:
        log.warning(text)
        self._notes.append(text)

    def _settle_all(self, watch: Watch) -> Changes:
        changes = Changes()
        by_slug: dict[str, list[FrozenTrial]] = {slug: [] for slug in self._points}
        for trial in self._storage.get_all_trials(self._study_id, deepcopy=False):
            by_slug.setdefault(_slug(trial), []).append(trial)
        at_work = watch.at_work()
        for slug in self._points:
            ended = self._results.read(slug)
            if ended is not None and self._study.is_final(ended):
                self._adopt(slug, ended, by_slug[slug], changes)
            else:
                self._settle(slug, ended, by_slug[slug], watch, changes)
            if changes.queued[-1:] == [slug] and slug in at_work:
                self._return_to(at_work[slug], slug)
        return changes

    def _settle(
        self,
        slug: str,
        ended: Ended | None,
        trials: list[FrozenTrial],
        watch: Watch,
        changes: Changes,
    ) -> None:
        """Queue the point of this slug, unless it waits or is in living hands."""
        unfinished = [trial for trial in trials if not trial.state.is_finished()]
        dead = [trial for trial in unfinished if _is_orphan(trial, watch)]
        for trial in dead:
            self._bury(trial, ended)
            changes.died.append(slug)
        if len(dead) < len(unfinished):
            return
        trials = [self._storage.get_trial(_id(trial)) for trial in trials] if dead else trials
        if deaths_without_progress(trials) >= self._study.manifest.max_deaths:
            self._give_up(slug)
            changes.given_up.append(slug)
            return
        self._enqueue(self._points[slug], attempt=ended.attempt + 1 if ended else 1)
        changes.queued.append(slug)

    def _bury(self, trial: FrozenTrial, ended: Ended | None) -> None:
        """End the trial of a dead worker; one that had ended its attempt only failed to say so."""
        if ended is not None and ended.attempt >= trial.user_attrs["attempt"]:
            self._tell(trial, ended)
            return
        said = read(self._folder.workers / f"{trial.user_attrs.get('worker')}.json")
        step = said.step if said is not None and said.slug == _slug(trial) else 0
        self._storage.set_trial_user_attr(_id(trial), "step", step)
        self._end(trial, "death")

    def _adopt(self, slug: str, ended: Ended, trials: list[FrozenTrial], changes: Changes) -> None:
        """Tell the study of a final result that it does not know yet."""
        unfinished = [trial for trial in trials if not trial.state.is_finished()]
        for trial in unfinished[1:]:
            self._end(trial, "superseded")
        if unfinished:
            self._tell(unfinished[0], ended)
        elif _state(ended) not in {trial.state for trial in trials}:
            self._optuna.add_trial(self._record(slug, ended))
        else:
            return
        self._tidy(slug, ended)
        changes.adopted.append(slug)

    def _return_to(self, worker: str, slug: str) -> None:
        """Give a point just queued back to the living worker that is at it already."""
        for trial in self._trials(TrialState.WAITING):
            if _slug(trial) == slug:
                self._storage.set_trial_state_values(_id(trial), state=TrialState.RUNNING)
                self._storage.set_trial_user_attr(_id(trial), "worker", worker)

    def _give_up(self, slug: str) -> None:
        manifest = self._study.manifest
        TrialResult(
            point=self._points[slug].values,
            state="failed",
            attempt=manifest.max_attempts,
            threads=manifest.threads,
            started_at=now(),
            error=f"its worker died {manifest.max_deaths} times without progress; see logs/",
        ).write(self._folder.trial(slug).result)

    def _enqueue(self, point: Point, *, attempt: int) -> None:
        attrs = {"slug": point.slug, "attempt": attempt}
        self._optuna.add_trial(_trial(point, TrialState.WAITING, attrs=attrs))

    def _record(self, slug: str, ended: Ended) -> FrozenTrial:
        attrs = {"slug": slug, "attempt": ended.attempt}
        return _trial(self._points[slug], _state(ended), attrs=attrs, value=_value(ended))

    def _tell(self, trial: FrozenTrial, ended: Ended) -> None:
        state = _state(ended)
        values = [_value(ended)] if state is TrialState.COMPLETE else None
        self._storage.set_trial_state_values(_id(trial), state=state, values=values)

    def _end(self, trial: FrozenTrial, reason: str) -> None:
        self._storage.set_trial_user_attr(_id(trial), "end", reason)
        self._storage.set_trial_state_values(_id(trial), state=TrialState.FAIL)

    def _held(self, claim: Claim) -> FrozenTrial | None:
        mine = [
            trial
            for trial in self._trials(TrialState.RUNNING)
            if _slug(trial) == claim.point.slug and trial.user_attrs.get("worker") == claim.worker
        ]
        return mine[0] if mine else None

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False, states=states)

    def _rank(self, trial: FrozenTrial) -> tuple[int, int]:
        return self._order.get(_slug(trial), len(self._order)), trial.number


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


def _is_orphan(trial: FrozenTrial, watch: Watch) -> bool:
    if trial.state is not TrialState.RUNNING:
        return False
    # Under the lock no living worker is between taking a trial and signing it.
    worker = trial.user_attrs.get("worker")
    return worker is None or not watch.lives(worker)


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


def _head(journal: Path) -> bytes | None:
    """Return the first record of a journal: it holds a random number."""
    try:
        with journal.open("rb") as file:
            return file.readline()
    except FileNotFoundError:
        return None


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


def _state(ended: Ended) -> TrialState:
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    return states.get(ended.state, TrialState.FAIL)


def _value(ended: Ended) -> float:
    # A study without factors has no such score; Optuna refuses NaN, but not an infinity.
    return -math.inf if ended.value is None else ended.value


def _slug(trial: FrozenTrial) -> str:
    # A trial that someone else has put into the journal has no slug.
    return str(trial.user_attrs.get("slug", ""))


def _id(trial: FrozenTrial) -> int:
    # The storage's own key of a trial: Optuna's storages take it, and give it only here.
    return trial._trial_id
