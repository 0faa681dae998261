"""A worker: trains one trial of a study after another, until none is left or it is stopped."""

import contextlib
import functools
import gc
import importlib
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

from bvae import config
from bvae.assignment import Assignment
from bvae.exceptions import ConfigError, DataError, MachineFaultError, is_of_machine
from bvae.part_sources import all_sources, import_from
from bvae.trial import Interrupted, Monitor, TrialResult, described, now
from bvae.versions import code_version, versions
from sweeps.queue.queue import Lease, LeaseLostError, Queue
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import HeartbeatWriter, WorkerRegistry, new_worker_name
from sweeps.study.locks import is_locked
from sweeps.study.run_names import identity
from sweeps.study.study import Study, open_study
from sweeps.study.timeouts import TIMEOUTS, Timeouts
from sweeps.study.trials import Trial
from sweeps.workers.exit_codes import Exit
from sweeps.workers.logs import log_to
from sweeps.workers.processes import OF_TERMINALS, handling
from sweeps.workers.stopping import RateLimited, StopRequest, in_a_job

log = logging.getLogger("sweeps")

COMMIT_TRIES = 5
"""How often writing a result is tried if the disk is full."""

MAX_FAULTS = 3
"""Trials in a row that the machine may fail before the worker ends."""


@dataclass(frozen=True)
class WorkerLoop:
    """What a Hydra launcher runs in a process of its own; it must pickle.

    Attributes:
        root: the study's folder.
        detached: whether the worker continues without an orchestrator, as on a cluster.
        gpu: the one device the worker may see; None leaves the environment as it is.
        typed_in: the folder that the command was typed in: own modules are found there.
    """

    root: Path
    detached: bool = False
    gpu: str | None = None
    typed_in: str | None = None

    def __call__(self, composed: DictConfig) -> None:
        """Run the worker; the launcher's composed configuration is not needed."""
        del composed
        if self.gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu  # before torch is imported
        if self.typed_in is not None:
            with contextlib.suppress(OSError):  # another machine may not have it
                os.chdir(self.typed_in)
            import_from(self.typed_in)
        parent = os.getppid()
        name = new_worker_name()
        folder = StudyFolder(self.root)
        stop_request = StopRequest(folder)
        with (
            log_to(folder.worker_log(name)),
            handling(signal.SIG_IGN, *OF_TERMINALS),  # joblib's processes get them, too
            in_a_job(stop_request),
        ):
            study = open_study(self.root)
            Worker(
                study,
                name=name,
                detached=self.detached,
                launched=True,
                stop_request=stop_request,
            ).work()
        if os.getppid() != parent:  # orphaned: joblib's process would wait minutes for more work
            os._exit(Exit.COMPLETE)


class Worker:
    """One process that trains trials of a study.

    Args:
        study: on disk already.
        name: unlike any other worker's.
        detached: whether to continue when no command runs the study.
        launched: whether the command that runs the study has started this process.
        stop_request: whether to stop; checked at every step.
        among: the slugs of the trials to train; all if None.
        on_step: called with trial, step and total at every step.
        timeouts: how often it looks for what.

    Raises:
        ConfigError: the sources of `bvae/` are not those of the study.
    """

    def __init__(
        self,
        study: Study,
        *,
        name: str,
        detached: bool,
        launched: bool = False,
        stop_request: StopRequest | None = None,
        among: Collection[str] | None = None,
        on_step: Callable[[Trial, int, int], None] | None = None,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        manifest = study.manifest
        import_from(manifest.parts_folder)
        self._code = code_version(all_sources(manifest.compositions, manifest.parts_folder))
        if not manifest.accepts(self._code):
            raise ConfigError(
                f"sources of bvae/ or of own parts have changed since {study.name} was begun; "
                "type the command again to see which, and what to do"
            )
        self._folder = study.folder
        self._detached = detached
        self._among = among
        self._on_step = on_step
        self._timeouts = timeouts
        self._queue = Queue(study, timeouts=timeouts)
        self._registry = WorkerRegistry(study.folder.workers, timeouts)
        self._stop_request = stop_request or StopRequest(study.folder, timeouts)
        self._faults = 0
        self._reconciled_at = -timeouts.reconcile
        self._heartbeat = HeartbeatWriter(
            study.folder.heartbeat(name), name=name, launched=launched, timeouts=timeouts
        )

    def work(self) -> None:
        """Train trials until none waits or is leased, or until it is stopped.

        Raises:
            MachineFaultError: the machine fails one trial after another; they stay queued.
        """
        manifest = self._queue.study.manifest
        with self._heartbeat:
            if self._should_stop():
                return
            self._heartbeat.say("importing torch")
            self._train = _function(manifest.trial)
            self._heartbeat.say("")
            with threadpool_limits(manifest.threads):  # of the libraries that are loaded by now
                try:
                    self._train_trials()
                except ConnectionError:  # to the database: another worker is started in its place
                    raise
                except OSError as error:
                    raise MachineFaultError(f"the study cannot be written: {error}") from error
        log.info("asked to stop" if self._stop_request() else "no trial is left")

    def _train_trials(self) -> None:
        while not self._should_stop():
            lease = self._queue.lease(
                self._heartbeat.name, among=self._among, announce=self._heartbeat.report
            )
            if lease is not None:
                self._run(lease)
            elif not self._wait_for_more():
                return

    def _should_stop(self) -> bool:
        is_abandoned = not self._detached and not is_locked(self._folder.orchestrator)
        return self._stop_request() or is_abandoned

    def _wait_for_more(self) -> bool:
        """Wait while other workers have leases, which may be requeued; False if none has."""
        is_due = time.monotonic() - self._reconciled_at > self._timeouts.reconcile
        if not is_due and self._wanted(self._queue.open_slugs()):
            self._stop_request.wait(self._timeouts.idle)
            return True
        self._reconciled_at = time.monotonic()
        self._queue.reconcile(self._registry)
        return bool(self._wanted(self._queue.open_slugs()))

    def _wanted(self, slugs: set[str]) -> set[str]:
        return slugs if self._among is None else slugs.intersection(self._among)

    def _run(self, lease: Lease) -> None:
        slug = lease.trial.slug
        log.info("attempt %d at %s", lease.attempt_number, slug)
        try:
            self._run_attempt(lease)
        except LeaseLostError:
            log.warning("%s: the lease was lost; this attempt is dropped", slug)
            self._queue.tidy(slug)
        finally:
            self._heartbeat.report(None)

    def _run_attempt(self, lease: Lease) -> None:
        """Run the attempt, and commit its result or requeue the trial."""
        try:
            result = self._result(lease)
            self._commit(lease, self._queue.study.manifest.with_sources(result, self._code))
        except Interrupted as interruption:
            log.info("interrupted %s", interruption)
            self._queue.release(lease)
            return
        except MachineFaultError as fault:
            self._record(fault, lease)
            return
        self._faults = 0
        log.info("%s: %s", lease.trial.slug, result.state)

    def _record(self, fault: MachineFaultError, lease: Lease) -> None:
        """Requeue a trial that the machine has failed; wait before the next, or end."""
        log.error("%s: the machine has failed, not the trial: %s", lease.trial.slug, fault)
        if self._queue.fault(lease, str(fault)):
            log.error(
                "%s: the same %d times while others end: failed", lease.trial.slug, MAX_FAULTS
            )
            return
        gc.collect()  # of the model that did not fit
        self._faults += 1
        if self._faults >= MAX_FAULTS:
            raise MachineFaultError(f"{fault} ({MAX_FAULTS} times in a row)")
        self._stop_request.wait(self._timeouts.fault * 2 ** (self._faults - 1))

    def _result(self, lease: Lease) -> TrialResult:
        try:
            return self._train(self._assignment(lease))
        except Interrupted:
            raise
        except (Exception, SystemExit) as error:  # whatever else was raised is the result: failed
            # nobody is logged in here, or the folder of images is not there: it was at the start
            if is_of_machine(error) or isinstance(error, ConfigError | DataError):
                raise MachineFaultError(described(error).partition("\n")[0]) from error
            return TrialResult(
                point=lease.trial.values,
                state="failed",
                attempt=lease.attempt_number,
                threads=self._queue.study.manifest.threads,
                started_at=now(),
                error=described(error),
                versions=versions(),
            )

    def _commit(self, lease: Lease, result: TrialResult) -> None:
        """Commit the result; if the disk is full, try several times rather than lose it."""
        for tries in itertools.count(1):
            try:
                self._queue.commit(lease, result)
            except OSError as error:
                if tries == COMMIT_TRIES:
                    if isinstance(error, ConnectionError):
                        raise
                    raise MachineFaultError(f"the result cannot be written: {error}") from error
                log.error("%s: the result cannot be written (%s)", lease.trial.slug, error)
                self._stop_request.wait(self._timeouts.commit * 2 ** (tries - 1))
            else:
                return

    def _assignment(self, lease: Lease) -> Assignment:
        manifest = self._queue.study.manifest
        return Assignment(
            config=config.parse(manifest.config_of(lease.trial)),
            folder=self._folder.trial(lease.trial.slug),
            point=lease.trial.values,
            attempt=lease.attempt_number,
            identity=identity(manifest, lease.trial),
            tracker_folder=self._folder.root,
            monitor=Monitor(
                stopping=self._stopping(lease),
                at=self._reporter(lease.trial),
                should_prune=functools.partial(self._should_prune, lease),
            ),
        )

    def _stopping(self, lease: Lease) -> Callable[[], bool]:
        lost = RateLimited(lambda: self._is_lease_lost(lease), every_s=self._timeouts.lease_check)
        return lambda: self._stop_request() or lost()

    def _is_lease_lost(self, lease: Lease) -> bool:
        """Whether the trial was taken over; False if that is unknown: commit checks it again."""
        try:
            return not self._queue.holds(lease)
        except OSError as error:
            log.warning("%s: the lease cannot be checked (%s)", lease.trial.slug, error)
            return False

    def _should_prune(self, lease: Lease, step: int, score: float) -> bool:
        """Whether to prune the trial; False if the other scores cannot be read."""
        try:
            return self._queue.should_prune(lease, step=step, score=score)
        except OSError as error:
            log.warning("%s: the pruner cannot be asked (%s)", lease.trial.slug, error)
            return False

    def _reporter(self, trial: Trial) -> Callable[[int, int], None]:
        begun = False

        def report(step: int, total: int) -> None:
            nonlocal begun
            # the first step at once, so that its successors are timed from there
            self._heartbeat.report(trial.slug, step=step, total=total, write=not begun)
            begun = True
            if self._on_step is not None:
                self._on_step(trial, step, total)

        return report


def of_machine(fault: MachineFaultError | str) -> str:
    """Return what a user is told who has to mend the machine."""
    return (
        f"the machine has failed, not the trials, which stay queued: {fault}; "
        "mend it, then type the same command again"
    )


def _function(dotted: str) -> Callable[[Assignment], TrialResult]:
    module, _, name = dotted.rpartition(".")
    found: Callable[[Assignment], TrialResult] = getattr(importlib.import_module(module), name)
    return found
