"""The command that runs a study: starts workers, replaces those that die, and says how it ended."""

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
from sweeps.display import Display, shown
from sweeps.exits import Exit
from sweeps.ledger import Ledger
from sweeps.presence import AlreadyPresentError, Present, Watch, here, workers_at
from sweeps.processes import descendants, handling, is_resource_tracker, kill
from sweeps.progress import Progress
from sweeps.study import Study, StudyFolder
from sweeps.worker import log_to

log = logging.getLogger("sweeps")

POLL_S = 0.5
RECONCILE_S = 5.0

LEAVE_WITHIN_S = 6.0
"""How long workers may take to save and leave after Ctrl-C; those still there are killed."""

LINGER_S = 10.0
"""How long launchers may take to notice that their workers have left."""

MAX_IDLE_STARTS = 6
"""Workers that may end in a row without taking a point, before the sweep gives up."""

PATIENCE_S = 60.0
"""How long a database may be away before the sweep gives up."""

BREAKER = 5
"""Different points that may fail in a row with the same cause before the sweep stops."""


@dataclass(frozen=True)
class Settings:
    """How a study is run: workers at once, and minutes it may take."""

    n_workers: int
    max_minutes: float | None = None


@dataclass(frozen=True)
class Ending:
    """Why a sweep ends before all is done; a hopeless one has failed."""

    reason: str
    hopeless: bool = False


@contextlib.contextmanager
def running(folder: StudyFolder) -> Iterator[None]:
    """Be the one command that runs a study.

    Raises:
        ConfigError: if another command runs it, or its folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(Present(folder.orchestrator, name="orchestrator"))
        except AlreadyPresentError as error:
            raise ConfigError(
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

    What a trial's folder holds is its worker's, who may be alive.
    """
    for place in (folder.root, folder.report):
        for path in place.glob(".*"):
            if TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


class Orchestrator:
    """Runs a study through worker loops; blocks until they have ended. Use inside `running`.

    Args:
        study: on disk already.
        launch: starts worker number i and returns, or raises, when it has ended.
        settings: how many workers, for how long.
        display: shows how it goes.
    """

    def __init__(
        self, study: Study, *, launch: Callable[[int], None], settings: Settings, display: Display
    ) -> None:
        self._study = study
        self._folder = study.folder
        self._launch = launch
        self._settings = settings
        self._display = display
        self._ledger = Ledger(study)
        self._watch = Watch(study.folder.workers)
        self._progress = Progress(study, self._ledger.results)
        self._stopping = threading.Event()
        self._ending: Ending | None = None
        self._interrupted_at: float | None = None
        self._over_since = time.monotonic()
        self._away_since: float | None = None
        self._idle_starts = 0
        self._last_death = "no reason given"
        self._deadline = time.monotonic() + 60 * (settings.max_minutes or float("inf"))

    def run(self) -> Exit:
        """Run to the end, an interruption, the end of the budget, or until it is hopeless."""
        with log_to(self._folder.logs / "orchestrator.log"):
            self._folder.stop.unlink(missing_ok=True)
            self._reconcile()
            self._progress.look()
            if self._progress.left:
                with handling(self._interrupt, signal.SIGINT, signal.SIGTERM), self._display:
                    self._attend(self._start())
                self._reconcile()
                self._progress.look()
        return self._verdict()

    def _start(self) -> list[threading.Thread]:
        """Start a thread for each worker to keep, taking over those of a command that was killed.

        SIGINT is blocked in what is started: only the orchestrator reacts to the terminal.
        submitit's own controller would kill its worker one second after Ctrl-C.
        """
        number = min(self._settings.n_workers, self._progress.left)
        present = [said.name for said in workers_at(self._folder.workers) if said.launched]
        slots = [
            threading.Thread(target=self._keep, args=(index, present[index::number]), daemon=True)
            for index in range(number)
        ]
        old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for slot in slots:
                slot.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
        return slots

    def _attend(self, slots: Sequence[threading.Thread]) -> None:
        """Look, show and reconcile for as long as workers are kept."""
        reconciled_at = time.monotonic()
        while kept := [slot for slot in slots if slot.is_alive()]:
            kept[0].join(POLL_S)
            self._progress.look()
            self._display.show(self._progress.snapshot())
            if time.monotonic() - reconciled_at > RECONCILE_S:
                self._reconcile()
                reconciled_at = time.monotonic()
            self._judge()
            if self._is_over():
                return
            if self._is_overdue():
                _kill_workers(self._study)
                for slot in kept:
                    slot.join(POLL_S / len(kept))
                return

    def _judge(self) -> None:
        """End the sweep if it was asked to end, its budget is spent, or it is hopeless."""
        cause = self._progress.same_cause_in_a_row(BREAKER)
        if self._interrupted_at is not None:
            self._end(Ending("interrupted; running points are saved (again: at once)"))
        elif self._folder.stop.exists():
            self._end(Ending("asked to by `sweeps stop`"))
        elif cause is not None:
            self._end(
                Ending(
                    f"{BREAKER} points failed in a row with the same cause: {cause}",
                    hopeless=True,
                )
            )
        elif time.monotonic() > self._deadline:
            self._end(Ending(f"the budget of {self._settings.max_minutes:g} minutes is spent"))
        elif self._idle_starts >= MAX_IDLE_STARTS:
            self._end(
                Ending(
                    f"workers end before they take a point ({self._last_death}); see "
                    f"{shown(self._folder.logs / 'orchestrator.log')}",
                    hopeless=True,
                )
            )

    def _end(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = ending
            self._display.say(f"stopping: {ending.reason}")
        self._stopping.set()
        # Where nothing can be written, workers see that the orchestrator is gone.
        with contextlib.suppress(OSError):
            self._folder.stop.write_text("leave\n")

    def _keep(self, index: int, present: Sequence[str]) -> None:
        """Keep a worker in one slot, until nothing is left or the sweep is ending."""
        while any(self._watch.lives(name) for name in present):
            time.sleep(POLL_S)
        while self._progress.left and not self._stopping.is_set():
            claims = self._claims()
            try:
                self._launch(index)
            # Whatever a launcher raises means: its worker has died, also a Ctrl-C that it got.
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                log.warning("worker %d ended: %s", index, error)
                self._last_death = _gist(error)
            self._progress.look()
            self._idle_starts = 0 if self._claims() > claims else self._idle_starts + 1
            self._reconcile()
            if self._progress.left:
                self._stopping.wait(min(0.1 * 2**self._idle_starts, 10.0))

    def _claims(self) -> int:
        """Return how many claims there have been; 0 where it cannot be asked."""
        try:
            return self._ledger.claims()
        except OSError:  # which the next reconciliation tells of
            return 0

    def _reconcile(self) -> None:
        try:
            changes = self._ledger.reconcile(self._watch)
        except ConnectionError as error:
            self._wait_for_database(error)
            return
        except OSError as error:
            self._end(Ending(f"the study cannot be written: {error}", hopeless=True))
            return
        self._away_since = None
        for note in changes.notes:
            self._display.say(note)
        for slug in changes.died:
            log.warning("the worker at %s has died", slug)

    def _wait_for_database(self, error: ConnectionError) -> None:
        """Give up once it has been away for long; workers train on meanwhile."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._display.say(f"{error}; trying again for {PATIENCE_S:g} s")
        elif time.monotonic() - self._away_since > PATIENCE_S:
            self._end(Ending(f"the database is away: {error}", hopeless=True))

    def _interrupt(self, *_: object) -> None:
        """React to Ctrl-C and SIGTERM: once cleanly, twice at once."""
        if self._interrupted_at is not None:
            _kill_workers(self._study)
            self._display.abandon()
            os._exit(Exit.INTERRUPTED)
        # All else is for the main loop: a handler may have interrupted whatever holds a lock.
        self._interrupted_at = time.monotonic()

    def _is_overdue(self) -> bool:
        since = self._interrupted_at
        return since is not None and time.monotonic() - since > LEAVE_WITHIN_S

    def _is_over(self) -> bool:
        """Whether there is nothing to wait for but launchers whose jobs are late, or were lost.

        On a cluster a job may wait for hours still; it will find nothing to do.
        """
        is_ended = self._stopping.is_set() or not self._progress.left
        if not is_ended or workers_at(self._folder.workers):
            self._over_since = time.monotonic()
        return time.monotonic() - self._over_since > LINGER_S

    def _verdict(self) -> Exit:
        counts = self._progress.snapshot().counts
        if self._interrupted_at is not None:
            return Exit.INTERRUPTED
        if counts["failed"] or (self._ending is not None and self._ending.hopeless):
            return Exit.FAILED
        return Exit.LEFT if self._progress.left else Exit.COMPLETE


def _gist(error: BaseException) -> str:
    """Return the line of an error that says what happened; submitit wraps it in a traceback."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
    return telling[-1] if telling else next(iter(lines), type(error).__name__)


def _kill_workers(study: Study) -> None:
    """Kill what this command has started, and this machine's workers of one that was killed."""
    kill(pid for pid in descendants(os.getpid()) if not is_resource_tracker(pid))
    said = [who for who in workers_at(study.folder.workers) if who.launched]
    kill(who.pid for who in said if who.place == here() and who.pid != os.getpid())
