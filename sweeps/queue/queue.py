"""The queue: which trials wait, which are leased to a worker, and how each attempt has ended.

Result files are the truth; `reconcile` brings the queue in line with them, and any process may call
it at any time.

Everything is done under the study's one lock, which is released when its holder dies. With the lock
comes a check of manifest and journal: a study that was extended is read again, and a journal that
was lost or damaged is rebuilt from the results and the heartbeats of the living workers.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from os.path import lexists
from pathlib import Path

from optuna.trial import TrialState

from bvae.exceptions import ConfigError
from bvae.trial import TrialResult
from sweeps.queue import events
from sweeps.queue.attempts import Attempts, WaitingAttempts, slug_of, store_of
from sweeps.queue.states import Attempt, LeaseLostError
from sweeps.queue.store import StudyStore, execute
from sweeps.search.pruning import pruner_named, should_prune
from sweeps.search.search import Search
from sweeps.study import command
from sweeps.study.heartbeat import WorkerRegistry, remove_stale
from sweeps.study.ranking import Ending, best_first
from sweeps.study.results import Results, next_attempt, stamp
from sweeps.study.study import Study, open_study
from sweeps.study.timeouts import TIMEOUTS, Timeouts
from sweeps.study.trials import Configuration, Trial, configurations_of

__all__ = ["Changes", "Lease", "LeaseLostError", "Queue"]

log = logging.getLogger("sweeps")


@dataclass(frozen=True)
class Lease:
    """A trial that a worker has to itself, until it commits a result or dies."""

    trial: Trial
    attempt_number: int
    worker: str


@dataclass
class Changes:
    """What a reconciliation did, by slug, and the messages for the user."""

    queued: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def add(self, slug: str, actions: Collection[events.Action]) -> None:
        """Add what was done to a trial."""
        kinds = {type(action) for action in actions}
        if events.Enqueue in kinds:
            self.queued.append(slug)
        if events.Write in kinds:
            self.abandoned.append(slug)
        if events.Tidy in kinds:
            self.imported.append(slug)
        elif kinds & {events.Finish, events.EndAttempt}:
            self.died.append(slug)


class Queue:
    """The queue of one study, shared by all its workers.

    Attributes:
        study: as its manifest was when the queue was last used.
        results: as the queue has read them.
    """

    def __init__(self, study: Study, *, timeouts: Timeouts = TIMEOUTS) -> None:
        self._folder = study.folder
        self._timeouts = timeouts
        store = store_of(study)
        with store.exclusive():  # the study may have been extended since it was read
            self._attempts = Attempts(store, study_name=study.name)
            self._reload(open_study(study.folder.root))

    def lease(
        self,
        worker: str,
        *,
        among: Collection[str] | None = None,
        announce: Callable[[str], None] = lambda slug: None,
    ) -> Lease | None:
        """Lease the next waiting trial, of these slugs if given; None when none waits.

        The slug is announced first: a worker killed at any moment is seen to have had the trial.
        """
        with self._exclusive():
            slug = self._next_waiting(among)
            if slug is None and among is None and self._search_next():
                slug = self._next_waiting(among)
            if slug is None:
                return None
            announce(slug)
            self._execute(slug, events.GrantLease(worker))
            number = next_attempt(self.results.read(slug), self.study.manifest)
            return Lease(self._trials[slug], number, worker)

    def _execute(self, slug: str, event: events.Event) -> tuple[events.Action, ...]:
        return execute(self._store, slug, event, now=time.monotonic(), timeouts=self._timeouts)

    def _next_waiting(self, among: Collection[str] | None) -> str | None:
        """Return what waits; those of what was pruned end without being run."""
        wanted = self._trials if among is None else among
        while (attempt := self._waiting.first(wanted)) is not None:
            slug = slug_of(attempt)
            result = self.results.read(slug)
            if result is not None and self.study.is_final(result):  # written by one killed then
                self._execute(slug, events.Reconcile())
            elif self.results.is_complete(slug) or not self._has_pruned_seed(  # or is continued
                self._trials[slug].configuration
            ):
                return slug
            else:
                self._execute(slug, events.PruneWaiting())
        return None

    def _search_next(self) -> bool:
        """Add the trial that the study's search proposes next; return whether there was one.

        The manifest is written first: a trial that is in it alone is queued by `reconcile`.
        """
        manifest = self.study.manifest
        if manifest.search is None or not manifest.unfound:
            return False
        from sweeps.search.samplers import next_trial  # torch and scipy, which no grid needs

        search = Search.read(manifest.search)
        tried = {trial: self._ending(slug) for slug, trial in self._trials.items()}
        found = next_trial(search, tried, system_attrs=self._attempts.system_attrs())
        if found is None:  # the whole search space has been tried
            ended = replace(manifest.search, n_trials=len(manifest.trials))
            replace(manifest, search=ended).write(self._folder.manifest)
            return False
        longer = replace(manifest, trials=[*manifest.trials, found.trial.values])
        longer.write(self._folder.manifest)
        self._reload(Study(self._folder, longer))
        self._attempts.enqueue(found.trial, attempt_number=1, system_attrs=found.system_attrs)
        return True

    def _ending(self, slug: str) -> Ending | None:
        """Return how a trial has ended, None if it has not."""
        ended = self.results.read(slug)
        if ended is None or (ended.state == "failed" and not self.study.is_final(ended)):
            return None
        return ended.ending

    def should_prune(self, lease: Lease, *, step: int, score: float) -> bool:
        """Record an intermediate score; return whether to prune the trial.

        A configuration is pruned as a whole: where one seed was, the others end at their next
        score.
        """
        manifest = self.study.manifest
        if manifest.pruner is None:
            return False
        max_steps = manifest.config_of(lease.trial)["trainer"]["max_steps"]
        pruner = pruner_named(manifest.pruner, max_steps=max_steps)
        with self._exclusive():
            attempt = self._leased(lease)
            if attempt is None:  # taken over: its new worker asks
                return False
            self._attempts.report(attempt.id, step, score)
            scores = {
                self._trials[slug]: found
                for slug, found in self._attempts.intermediate_scores().items()
                if slug in self._trials
            }
            if self.results.is_complete(lease.trial.slug):  # of fewer steps: it is continued
                return False
            if self._has_pruned_seed(lease.trial.configuration):
                return True
            return should_prune(lease.trial, scores, pruner=pruner)

    def commit(self, lease: Lease, result: TrialResult) -> None:
        """Write the result, then end the attempt.

        Raises:
            LeaseLostError: if the trial was taken over meanwhile; nothing is written then.
            OSError: if the result cannot be written; the lease stands.
        """
        with self._exclusive():
            self._execute(lease.trial.slug, events.Commit(lease.worker, result))
            self._remove_weights()

    def release(self, lease: Lease) -> None:
        """Requeue an unfinished trial; its next worker resumes from the checkpoint.

        Raises:
            LeaseLostError: if the trial was taken over meanwhile.
        """
        with self._exclusive():
            self._execute(lease.trial.slug, events.Release(lease.worker))

    def fault(self, lease: Lease, cause: str) -> bool:
        """Requeue a trial that the machine has failed, behind all others.

        Returns:
            whether it has failed: it alone has had this fault again and again.

        Raises:
            LeaseLostError: if the trial was taken over meanwhile.
        """
        with self._exclusive():
            n_complete = len(self._attempts.select(TrialState.COMPLETE))
            fault = events.Fault(lease.worker, cause, n_complete)
            return any(
                isinstance(action, events.Write)
                for action in self._execute(lease.trial.slug, fault)
            )

    def holds(self, lease: Lease) -> bool:
        """Whether the lease still stands."""
        with self._exclusive():
            return self._leased(lease) is not None

    def _leased(self, lease: Lease) -> Attempt | None:
        trial, _ = self._store.get_state(lease.trial.slug)
        return trial.leased_to(lease.worker)

    def open_slugs(self) -> set[str]:
        """Return the slugs of the trials that wait or are leased."""
        with self._exclusive():
            unfinished = self._attempts.select(TrialState.WAITING, TrialState.RUNNING)
            return {slug for attempt in unfinished if (slug := slug_of(attempt)) in self._trials}

    def n_leases(self) -> int:
        """Return how many leases there have been."""
        with self._exclusive():
            return sum("worker" in attempt.user_attrs for attempt in self._attempts.select())

    def reconcile(self, registry: WorkerRegistry) -> Changes:
        """Bring the queue in line with the result files and the living workers.

        Level-triggered: it depends on the present state, not on events, so whatever a kill leaves
        behind, the next call sees and mends.
        """
        with self._exclusive():
            changes = self._reconcile_all(registry)
            self._remove_weights()
            remove_stale(self._folder.workers)
            changes.messages, self._attempts.messages = self._attempts.messages, []
        return changes

    def retry(self, slugs: Iterable[str]) -> list[str]:
        """Set the results of failed trials aside, and queue these trials from the start.

        Returns:
            the slugs that had still failed, and are queued now.
        """
        with self._exclusive():
            failed = [slug for slug in slugs if self._has_failed(slug)]
            for slug in failed:
                self._execute(slug, events.Retry())
        return failed

    def drop(self, slugs: Iterable[str], registry: WorkerRegistry) -> list[Path]:
        """Take these trials out of the study; what is there of them goes to its trash.

        Folders go first: what a killed command has left can be dropped again.

        Returns:
            the folders in the trash.

        Raises:
            ConfigError: a worker runs one of them, or no trial would be left; nothing is changed.
        """
        with self._exclusive():
            dropped = {slug: self._trials[slug] for slug in slugs if slug in self._trials}
            self._check_dropped(dropped, registry)
            moved = [
                self._folder.discard(slug)
                for slug in dropped
                if lexists(self._folder.trial(slug).root)  # a link to nowhere is in the way, too
            ]
            shorter = self.study.manifest.without(dropped.values())
            shorter.write(self._folder.manifest)
            self._reload(Study(self._folder, shorter))
            for slug in dropped:
                self._execute(slug, events.Drop())
        return moved

    def _check_dropped(self, dropped: Mapping[str, Trial], registry: WorkerRegistry) -> None:
        now, seen = time.monotonic(), registry.sightings()
        alive = {name for name, one in seen.items() if one.is_alive(now, self._timeouts)}
        running = {seen[name].slug for name in alive} | {
            slug_of(attempt)
            for attempt in self._attempts.select(TrialState.RUNNING)
            if attempt.user_attrs.get("worker") in alive
        }
        busy = sorted(dropped.keys() & running)
        if busy:
            raise ConfigError(
                f"{busy[0]}: a worker runs it{f', and {len(busy) - 1} more' if busy[1:] else ''}; "
                f"stop the study first: {command.sweeps('stop', self._folder.root)}"
            )
        if dropped.keys() == self._trials.keys():
            raise ConfigError(
                f"{self.study.name}: no trial would be left; remove the folder instead, "
                f"{self._folder.root}"
            )

    def _has_pruned_seed(self, configuration: Configuration) -> bool:
        """Whether a seed of the configuration was pruned: then the others are, too."""
        results = (self.results.read(slug) for slug in self._configurations[configuration])
        return any(result is not None and result.state == "pruned" for result in results)

    def _has_failed(self, slug: str) -> bool:
        result = self.results.read(slug)
        return result is not None and result.state == "failed" and self.study.is_final(result)

    def tidy(self, slug: str) -> None:
        """Remove what an attempt whose lease was lost has left in a complete trial's folder."""
        with self._exclusive():
            self._store.tidy(slug)

    def _remove_weights(self) -> None:
        """Remove the weights of complete trials that are not among the best so many."""
        number = self.study.manifest.keep_trials
        if number is None:
            return
        results = [(trial, self.results.read(slug)) for slug, trial in self._trials.items()]
        ended = [
            (trial, result.ending)
            for trial, result in results
            if result and result.state == "complete" and self.study.is_final(result)
        ]
        for trial in best_first(ended)[number:]:
            self._folder.trial(trial.slug).remove_weights()

    def _reload(self, study: Study) -> None:
        self.study = study
        self._trials = {trial.slug: trial for trial in study.trials}
        self._configurations = configurations_of(study.trials)
        self._waiting = WaitingAttempts(self._attempts, self._trials)
        self.results = Results(study.folder, objective=study.manifest.objective)
        self._store = StudyStore(self._attempts, study, self.results)
        self._manifest_seen = stamp(study.folder.manifest)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the study's lock, with manifest and journal as they are now."""
        with self._attempts.store.exclusive():
            if stamp(self._folder.manifest) != self._manifest_seen:
                self._reload(open_study(self._folder.root))
            if not self._attempts.is_current():
                self._attempts.open()
                self._waiting = WaitingAttempts(self._attempts, self._trials)
                self._reconcile_all(WorkerRegistry(self._folder.workers))
            yield
            self._attempts.store.remember()

    def _reconcile_all(self, registry: WorkerRegistry) -> Changes:
        changes = Changes()
        look = events.Reconcile(registry.sightings())
        with self._store.read_at_once() as known:
            for slug in self._trials:
                changes.add(slug, self._execute(slug, look))
            for slug in known - self._trials.keys():  # killed while they were dropped
                self._execute(slug, look)
        if changes.imported and not known and not self._attempts.messages:
            self._attempts.warn(
                f"{self._attempts.store.name} was lost; rebuilt from the result files"
            )
        return changes
