"""The ledger: which points wait, which are being worked on, and what became of each attempt.

Result files are the truth; `reconcile` brings the queue in line with them whenever it is called,
and may be called at any time by anyone.

Everything happens under one lock of the study, which dies with its holder. Before it does, manifest
and journal are looked at: a study that was extended is taken up as it is now, and a journal that
was lost or damaged is rebuilt from the results and from what the living workers say they are at.
"""

import contextlib
import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from optuna.trial import FrozenTrial, TrialState

from bvae.files import remove_leftovers
from bvae.trial import TrialResult, now
from sweeps.attempts import (
    Attempts,
    Queue,
    deaths_without_progress,
    is_orphan,
    slug_of,
    state_of,
    store_of,
    worker_of,
)
from sweeps.points import Cell, Point, cells_of
from sweeps.presence import Watch, clear, read
from sweeps.pruning import is_hopeless, pruner_named
from sweeps.ranking import Ending
from sweeps.results import GIVEN_UP, Ended, Results, stamp
from sweeps.search import Search
from sweeps.study import Study, load_study

log = logging.getLogger("sweeps")


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
        self._folder = study.folder
        store = store_of(study)
        with store.exclusive():  # the study may have been extended since it was read
            self._attempts = Attempts(store, study_name=study.name)
            self._take_up(load_study(study.folder.root))

    @property
    def study(self) -> Study:
        """The study, as its manifest was when the ledger was last used."""
        return self._study

    @property
    def results(self) -> Results:
        """How attempts have ended, as the ledger has read it."""
        return self._results

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
            trial = self._first(among)
            if trial is None and among is None and self._find():
                trial = self._first(among)
            if trial is None:
                return None
            slug = slug_of(trial)
            announce(slug)
            self._attempts.take(trial, worker)
            return Claim(self._points[slug], trial.user_attrs["attempt"], worker)

    def _first(self, among: Collection[str] | None) -> FrozenTrial | None:
        """Return the next waiting attempt; those whose cell was pruned end without being run."""
        wanted = self._points if among is None else among
        while (trial := self._queue.first(wanted)) is not None:
            slug = slug_of(trial)
            if self._results.is_complete(slug):  # it is trained on
                return trial
            if not self._has_pruned_seed(self._points[slug].cell):
                return trial
            self._prune(slug, trial)
        return None

    def _find(self) -> bool:
        """Add the point that the study's search wants next; return whether there was one.

        The manifest comes first: of a point that is in it and nowhere else, `reconcile` knows.
        """
        manifest = self._study.manifest
        if manifest.search is None or not manifest.unfound:
            return False
        from sweeps.samplers import next_point  # torch and scipy, which no grid needs

        search = Search.read(manifest.search)
        found = next_point(search, self._tried(), notes=self._attempts.noted())
        if found is None:  # all there is has been found
            ended = manifest.search | {"n_trials": len(manifest.points)}
            replace(manifest, search=ended).write(self._folder.manifest)
            return False
        longer = replace(manifest, points=[*manifest.points, found.point.values])
        longer.write(self._folder.manifest)
        self._take_up(Study(self._folder, longer))
        self._attempts.enqueue(found.point, attempt=1, notes=found.notes)
        return True

    def _tried(self) -> dict[Point, Ending | None]:
        """Return every point, and how it has ended, None if it has not."""
        return {point: self._ending(slug) for slug, point in self._points.items()}

    def _ending(self, slug: str) -> Ending | None:
        ended = self._results.read(slug)
        if ended is None or (ended.state == "failed" and not self._study.is_final(ended)):
            return None
        return ended.ending

    def judge(self, claim: Claim, *, step: int, score: float) -> bool:
        """Note a score on the way; return whether the claim's cell is to be given up.

        A cell is pruned as a whole: where one seed was, the others end at their next score.
        """
        manifest = self._study.manifest
        if manifest.pruner is None:
            return False
        max_steps = manifest.configuration(claim.point)["trainer"]["max_steps"]
        pruner = pruner_named(manifest.pruner, max_steps=max_steps)
        with self._exclusive():
            trial = self._attempts.held(claim.point.slug, claim.worker)
            if trial is None:  # whoever has it now judges it
                return False
            self._attempts.report(trial, step, score)
            scores = {
                self._points[slug]: found
                for slug, found in self._attempts.reported().items()
                if slug in self._points
            }
            if self._results.is_complete(claim.point.slug):  # it is trained on
                return False
            if self._has_pruned_seed(claim.point.cell):
                return True
            return is_hopeless(claim.point, scores, pruner=pruner)

    def commit(self, claim: Claim, result: TrialResult) -> None:
        """Write the result, then tell the study.

        Raises:
            ClaimLostError: if the point was taken over meanwhile; nothing is written then.
            OSError: if the result cannot be written; the claim stands.
        """
        with self._exclusive():
            trial = self._held(claim)
            ended = self._results.write(claim.point.slug, result)
            self._tidy(claim.point.slug, ended)
            self._attempts.tell(trial, ended)
            if not self._study.is_final(ended):
                self._attempts.enqueue(claim.point, attempt=self._study.next_attempt(ended))

    def release(self, claim: Claim) -> None:
        """Give an unfinished point back; it goes on from its checkpoint.

        Raises:
            ClaimLostError: if the point was taken over meanwhile.
        """
        with self._exclusive():
            self._attempts.end(self._held(claim), "interrupted")
            self._attempts.enqueue(claim.point, attempt=claim.attempt)

    def holds(self, claim: Claim) -> bool:
        """Whether the claim still stands."""
        with self._exclusive():
            return self._attempts.held(claim.point.slug, claim.worker) is not None

    def open_slugs(self) -> set[str]:
        """Return the slugs of the points that wait or are being worked on."""
        with self._exclusive():
            unfinished = self._attempts.trials(TrialState.WAITING, TrialState.RUNNING)
            return {slug_of(trial) for trial in unfinished}

    def claims(self) -> int:
        """Return how many claims there have been."""
        with self._exclusive():
            return sum(worker_of(trial) is not None for trial in self._attempts.trials())

    def reconcile(self, watch: Watch) -> Changes:
        """Bring the ledger in line with the result files and the living workers.

        Level-triggered: it looks at what is, not at what happened, so that a kill at any moment
        leaves nothing that the next call does not see.
        """
        with self._exclusive():
            changes = self._settle_all(watch)
            clear(self._folder.workers)
            changes.notes, self._attempts.notes = self._attempts.notes, []
        return changes

    def retry(self, slugs: Iterable[str]) -> list[str]:
        """Set the results of failed points aside, and queue these points from the start.

        Returns:
            the slugs that were failed still, and are queued now.
        """
        with self._exclusive():
            failed = [slug for slug in slugs if self._has_failed(slug)]
            for slug in failed:
                folder = self._folder.trial(slug)
                self._attempts.forgive(self._points[slug])
                shutil.rmtree(folder.checkpoints, ignore_errors=True)
                folder.result.replace(folder.result.with_name("result.failed.json"))
                self._attempts.enqueue(self._points[slug], attempt=1)
        return failed

    def _has_pruned_seed(self, cell: Cell) -> bool:
        """Whether a seed of the cell was pruned: then no other is trained to its end."""
        results = (self._results.read(slug) for slug in self._cells[cell])
        return any(ended is not None and ended.state == "pruned" for ended in results)

    def _prune(self, slug: str, trial: FrozenTrial) -> None:
        """End a waiting attempt whose cell was pruned, without running it."""
        result = TrialResult(
            point=self._points[slug].values,
            state="pruned",
            attempt=trial.user_attrs["attempt"],
            threads=self._study.manifest.threads,
            started_at=now(),
            steps=0,
        )
        self._attempts.tell(trial, self._results.write(slug, result))

    def _has_failed(self, slug: str) -> bool:
        ended = self._results.read(slug)
        return ended is not None and ended.state == "failed" and self._study.is_final(ended)

    def tidy(self, slug: str) -> None:
        """Remove what an attempt that came too late has left in the folder of a complete point."""
        with self._exclusive():
            self._tidy(slug, self._results.read(slug))

    def _tidy(self, slug: str, ended: Ended | None) -> None:
        """Keep of a point that is done what is worth keeping: weights, no training state."""
        if ended is not None and ended.state != "failed" and self._study.is_final(ended):
            folder = self._folder.trial(slug)
            folder.resume.unlink(missing_ok=True)
            remove_leftovers(folder.root)

    def _take_up(self, study: Study) -> None:
        self._study = study
        self._points = {point.slug: point for point in study.points}
        self._cells = cells_of(study.points)
        self._queue = Queue(self._attempts, self._points)
        self._results = Results(study)
        self._manifest_seen = stamp(study.folder.manifest)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the study's lock, with manifest and journal as they are now."""
        with self._attempts.store.exclusive():
            if stamp(self._folder.manifest) != self._manifest_seen:
                self._take_up(load_study(self._folder.root))
            if not self._attempts.is_in_step():
                self._attempts.open()
                self._queue = Queue(self._attempts, self._points)
                self._settle_all(Watch(self._folder.workers))
            yield
            self._attempts.store.remember()

    def _settle_all(self, watch: Watch) -> Changes:
        changes = Changes()
        by_slug: dict[str, list[FrozenTrial]] = {slug: [] for slug in self._points}
        trials = self._attempts.trials()
        for trial in trials:
            by_slug.setdefault(slug_of(trial), []).append(trial)
        at_work = watch.at_work()
        for slug in self._points:
            ended = self._results.read(slug)
            if ended is not None and self._study.is_final(ended):
                self._adopt(slug, ended, by_slug[slug], changes)
            else:
                self._settle(slug, ended, by_slug[slug], watch, changes)
            if changes.queued[-1:] == [slug] and slug in at_work:
                self._return_to(at_work[slug], slug)
        if changes.adopted and not trials and not self._attempts.notes:
            self._attempts.note(
                f"{self._attempts.store.name} was lost; rebuilt from the result files"
            )
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
        dead = [trial for trial in unfinished if is_orphan(trial, watch)]
        for trial in dead:
            self._bury(trial, ended)
            changes.died.append(slug)
        if len(dead) < len(unfinished):
            return
        trials = [self._attempts.again(trial) for trial in trials] if dead else trials
        if deaths_without_progress(trials) >= self._study.manifest.max_deaths:
            self._give_up(slug)
            changes.given_up.append(slug)
            return
        self._attempts.enqueue(self._points[slug], attempt=self._study.next_attempt(ended))
        changes.queued.append(slug)

    def _bury(self, trial: FrozenTrial, ended: Ended | None) -> None:
        """End the trial of a dead worker; one that had ended its attempt only failed to say so."""
        if ended is not None and self._study.next_attempt(ended) > trial.user_attrs["attempt"]:
            self._attempts.tell(trial, ended)
            return
        said = read(self._folder.workers / f"{worker_of(trial)}.json")
        step = said.step if said is not None and said.slug == slug_of(trial) else 0
        self._attempts.end(trial, "death", step=step)

    def _adopt(self, slug: str, ended: Ended, trials: list[FrozenTrial], changes: Changes) -> None:
        """Tell the study of a final result that it does not know yet."""
        unfinished = [trial for trial in trials if not trial.state.is_finished()]
        for trial in unfinished[1:]:
            self._attempts.end(trial, "superseded")
        if unfinished:
            self._attempts.tell(unfinished[0], ended)
        elif state_of(ended) not in {trial.state for trial in trials}:
            self._attempts.add(self._points[slug], ended)
        else:
            return
        self._tidy(slug, ended)
        changes.adopted.append(slug)

    def _return_to(self, worker: str, slug: str) -> None:
        """Give a point just queued back to the living worker that is at it already."""
        for trial in self._attempts.trials(TrialState.WAITING):
            if slug_of(trial) == slug:
                self._attempts.take(trial, worker)

    def _give_up(self, slug: str) -> None:
        manifest = self._study.manifest
        TrialResult(
            point=self._points[slug].values,
            state="failed",
            attempt=manifest.max_attempts,
            threads=manifest.threads,
            started_at=now(),
            error=f"{GIVEN_UP} {manifest.max_deaths} times without progress; see logs/",
        ).write(self._folder.trial(slug).result)

    def _held(self, claim: Claim) -> FrozenTrial:
        trial = self._attempts.held(claim.point.slug, claim.worker)
        if trial is None:
            raise ClaimLostError(claim.point.slug)
        return trial
