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

from bvae.exceptions import ConfigError, MachineFaultError
from bvae.files import remove_leftovers
from sweeps.labels import shown
from sweeps.queue.queue import Queue
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import (
    AlreadyRunningError,
    HeartbeatWriter,
    WorkerRegistry,
    living_workers,
    this_host,
)
from sweeps.study.study import Study
from sweeps.study.timeouts import TIMEOUTS, Timeouts
from sweeps.workers.exit_codes import Exit, interrupted_by
from sweeps.workers.live_table import Display
from sweeps.workers.logs import log_to
from sweeps.workers.processes import (
    ENDINGS,
    OF_TERMINALS,
    blocked,
    descendants,
    handling,
    is_resource_tracker,
    kill,
)
from sweeps.workers.progress import Progress
from sweeps.workers.worker import of_machine

log = logging.getLogger("sweeps")

MAX_IDLE_STARTS = 6
"""Workers that may end in a row without a lease before the sweep ends."""

MAX_SAME_CAUSE = 5
"""Different trials that may fail in a row with the same cause before the sweep ends."""


@dataclass(frozen=True)
class Settings:
    """How many workers run a study at once, and how many minutes it may take.

    Attributes:
        outlive: whether workers go on when the terminal is closed, as jobs of SLURM do.
    """

    n_workers: int
    max_minutes: float | None = None
    outlive: bool = False


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
        for directory in (folder.root, folder.report):  # in those of trials workers may write
            remove_leftovers(directory, below=False)
        yield


class Orchestrator:
    """Runs a study through worker loops; blocks until they have ended. Use inside `running`.

    Args:
        study: on disk already.
        launch: starts worker number i and returns, or raises, when it has ended.
        settings: how many workers, for how long.
        display: shows the progress.
        at: hears, every half second, how many trials have ended.
        timeouts: how long it waits for what.
    """

    def __init__(
        self,
        study: Study,
        *,
        launch: Callable[[int], None],
        settings: Settings,
        display: Display,
        at: Callable[[int], None] = lambda ended: None,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        self._timeouts = timeouts
        self._study = study
        self._folder = study.folder
        self._launch = launch
        self._settings = settings
        self._display = display
        self._at = at
        self._queue = Queue(study, timeouts=timeouts)
        self._registry = WorkerRegistry(study.folder.workers, timeouts)
        self._progress = Progress(study, self._queue.results)
        self._stopping = threading.Event()
        self._mutex = threading.Lock()  # of what the threads write that keep workers:
        self._idle_starts = self._given_up = 0
        self._last_death = self._fault = "no reason given"
        self._signal: int | None = None
        self._interrupted_at = 0.0
        self._idle_since = time.monotonic()
        self._unreachable_since: float | None = None
        self._deadline = time.monotonic() + 60 * (settings.max_minutes or float("inf"))

    def run(self) -> Exit:
        """Run until all is done, an interruption, the end of the budget, or a failure."""
        with log_to(self._folder.orchestrator_log):
            self._folder.stop.unlink(missing_ok=True)
            self._reconcile()
            self._progress.refresh()
            if self._progress.left:
                hang_up = {signal.SIGHUP} if self._settings.outlive else set()
                endings = [number for number in ENDINGS if number not in hang_up]
                with handling(self._interrupt, *endings), self._display:
                    self._supervise()
                self._reconcile()
                self._progress.refresh()
        return self._exit_code()

    def _start(self, *, kept: int = 0) -> list[threading.Thread]:
        """Start a thread for each worker to keep, counting those of a command that was killed.

        Where some are kept already, trials were added since, and so many more are started.
        A terminal's signals are blocked in what is started: only the orchestrator reacts to Ctrl-C.
        submitit's own controller would kill its worker one second after it.
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
        with blocked(*OF_TERMINALS):
            for slot in slots:
                slot.start()
        return slots

    def _supervise(self) -> None:
        """Show the progress and reconcile while workers are kept."""
        slots = self._start()
        reconciled_at = time.monotonic()
        while kept := [slot for slot in slots if slot.is_alive()]:
            kept[0].join(self._timeouts.poll)
            self._progress.refresh()
            launched = 0 if self._stopping.is_set() or not self._progress.left else len(kept)
            snapshot = self._progress.snapshot(launched=launched)
            self._display.show(snapshot)
            self._at(snapshot.ended)
            if time.monotonic() - reconciled_at > self._timeouts.reconcile:
                self._reconcile()
                reconciled_at = time.monotonic()
            self._check_for_end()
            if not self._stopping.is_set():
                slots += self._start(kept=len(kept) + self._given_up)
            if self._is_over():
                return
            if self._is_overdue():
                _kill_workers(self._study)
                for slot in kept:
                    slot.join(self._timeouts.poll / len(kept))
                return
        if self._progress.left and not self._stopping.is_set():  # every slot was given up
            self._end(of_machine(self._fault))

    def _check_for_end(self) -> None:
        """End the sweep if it was asked to, its budget is spent, or it gets nowhere."""
        cause = self._progress.same_cause_in_a_row(MAX_SAME_CAUSE)
        if self._signal is not None:
            self._end("interrupted; running trials are saved (Ctrl-C again: exit at once)")
        elif self._folder.stop.exists():
            self._end("asked to by `sweeps stop`")
        elif cause is not None:
            self._end(f"{MAX_SAME_CAUSE} trials failed in a row with the same cause: {cause}")
        elif time.monotonic() > self._deadline:
            self._end(f"the budget of {self._settings.max_minutes:g} minutes is spent")
        elif self._idle_starts >= MAX_IDLE_STARTS:
            self._end(
                f"workers end before they lease a trial ({self._last_death}); see "
                f"{shown(self._folder.orchestrator_log)}"
            )

    def _end(self, reason: str) -> None:
        """Stop all workers, then say so: whether that can be shown decides nothing."""
        is_told = self._stopping.is_set()
        self._stopping.set()
        # If the file cannot be written, workers stop when the orchestrator's lock is free.
        with contextlib.suppress(OSError):
            self._folder.stop.write_text("stop\n")
        if not is_told:
            self._display.say(f"stopping: {reason}")

    def _keep_worker(self, index: int, old: Sequence[str]) -> None:
        """Keep one worker running, until no trial is left or the sweep is ending."""
        registry = WorkerRegistry(self._folder.workers, self._timeouts)
        while any(registry.is_alive(name) for name in old):
            time.sleep(self._timeouts.poll)
        while self._progress.left and not self._stopping.is_set():
            leases, left = self._n_leases(), self._progress.left
            death: str | None = None
            fault: str | None = None
            try:
                self._launch(index)
            # Whatever a launcher raises, even KeyboardInterrupt, means that its worker has died.
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                log.warning("worker %d ended: %s", index, error)
                death = _error_line(error)
                fault = _fault_of_machine(error)
            self._progress.refresh()
            was_idle = self._n_leases() <= leases
            with self._mutex:
                if death is not None:
                    self._last_death = death
                self._idle_starts = self._idle_starts + 1 if was_idle else 0
                pause_s = min(0.1 * 2**self._idle_starts, 10.0)
                if fault is not None and self._progress.left >= left:
                    self._fault = fault  # another worker would fare no better
                    self._given_up += 1
                    return
            if self._progress.left:
                self._stopping.wait(pause_s)

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
            self._end(f"the study cannot be written: {error}")
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
            self._display.say(f"{error}; trying again for {self._timeouts.database:g} s")
        elif time.monotonic() - self._unreachable_since > self._timeouts.database:
            self._end(f"the database cannot be reached: {error}")

    def _interrupt(self, number: int, _: object) -> None:
        """Handle what asks to end: the first stops cleanly, a second kills and exits at once.

        But for a hang-up: of a terminal that is closed, the kernel and the shell both tell.
        """
        if self._signal is None:
            # The main loop does the rest: a handler may have interrupted code that holds a lock.
            self._signal, self._interrupted_at = number, time.monotonic()
        elif number != signal.SIGHUP:
            _kill_workers(self._study)
            self._display.restore_cursor()
            os._exit(interrupted_by(number))

    def _is_overdue(self) -> bool:
        is_late = time.monotonic() - self._interrupted_at > self._timeouts.stop_within
        return self._signal is not None and is_late

    def _is_over(self) -> bool:
        """Whether only launchers are waited for, whose jobs have not started or were lost.

        On a cluster a job may still wait for hours; it would find nothing to do.
        """
        is_ended = self._stopping.is_set() or not self._progress.left
        if not is_ended or living_workers(self._folder.workers):
            self._idle_since = time.monotonic()
        return time.monotonic() - self._idle_since > self._timeouts.linger

    def _exit_code(self) -> Exit:
        counts = self._progress.snapshot().counts
        if self._signal is not None:
            return interrupted_by(self._signal)
        if counts["failed"]:
            return Exit.FAILED
        return Exit.LEFT if self._progress.left else Exit.COMPLETE


def _error_line(error: BaseException) -> str:
    """Return the line of an error that names it; submitit wraps it in a traceback."""
    lines = [line.strip() for line in str(error).splitlines()]
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
    return named[-1] if named else next(iter(lines), type(error).__name__)


def _fault_of_machine(error: BaseException) -> str | None:
    """Return what a worker has said that the machine has failed; None if it ended otherwise."""
    if isinstance(error, MachineFaultError):
        return str(error)
    named = re.search(rf"{MachineFaultError.__name__}: (.*)", str(error))  # wrapped by submitit
    return named and named[1]


def _kill_workers(study: Study) -> None:
    """Kill this command's processes, and workers on this machine of a command that was killed."""
    kill(pid for pid in descendants(os.getpid()) if not is_resource_tracker(pid))
    launched = [one for one in living_workers(study.folder.workers) if one.launched]
    kill(one.pid for one in launched if one.host == this_host() and one.pid != os.getpid())
