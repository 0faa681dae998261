"""The command that runs a study: starts workers, replaces those that die, returns an exit code."""

import contextlib
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bvae.exceptions import ConfigError
from bvae.files import TEMPORARY
from sweeps.labels import shown
from sweeps.queue.queue import RECONCILE_S, Queue
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import (
    AlreadyRunningError,
    HeartbeatWriter,
    WorkerRegistry,
    living_workers,
    this_host,
)
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit
from sweeps.workers.live_table import Display
from sweeps.workers.logs import log_to
from sweeps.workers.processes import descendants, handling, is_resource_tracker, kill
from sweeps.workers.progress import Progress

log = logging.getLogger("sweeps")

POLL_S = 0.5

STOP_WITHIN_S = 6.0
"""How long workers may take after Ctrl-C to save and exit; then they are killed."""

LINGER_S = 10.0
"""How long launchers may take to notice that their workers have exited."""

MAX_IDLE_STARTS = 6
"""Workers that may end in a row without a lease before the sweep fails."""

DATABASE_TIMEOUT_S = 60.0
"""How long a database may be unreachable before the sweep fails."""

MAX_SAME_CAUSE = 5
"""Different trials that may fail in a row with the same cause before the sweep fails."""


@dataclass(frozen=True)
class Settings:
    """How many workers run a study at once, and how many minutes it may take."""

    n_workers: int
    max_minutes: float | None = None


@dataclass(frozen=True)
class StopReason:
    """Why a sweep ends before every trial is done, and whether that is a failure."""

    reason: str
    is_failure: bool = False


@contextlib.contextmanager
def running(folder: StudyFolder, *, doing: str = "") -> Iterator[None]:
    """Be the one command that runs a study.

    Args:
        folder: of the study.
        doing: what is done, if not trials are run: no other command may add any meanwhile.

    Raises:
        AlreadyRunningError: if another command runs it.
        ConfigError: if its folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            beating = HeartbeatWriter(folder.orchestrator, name="orchestrator", doing=doing)
            stack.enter_context(beating)
        except AlreadyRunningError as error:
            raise AlreadyRunningError(
                f"{folder.name} is being run already by process {error}; "
                "`sweeps status` shows it, `sweeps stop` ends it"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"{folder.root}: cannot be written ({error.strerror}); give another runs_dir=…"
            ) from error
        _remove_leftovers(folder)
        yield


def _remove_leftovers(folder: StudyFolder) -> None:
    """Remove what killed commands have left half-written beside manifest, table and report.

    Trial folders are left alone: their workers may be alive.
    """
    for directory in (folder.root, folder.report):
        for path in directory.glob(".*"):
            if TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _ignore(ended: int) -> None:
    del ended


class Orchestrator:
    """Runs a study through worker loops; blocks until they have ended. Use inside `running`.

    Args:
        study: on disk already.
        launch: starts worker number i and returns, or raises, when it has ended.
        settings: how many workers, for how long.
        display: shows the progress.
        at: hears, every half second, how many trials have ended.
    """

    def __init__(
        self,
        study: Study,
        *,
        launch: Callable[[int], None],
        settings: Settings,
        display: Display,
        at: Callable[[int], None] = _ignore,
    ) -> None:
        self._study = study
        self._folder = study.folder
        self._launch = launch
        self._settings = settings
        self._display = display
        self._at = at
        self._queue = Queue(study)
        self._registry = WorkerRegistry(study.folder.workers)
        self._progress = Progress(study, self._queue.results)
        self._stopping = threading.Event()
        self._ending: StopReason | None = None
        self._interrupted_at: float | None = None
        self._idle_since = time.monotonic()
        self._unreachable_since: float | None = None
        self._idle_starts = 0
        self._last_death = "no reason given"
        self._deadline = time.monotonic() + 60 * (settings.max_minutes or float("inf"))

    def run(self) -> Exit:
        """Run until all is done, an interruption, the end of the budget, or a failure."""
        with log_to(self._folder.orchestrator_log):
            self._folder.stop.unlink(missing_ok=True)
            self._reconcile()
            self._progress.refresh()
            if self._progress.left:
                with handling(self._interrupt, signal.SIGINT, signal.SIGTERM), self._display:
                    self._supervise()
                self._reconcile()
                self._progress.refresh()
        return self._exit_code()

    def _start(self, *, kept: int = 0) -> list[threading.Thread]:
        """Start a thread for each worker to keep, counting those of a command that was killed.

        Where some are kept already, trials were added since, and so many more are started.
        SIGINT is blocked in what is started: only the orchestrator reacts to Ctrl-C.
        submitit's own controller would kill its worker one second after Ctrl-C.
        """
        number = min(self._settings.n_workers, self._progress.left)
        living = () if kept else living_workers(self._folder.workers)
        old = [one.name for one in living if one.launched]
        slots = [
            threading.Thread(
                target=self._keep_worker, args=(index, old[index::number]), daemon=True
            )
            for index in range(kept, number)
        ]
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for slot in slots:
                slot.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return slots

    def _supervise(self) -> None:
        """Show the progress and reconcile while workers are kept."""
        slots = self._start()
        reconciled_at = time.monotonic()
        while kept := [slot for slot in slots if slot.is_alive()]:
            kept[0].join(POLL_S)
            self._progress.refresh()
            launched = 0 if self._stopping.is_set() or not self._progress.left else len(kept)
            snapshot = self._progress.snapshot(launched=launched)
            self._display.show(snapshot)
            self._at(snapshot.ended)
            if time.monotonic() - reconciled_at > RECONCILE_S:
                self._reconcile()
                reconciled_at = time.monotonic()
            self._check_for_end()
            if not self._stopping.is_set():
                slots += self._start(kept=len(kept))
            if self._is_over():
                return
            if self._is_overdue():
                _kill_workers(self._study)
                for slot in kept:
                    slot.join(POLL_S / len(kept))
                return

    def _check_for_end(self) -> None:
        """End the sweep if it was asked to, its budget is spent, or it has failed."""
        cause = self._progress.same_cause_in_a_row(MAX_SAME_CAUSE)
        if self._interrupted_at is not None:
            self._end(
                StopReason("interrupted; running trials are saved (Ctrl-C again: exit at once)")
            )
        elif self._folder.stop.exists():
            self._end(StopReason("asked to by `sweeps stop`"))
        elif cause is not None:
            self._end(
                StopReason(
                    f"{MAX_SAME_CAUSE} trials failed in a row with the same cause: {cause}",
                    is_failure=True,
                )
            )
        elif time.monotonic() > self._deadline:
            self._end(StopReason(f"the budget of {self._settings.max_minutes:g} minutes is spent"))
        elif self._idle_starts >= MAX_IDLE_STARTS:
            self._end(
                StopReason(
                    f"workers end before they lease a trial ({self._last_death}); see "
                    f"{shown(self._folder.logs / 'orchestrator.log')}",
                    is_failure=True,
                )
            )

    def _end(self, ending: StopReason) -> None:
        if self._ending is None:
            self._ending = ending
            self._display.say(f"stopping: {ending.reason}")
        self._stopping.set()
        # If the file cannot be written, workers stop when the orchestrator's lock is free.
        with contextlib.suppress(OSError):
            self._folder.stop.write_text("stop\n")

    def _keep_worker(self, index: int, old: Sequence[str]) -> None:
        """Keep one worker running, until no trial is left or the sweep is ending."""
        while any(self._registry.is_alive(name) for name in old):
            time.sleep(POLL_S)
        while self._progress.left and not self._stopping.is_set():
            leases = self._n_leases()
            try:
                self._launch(index)
            # Whatever a launcher raises, even KeyboardInterrupt, means that its worker has died.
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                log.warning("worker %d ended: %s", index, error)
                self._last_death = _error_line(error)
            self._progress.refresh()
            self._idle_starts = 0 if self._n_leases() > leases else self._idle_starts + 1
            self._reconcile()
            if self._progress.left:
                self._stopping.wait(min(0.1 * 2**self._idle_starts, 10.0))

    def _n_leases(self) -> int:
        """Return how many leases there have been; 0 where the queue cannot be read."""
        try:
            return self._queue.n_leases()
        except OSError:  # which the next reconciliation reports
            return 0

    def _reconcile(self) -> None:
        try:
            changes = self._queue.reconcile(self._registry)
        except ConnectionError as error:
            self._wait_for_database(error)
            return
        except OSError as error:
            self._end(StopReason(f"the study cannot be written: {error}", is_failure=True))
            return
        self._unreachable_since = None
        for message in changes.messages:
            self._display.say(message)
        for slug in changes.died:
            log.warning("the worker training %s has died", slug)

    def _wait_for_database(self, error: ConnectionError) -> None:
        """Fail once it was unreachable for long; workers continue training meanwhile."""
        if self._unreachable_since is None:
            self._unreachable_since = time.monotonic()
            self._display.say(f"{error}; trying again for {DATABASE_TIMEOUT_S:g} s")
        elif time.monotonic() - self._unreachable_since > DATABASE_TIMEOUT_S:
            self._end(StopReason(f"the database cannot be reached: {error}", is_failure=True))

    def _interrupt(self, *_: object) -> None:
        """Handle Ctrl-C and SIGTERM: the first stops cleanly, a second kills and exits at once."""
        if self._interrupted_at is not None:
            _kill_workers(self._study)
            self._display.restore_cursor()
            os._exit(Exit.INTERRUPTED)
        # The main loop does the rest: a handler may have interrupted code that holds a lock.
        self._interrupted_at = time.monotonic()

    def _is_overdue(self) -> bool:
        since = self._interrupted_at
        return since is not None and time.monotonic() - since > STOP_WITHIN_S

    def _is_over(self) -> bool:
        """Whether only launchers are waited for, whose jobs have not started or were lost.

        On a cluster a job may still wait for hours; it would find nothing to do.
        """
        is_ended = self._stopping.is_set() or not self._progress.left
        if not is_ended or living_workers(self._folder.workers):
            self._idle_since = time.monotonic()
        return time.monotonic() - self._idle_since > LINGER_S

    def _exit_code(self) -> Exit:
        counts = self._progress.snapshot().counts
        if self._interrupted_at is not None:
            return Exit.INTERRUPTED
        if counts["failed"] or (self._ending is not None and self._ending.is_failure):
            return Exit.FAILED
        return Exit.LEFT if self._progress.left else Exit.COMPLETE


def _error_line(error: BaseException) -> str:
    """Return the line of an error that names it; submitit wraps it in a traceback."""
    lines = [line.strip() for line in str(error).splitlines()]
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
    return named[-1] if named else next(iter(lines), type(error).__name__)


def _kill_workers(study: Study) -> None:
    """Kill this command's processes, and workers on this machine of a command that was killed."""
    kill(pid for pid in descendants(os.getpid()) if not is_resource_tracker(pid))
    launched = [one for one in living_workers(study.folder.workers) if one.launched]
    kill(one.pid for one in launched if one.host == this_host() and one.pid != os.getpid())
