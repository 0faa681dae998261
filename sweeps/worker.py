"""A worker: takes point after point of a study, until none is left or it is told to leave."""

import contextlib
import hashlib
import importlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from bvae.tracking import RunIdentity
from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

from bvae import config
from bvae.trial import Assignment, Interrupted, Monitor, TrialResult
from sweeps.ledger import Claim, ClaimLostError, Ledger
from sweeps.points import Point, text
from sweeps.presence import Present, Watch, is_locked, new_worker_name, workers_at
from sweeps.study import Manifest, Study, StudyFolder, load_study

log = logging.getLogger("sweeps")

IDLE_S = 1.0
"""How often an idle worker looks whether a point has become free."""

LOOK_S = 0.5
"""How often a worker in training looks whether it is to leave."""

HOLD_S = 10.0
"""How often a worker in training looks whether its claim still stands."""


@dataclass(frozen=True)
class WorkerLoop:
    """What a Hydra launcher runs in a process of its own; it must pickle.

    Attributes:
        root: the study's folder.
        trial: dotted name of the function that turns an `Assignment` into a `TrialResult`.
        drains: whether the worker goes on when the orchestrator is gone, as on a cluster.
    """

    root: Path
    trial: str
    drains: bool = False

    def __call__(self, composed: DictConfig) -> None:
        """Work; the composed configuration of the launcher's job is not needed."""
        del composed
        name = new_worker_name()
        folder = StudyFolder(self.root)
        with log_to(folder.logs / f"{name}.log"):
            Worker(load_study(self.root), name=name, trial=self.trial, drains=self.drains).work()


class Rarely:
    """The answer to a question that is asked often and looked up rarely."""

    def __init__(self, look: Callable[[], bool], *, every_s: float) -> None:
        self._look = look
        self._every_s = every_s
        self._looked_at = -every_s
        self._answer = False

    def __call__(self) -> bool:
        """Return the last answer, looked up again when it is old; once true, it stays true."""
        if not self._answer and time.monotonic() - self._looked_at > self._every_s:
            self._looked_at = time.monotonic()
            self._answer = self._look()
        return self._answer


class Leave:
    """Whether a worker is to leave: it got a signal, or the study's folder says so."""

    def __init__(self, folder: StudyFolder) -> None:
        self._told = threading.Event()
        self._stopped = Rarely(folder.stop.exists, every_s=LOOK_S)

    def tell(self, *_: object) -> None:
        """Leave as soon as the running step is done; fits as a signal handler."""
        self._told.set()

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than it takes to be told."""
        self._told.wait(seconds)

    def __call__(self) -> bool:
        """Return whether to leave."""
        return self._told.is_set() or self._stopped()


class Worker:
    """One process at work on a study."""

    def __init__(
        self,
        study: Study,
        *,
        name: str,
        trial: str,
        drains: bool,
        leave: Leave | None = None,
        among: Collection[str] | None = None,
        at: Callable[[Point, int, int], None] | None = None,
    ) -> None:
        self._study = study
        self._folder = study.folder
        self._drains = drains
        self._among = among
        self._at = at
        self._train = _function(trial)
        self._ledger = Ledger(study)
        self._watch = Watch(study.folder.workers)
        self._leave = leave or Leave(study.folder)
        self._present = Present(study.folder.workers / f"{name}.json", name=name)

    def work(self) -> None:
        """Take points until none is left for anyone, or it is time to leave."""
        _on_sigterm(self._leave.tell)
        threads = self._study.manifest.threads
        with self._present, threadpool_limits(threads):
            while not self._leave() and not self._is_orphan():
                claim = self._ledger.claim(self._present.name, among=self._among)
                if claim is not None:
                    self._attempt(claim)
                elif not self._find_more():
                    break
        log.info("no point is left" if not self._leave() else "told to leave")

    def _find_more(self) -> bool:
        """Queue what dead workers left, or wait while others are at work; False: all is done."""
        wanted = self._among
        queued = self._ledger.reconcile(self._watch).queued
        if any(wanted is None or slug in wanted for slug in queued):
            return True
        others = [
            said.slug
            for said in workers_at(self._folder.workers)
            if said.slug and (wanted is None or said.slug in wanted)
        ]
        if others:
            self._leave.wait(IDLE_S)
        return bool(others)

    def _is_orphan(self) -> bool:
        return not self._drains and not is_locked(self._folder.orchestrator)

    def _attempt(self, claim: Claim) -> None:
        slug = claim.point.slug
        log.info("attempt %d at %s", claim.attempt, slug)
        self._present.at(slug)
        try:
            result = self._train(self._assignment(claim))
            self._commit(claim, result)
        except Interrupted as interruption:
            log.info("interrupted %s", interruption)
            self._ledger.release(claim)
        finally:
            self._present.at(None)

    def _commit(self, claim: Claim, result: TrialResult) -> None:
        folder = self._folder.trial(claim.point.slug)
        try:
            self._ledger.commit(claim, result)
        except ClaimLostError:
            log.warning("%s was taken over; this attempt is dropped", claim.point.slug)
            return
        if result.state == "complete":
            folder.resume.unlink(missing_ok=True)
        log.info("%s: %s", claim.point.slug, result.state)

    def _assignment(self, claim: Claim) -> Assignment:
        manifest = self._study.manifest
        return Assignment(
            config=config.parse(manifest.configuration(claim.point)),
            folder=self._folder.trial(claim.point.slug),
            point=claim.point.values,
            attempt=claim.attempt,
            identity=identity(manifest, claim.point),
            tracker_folder=self._folder.root,
            monitor=Monitor(stopping=self._stopping(claim), at=self._reporter(claim.point)),
        )

    def _stopping(self, claim: Claim) -> Callable[[], bool]:
        lost = Rarely(lambda: not self._ledger.holds(claim), every_s=HOLD_S)
        return lambda: self._leave() or lost()

    def _reporter(self, point: Point) -> Callable[[int, int], None]:
        def at(step: int, total: int) -> None:
            self._present.at(point.slug, step=step, total=total, write=False)
            if self._at is not None:
                self._at(point, step, total)

        return at


def identity(manifest: Manifest, point: Point) -> RunIdentity:
    """Return how a point's run is known to the tracker; its id is unlike any other study's."""
    digest = hashlib.sha256(f"{manifest.study_id}/{point.slug}".encode()).hexdigest()
    values = point.values
    name = "b{beta}-m{latent_dim}-s{seed}".format(**{k: text(v) for k, v in values.items()})
    further = [f"{key}={text(values[key])}" for key in manifest.axes]
    return RunIdentity(
        study=manifest.name,
        run_id=digest[:16],
        name="-".join([name, *further]),
        tags=(manifest.data, manifest.model, manifest.protocol),
    )


def _function(dotted: str) -> Callable[[Assignment], TrialResult]:
    module, _, name = dotted.rpartition(".")
    found: Callable[[Assignment], TrialResult] = getattr(importlib.import_module(module), name)
    return found


def _on_sigterm(handler: Callable[..., None]) -> None:
    # Only the main thread may; under the basic launcher the orchestrator has it and asks by folder.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write what this project logs to a file, as long as the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("sweeps", "bvae")]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
