"""A worker: takes point after point of a study, until none is left or it is told to leave."""

import contextlib
import functools
import importlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

from bvae import config
from bvae.exceptions import ConfigError
from bvae.logs import Lines
from bvae.trial import Assignment, Interrupted, Monitor, TrialResult, described, now
from bvae.versions import code_version, versions
from sweeps.exits import Exit
from sweeps.identity import identity
from sweeps.ledger import Claim, ClaimLostError, Ledger
from sweeps.points import Point
from sweeps.presence import Present, Watch, is_locked, new_worker_name
from sweeps.processes import handling
from sweeps.study import Study, StudyFolder, load_study

log = logging.getLogger("sweeps")

IDLE_S = 0.5
"""How often an idle worker looks whether a point has become free."""

NAP_S = 0.1
"""A signal is heeded so soon by a worker that waits."""

RECONCILE_S = 5.0
"""How often an idle worker looks whether a worker with a point has died."""

LOOK_S = 0.5
"""How often a worker in training looks whether it is to leave."""

HOLD_S = 10.0
"""How often a worker in training looks whether its claim still stands."""

LEAVE_WITHIN_S = 8.0
"""How long a process that was told to leave by Ctrl-C may take to save and to say goodbye."""

GRACE_S = 600.0
"""How long a job that SLURM has told to end waits to be ended."""

COMMIT_TRIES = 5
"""How often a result is written when the disk is full, the pauses doubling from half a second."""


@dataclass(frozen=True)
class WorkerLoop:
    """What a Hydra launcher runs in a process of its own; it must pickle.

    Attributes:
        root: the study's folder.
        drains: whether the worker goes on when the orchestrator is gone, as on a cluster.
        gpu: the one device the worker may see; None leaves the environment as it is.
    """

    root: Path
    drains: bool = False
    gpu: str | None = None

    def __call__(self, composed: DictConfig) -> None:
        """Work; the composed configuration of the launcher's job is not needed."""
        del composed
        if self.gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu  # before torch is imported
        starter = os.getppid()
        name = new_worker_name()
        folder = StudyFolder(self.root)
        leave = Leave(folder)
        with (
            log_to(folder.logs / f"{name}.log"),
            handling(signal.SIG_IGN, signal.SIGINT),  # joblib's processes get the terminal's
            in_a_job(leave),
        ):
            study = load_study(self.root)
            Worker(study, name=name, drains=self.drains, launched=True, leave=leave).work()
        if os.getppid() != starter:  # joblib's would wait for minutes to be given more work
            os._exit(Exit.COMPLETE)


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
        # No threading.Event: a signal handler that sets one may wait for the lock it interrupted.
        self._told = False
        self._stopped = Rarely(folder.stop.exists, every_s=LOOK_S)

    @property
    def told(self) -> bool:
        """Whether a signal asked to leave."""
        return self._told

    def tell(self) -> None:
        """Leave as soon as the running step is done; fits a signal handler."""
        self._told = True

    def wait(self, seconds: float) -> None:
        """Wait, but hardly longer than it takes to be told."""
        until = time.monotonic() + seconds
        while not self._told and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, NAP_S))

    def __call__(self) -> bool:
        """Return whether to leave."""
        return self._told or self._stopped()


@contextlib.contextmanager
def leaving_on(
    leave: Leave, *numbers: signal.Signals, within_s: float | None = None
) -> Iterator[None]:
    """Leave on one of these signals, within a time if one is given; on a second one at once."""
    ends: list[threading.Timer] = []

    def handle(number: int, _: object) -> None:
        if leave.told:
            os._exit(Exit.INTERRUPTED)
        leave.tell()
        if within_s is not None:
            ends.append(threading.Timer(within_s, os._exit, [Exit.INTERRUPTED]))
            ends[-1].daemon = True
            ends[-1].start()

    try:
        with handling(handle, *numbers):
            yield
    finally:
        for end in ends:  # what comes after the block may take its time
            end.cancel()


@contextlib.contextmanager
def in_a_job(leave: Leave) -> Iterator[None]:
    """Leave on a job's signals, and have SLURM run the job again, if one was sent to this end.

    SLURM sends SIGUSR2 ahead of a time limit, where submitit's handler would requeue the job in the
    midst of a step: here it is called when the point is saved. SIGTERM comes both to a job that is
    preempted, which SLURM requeues if it is still there when its grace is over, and to one that is
    cancelled: having saved, the worker waits for what SLURM does.
    """
    requeue = signal.getsignal(signal.SIGUSR2)
    if not callable(requeue):  # no job of submitit's
        with leaving_on(leave, signal.SIGTERM):
            yield
        return
    got: set[int] = set()

    def handle(number: int, _: object) -> None:
        got.add(number)
        leave.tell()

    with handling(handle, signal.SIGUSR2, signal.SIGTERM):
        yield
        if signal.SIGTERM in got and os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            time.sleep(GRACE_S)
    if signal.SIGUSR2 in got:
        requeue(signal.SIGUSR2, None)


class Worker:
    """One process at work on a study.

    Args:
        study: on disk already.
        name: unlike any other worker's.
        drains: whether to go on when no command runs the study.
        launched: whether the command that runs the study has started this process.
        leave: whether to leave; asked again and again.
        among: the slugs to take; all if None.
        at: told of every step of every point.

    Raises:
        ConfigError: the sources of `bvae/` here are not those the study is made with.
    """

    def __init__(
        self,
        study: Study,
        *,
        name: str,
        drains: bool,
        launched: bool = False,
        leave: Leave | None = None,
        among: Collection[str] | None = None,
        at: Callable[[Point, int, int], None] | None = None,
    ) -> None:
        if code_version() != study.manifest.code_version:
            raise ConfigError(
                f"the sources of bvae/ have changed since {study.name} was begun; "
                "type the command again to see which, and what to do"
            )
        self._folder = study.folder
        self._drains = drains
        self._among = among
        self._at = at
        self._ledger = Ledger(study)
        self._watch = Watch(study.folder.workers)
        self._leave = leave or Leave(study.folder)
        self._reconciled_at = -RECONCILE_S
        self._present = Present(study.folder.workers / f"{name}.json", name=name, launched=launched)

    def work(self) -> None:
        """Take points until none is left for anyone, or it is time to leave."""
        manifest = self._ledger.study.manifest
        with self._present:
            if self._is_to_end():
                return
            self._train = _function(manifest.trial)
            with threadpool_limits(manifest.threads):  # of the libraries that are loaded by now
                self._take_points()
        log.info("told to leave" if self._leave() else "no point is left")

    def _take_points(self) -> None:
        while not self._is_to_end():
            claim = self._ledger.claim(
                self._present.name, among=self._among, announce=self._present.at
            )
            if claim is not None:
                self._attempt(claim)
            elif not self._is_more():
                return

    def _is_to_end(self) -> bool:
        is_orphan = not self._drains and not is_locked(self._folder.orchestrator)
        return self._leave() or is_orphan

    def _is_more(self) -> bool:
        """Wait while others are at work, whose points may become free; False: all is done."""
        is_due = time.monotonic() - self._reconciled_at > RECONCILE_S
        if not is_due and self._wanted(self._ledger.open_slugs()):
            self._leave.wait(IDLE_S)
            return True
        self._reconciled_at = time.monotonic()
        self._ledger.reconcile(self._watch)
        return bool(self._wanted(self._ledger.open_slugs()))

    def _wanted(self, slugs: set[str]) -> set[str]:
        return slugs if self._among is None else slugs.intersection(self._among)

    def _attempt(self, claim: Claim) -> None:
        slug = claim.point.slug
        log.info("attempt %d at %s", claim.attempt, slug)
        try:
            self._end(claim)
        except ClaimLostError:
            log.warning("%s was taken over; this attempt is dropped", slug)
            self._ledger.tidy(slug)
        finally:
            self._present.at(None)

    def _end(self, claim: Claim) -> None:
        """Run the attempt, and commit its result or give the point back."""
        try:
            result = self._result(claim)
        except Interrupted as interruption:
            log.info("interrupted %s", interruption)
            self._ledger.release(claim)
            return
        self._commit(claim, result)
        log.info("%s: %s", claim.point.slug, result.state)

    def _result(self, claim: Claim) -> TrialResult:
        try:
            return self._train(self._assignment(claim))
        except Interrupted:
            raise
        except (Exception, SystemExit) as error:  # failure is data, whatever a trial raises
            return TrialResult(
                point=claim.point.values,
                state="failed",
                attempt=claim.attempt,
                threads=self._ledger.study.manifest.threads,
                started_at=now(),
                error=described(error),
                versions=versions(),
            )

    def _commit(self, claim: Claim, result: TrialResult) -> None:
        """Commit, again and again for a while if the disk is full: a result is worth waiting."""
        for tried in range(1, COMMIT_TRIES):
            try:
                self._ledger.commit(claim, result)
            except OSError as error:
                log.error("%s: the result cannot be written (%s)", claim.point.slug, error)
                self._leave.wait(0.25 * 2**tried)
            else:
                return
        self._ledger.commit(claim, result)

    def _assignment(self, claim: Claim) -> Assignment:
        manifest = self._ledger.study.manifest
        return Assignment(
            config=config.parse(manifest.configuration(claim.point)),
            folder=self._folder.trial(claim.point.slug),
            point=claim.point.values,
            attempt=claim.attempt,
            identity=identity(manifest, claim.point),
            tracker_folder=self._folder.root,
            monitor=Monitor(
                stopping=self._stopping(claim),
                at=self._reporter(claim.point),
                should_prune=functools.partial(self._is_hopeless, claim),
            ),
        )

    def _stopping(self, claim: Claim) -> Callable[[], bool]:
        lost = Rarely(lambda: self._is_lost(claim), every_s=HOLD_S)
        return lambda: self._leave() or lost()

    def _is_lost(self, claim: Claim) -> bool:
        """Whether the point was taken over; whoever cannot ask trains on, and asks to commit."""
        try:
            return not self._ledger.holds(claim)
        except OSError as error:
            log.warning("%s: who has it cannot be asked (%s)", claim.point.slug, error)
            return False

    def _is_hopeless(self, claim: Claim, step: int, score: float) -> bool:
        """Whether to give the point up; whoever cannot ask trains on."""
        try:
            return self._ledger.judge(claim, step=step, score=score)
        except OSError as error:
            log.warning("%s: it cannot be judged (%s)", claim.point.slug, error)
            return False

    def _reporter(self, point: Point) -> Callable[[int, int], None]:
        def at(step: int, total: int) -> None:
            self._present.at(point.slug, step=step, total=total, write=False)
            if self._at is not None:
                self._at(point, step, total)

        return at


def _function(dotted: str) -> Callable[[Assignment], TrialResult]:
    module, _, name = dotted.rpartition(".")
    found: Callable[[Assignment], TrialResult] = getattr(importlib.import_module(module), name)
    return found


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write what this project logs to a file, as long as the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s"))
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
