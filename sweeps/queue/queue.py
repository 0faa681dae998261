"""The queue: which trials wait, which are leased to a worker, and how each attempt has ended.

Result files are the truth; `reconcile` brings the queue in line with them, and any process may call
it at any time.

Everything is done under the study's one lock, which is released when its holder dies. With the lock
comes a check of manifest and journal: a study that was extended is read again, and a journal that
was lost or damaged is rebuilt from the results and the heartbeats of the living workers.
"""

import contextlib
import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from bvae.exceptions import ConfigError
from bvae.files import remove_leftovers
from bvae.trial import TrialResult, now
from sweeps.queue.attempts import (
    Attempts,
    WaitingAttempts,
    deaths_without_progress,
    is_abandoned,
    slug_of,
    state_of,
    store_of,
    worker_of,
)
from sweeps.search.pruning import pruner_named, should_prune
from sweeps.search.search import Search
from sweeps.study import command
from sweeps.study.heartbeat import WorkerRegistry, read_heartbeat, remove_stale
from sweeps.study.ranking import Ending, best_first
from sweeps.study.results import ABANDONED, AttemptResult, Results, next_attempt, stamp
from sweeps.study.study import Study, open_study
from sweeps.study.trials import Configuration, Trial, configurations_of

log = logging.getLogger("sweeps")

RECONCILE_S = 5.0
"""How often an idle worker, and the command that runs a study, reconcile the queue."""


class LeaseLostError(Exception):
    """The trial was taken over by another worker; this attempt must not be committed."""


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


def _no_announcement(slug: str) -> None:
    del slug


class Queue:
    """The queue of one study, shared by all its workers."""

    def __init__(self, study: Study) -> None:
        self._folder = study.folder
        store = store_of(study)
        with store.exclusive():  # the study may have been extended since it was read
            self._attempts = Attempts(store, study_name=study.name)
            self._reload(open_study(study.folder.root))

    @property
    def study(self) -> Study:
        """The study, as its manifest was when the queue was last used."""
        return self._study

    @property
    def results(self) -> Results:
        """The results, as the queue has read them."""
        return self._results

    def lease(
        self,
        worker: str,
        *,
        among: Collection[str] | None = None,
        announce: Callable[[str], None] = _no_announcement,
    ) -> Lease | None:
        """Lease the next waiting trial, of these slugs if given; None when none waits.

        The slug is announced first: a worker killed at any moment is seen to have had the trial.
        """
        with self._exclusive():
            attempt = self._next_waiting(among)
            if attempt is None and among is None and self._search_next():
                attempt = self._next_waiting(among)
            if attempt is None:
                return None
            slug = slug_of(attempt)
            announce(slug)
            self._attempts.lease(attempt, worker)
            return Lease(self._trials[slug], attempt.user_attrs["attempt"], worker)

    def _next_waiting(self, among: Collection[str] | None) -> FrozenTrial | None:
        """Return the next waiting attempt; those of what was pruned end without being run."""
        wanted = self._trials if among is None else among
        while (attempt := self._waiting.first(wanted)) is not None:
            slug = slug_of(attempt)
            if self._results.is_complete(slug):  # of fewer steps: it is continued
                return attempt
            if not self._has_pruned_seed(self._trials[slug].configuration):
                return attempt
            self._prune(slug, attempt)
        return None

    def _search_next(self) -> bool:
        """Add the trial that the study's search proposes next; return whether there was one.

        The manifest is written first: a trial that is in it alone is queued by `reconcile`.
        """
        manifest = self._study.manifest
        if manifest.search is None or not manifest.unfound:
            return False
        from sweeps.search.samplers import next_trial  # torch and scipy, which no grid needs

        search = Search.read(manifest.search)
        found = next_trial(search, self._tried(), system_attrs=self._attempts.system_attrs())
        if found is None:  # the whole search space has been tried
            ended = replace(manifest.search, n_trials=len(manifest.trials))
            replace(manifest, search=ended).write(self._folder.manifest)
            return False
        longer = replace(manifest, trials=[*manifest.trials, found.trial.values])
        longer.write(self._folder.manifest)
        self._reload(Study(self._folder, longer))
        self._attempts.enqueue(found.trial, attempt_number=1, system_attrs=found.system_attrs)
        return True

    def _tried(self) -> dict[Trial, Ending | None]:
        """Return every trial, and how it has ended, None if it has not."""
        return {trial: self._ending(slug) for slug, trial in self._trials.items()}

    def _ending(self, slug: str) -> Ending | None:
        ended = self._results.read(slug)
        if ended is None or (ended.state == "failed" and not self._study.is_final(ended)):
            return None
        return ended.ending

    def should_prune(self, lease: Lease, *, step: int, score: float) -> bool:
        """Record an intermediate score; return whether to prune the trial.

        A configuration is pruned as a whole: where one seed was, the others end at their next
        score.
        """
        manifest = self._study.manifest
        if manifest.pruner is None:
            return False
        max_steps = manifest.config_of(lease.trial)["trainer"]["max_steps"]
        pruner = pruner_named(manifest.pruner, max_steps=max_steps)
        with self._exclusive():
            attempt = self._attempts.leased(lease.trial.slug, lease.worker)
            if attempt is None:  # taken over: its new worker asks
                return False
            self._attempts.report(attempt, step, score)
            scores = {
                self._trials[slug]: found
                for slug, found in self._attempts.intermediate_scores().items()
                if slug in self._trials
            }
            if self._results.is_complete(lease.trial.slug):  # of fewer steps: it is continued
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
            attempt = self._leased_attempt(lease)
            committed = self._results.write(lease.trial.slug, result)
            self._tidy(lease.trial.slug, committed)
            self._attempts.finish(attempt, committed)
            self._remove_weights()
            if not self._study.is_final(committed):
                number = next_attempt(committed, self._study.manifest)
                self._attempts.enqueue(lease.trial, attempt_number=number)

    def release(self, lease: Lease) -> None:
        """Requeue an unfinished trial; its next worker resumes from the checkpoint.

        Raises:
            LeaseLostError: if the trial was taken over meanwhile.
        """
        with self._exclusive():
            self._attempts.end(self._leased_attempt(lease), "interrupted")
            self._attempts.enqueue(lease.trial, attempt_number=lease.attempt_number)

    def holds(self, lease: Lease) -> bool:
        """Whether the lease still stands."""
        with self._exclusive():
            return self._attempts.leased(lease.trial.slug, lease.worker) is not None

    def open_slugs(self) -> set[str]:
        """Return the slugs of the trials that wait or are leased."""
        with self._exclusive():
            unfinished = self._attempts.select(TrialState.WAITING, TrialState.RUNNING)
            return {slug_of(attempt) for attempt in unfinished}

    def n_leases(self) -> int:
        """Return how many leases there have been."""
        with self._exclusive():
            return sum(worker_of(attempt) is not None for attempt in self._attempts.select())

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
                folder = self._folder.trial(slug)
                self._attempts.reset_attempts(self._trials[slug])
                shutil.rmtree(folder.checkpoints, ignore_errors=True)
                folder.result.replace(folder.failed_result)
                self._attempts.enqueue(self._trials[slug], attempt_number=1)
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
                if self._folder.trial(slug).root.exists()
            ]
            shorter = self._study.manifest.without(dropped.values())
            shorter.write(self._folder.manifest)
            for attempt in self._attempts.select(TrialState.WAITING, TrialState.RUNNING):
                if slug_of(attempt) in dropped:
                    self._attempts.end(attempt, "dropped")
            self._reload(Study(self._folder, shorter))
        return moved

    def _check_dropped(self, dropped: Mapping[str, Trial], registry: WorkerRegistry) -> None:
        leased = {
            slug_of(attempt)
            for attempt in self._attempts.select(TrialState.RUNNING)
            if not is_abandoned(attempt, registry)
        }
        busy = sorted(dropped.keys() & (leased | registry.workers_by_slug().keys()))
        if busy:
            raise ConfigError(
                f"{busy[0]}: a worker runs it{f', and {len(busy) - 1} more' if busy[1:] else ''}; "
                f"stop the study first: {command.sweeps('stop', self._folder.root)}"
            )
        if dropped.keys() == self._trials.keys():
            raise ConfigError(
                f"{self._study.name}: no trial would be left; remove the folder instead, "
                f"{self._folder.root}"
            )

    def _has_pruned_seed(self, configuration: Configuration) -> bool:
        """Whether a seed of the configuration was pruned: then the others are, too."""
        results = (self._results.read(slug) for slug in self._configurations[configuration])
        return any(result is not None and result.state == "pruned" for result in results)

    def _prune(self, slug: str, attempt: FrozenTrial) -> None:
        """End a waiting attempt whose configuration was pruned, without running it."""
        result = TrialResult(
            point=self._trials[slug].values,
            state="pruned",
            attempt=attempt.user_attrs["attempt"],
            threads=self._study.manifest.threads,
            started_at=now(),
            steps=0,
        )
        self._attempts.finish(attempt, self._results.write(slug, result))

    def _has_failed(self, slug: str) -> bool:
        result = self._results.read(slug)
        return result is not None and result.state == "failed" and self._study.is_final(result)

    def tidy(self, slug: str) -> None:
        """Remove what an attempt whose lease was lost has left in a complete trial's folder."""
        with self._exclusive():
            self._tidy(slug, self._results.read(slug))

    def _tidy(self, slug: str, result: AttemptResult | None) -> None:
        """Remove the training state of a trial that needs no further attempt; its weights stay."""
        if result is not None and result.state != "failed" and self._study.is_final(result):
            folder = self._folder.trial(slug)
            folder.resume.unlink(missing_ok=True)
            remove_leftovers(folder.root)

    def _remove_weights(self) -> None:
        """Remove the weights of complete trials that are not among the best so many."""
        number = self._study.manifest.keep_trials
        if number is None:
            return
        results = [(trial, self._results.read(slug)) for slug, trial in self._trials.items()]
        ended = [
            (trial, result.ending)
            for trial, result in results
            if result and result.state == "complete" and self._study.is_final(result)
        ]
        for trial in best_first(ended)[number:]:
            self._folder.trial(trial.slug).remove_weights()

    def _reload(self, study: Study) -> None:
        self._study = study
        self._trials = {trial.slug: trial for trial in study.trials}
        self._configurations = configurations_of(study.trials)
        self._waiting = WaitingAttempts(self._attempts, self._trials)
        self._results = Results(study.folder, objective=study.manifest.objective)
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
        by_slug: dict[str, list[FrozenTrial]] = {slug: [] for slug in self._trials}
        attempts = self._attempts.select()
        for attempt in attempts:
            by_slug.setdefault(slug_of(attempt), []).append(attempt)
        working = registry.workers_by_slug()
        for slug in self._trials:
            result = self._results.read(slug)
            if result is not None and self._study.is_final(result):
                self._import_result(slug, result, by_slug[slug], changes)
            else:
                self._reconcile_unfinished(slug, result, by_slug[slug], registry, changes)
            if changes.queued[-1:] == [slug] and slug in working:
                self._return_to(working[slug], slug)
        if changes.imported and not attempts and not self._attempts.messages:
            self._attempts.warn(
                f"{self._attempts.store.name} was lost; rebuilt from the result files"
            )
        return changes

    def _reconcile_unfinished(
        self,
        slug: str,
        result: AttemptResult | None,
        attempts: list[FrozenTrial],
        registry: WorkerRegistry,
        changes: Changes,
    ) -> None:
        """Queue the trial of this slug, unless it waits or is leased to a living worker."""
        unfinished = [attempt for attempt in attempts if not attempt.state.is_finished()]
        dead = [attempt for attempt in unfinished if is_abandoned(attempt, registry)]
        for attempt in dead:
            self._mark_abandoned(attempt, result)
            changes.died.append(slug)
        if len(dead) < len(unfinished):
            return
        attempts = [self._attempts.refreshed(attempt) for attempt in attempts] if dead else attempts
        if deaths_without_progress(attempts) >= self._study.manifest.max_deaths:
            self._fail_abandoned(slug)
            changes.abandoned.append(slug)
            return
        self._attempts.enqueue(
            self._trials[slug], attempt_number=next_attempt(result, self._study.manifest)
        )
        changes.queued.append(slug)

    def _mark_abandoned(self, attempt: FrozenTrial, result: AttemptResult | None) -> None:
        """End the attempt of a dead worker, by its result if the worker had written one."""
        following = next_attempt(result, self._study.manifest)
        if result is not None and following > attempt.user_attrs["attempt"]:
            self._attempts.finish(attempt, result)
            return
        last = read_heartbeat(self._folder.heartbeat(str(worker_of(attempt))))
        step = last.step if last is not None and last.slug == slug_of(attempt) else 0
        self._attempts.end(attempt, "death", step=step)

    def _import_result(
        self, slug: str, result: AttemptResult, attempts: list[FrozenTrial], changes: Changes
    ) -> None:
        """Make the attempts at a trial agree with its result file, which is final."""
        unfinished = [attempt for attempt in attempts if not attempt.state.is_finished()]
        for attempt in unfinished[1:]:
            self._attempts.end(attempt, "superseded")
        if unfinished:
            self._attempts.finish(unfinished[0], result)
        elif state_of(result) not in {attempt.state for attempt in attempts}:
            self._attempts.add(self._trials[slug], result)
        else:
            return
        self._tidy(slug, result)
        changes.imported.append(slug)

    def _return_to(self, worker: str, slug: str) -> None:
        """Lease a trial just queued to the living worker that is training it already."""
        for attempt in self._attempts.select(TrialState.WAITING):
            if slug_of(attempt) == slug:
                self._attempts.lease(attempt, worker)

    def _fail_abandoned(self, slug: str) -> None:
        manifest = self._study.manifest
        TrialResult(
            point=self._trials[slug].values,
            state="failed",
            attempt=manifest.max_attempts,
            threads=manifest.threads,
            started_at=now(),
            error=f"{ABANDONED} {manifest.max_deaths} times without progress; see logs/",
        ).write(self._folder.trial(slug).result)

    def _leased_attempt(self, lease: Lease) -> FrozenTrial:
        attempt = self._attempts.leased(lease.trial.slug, lease.worker)
        if attempt is None:
            raise LeaseLostError(lease.trial.slug)
        return attempt
