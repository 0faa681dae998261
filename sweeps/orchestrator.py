"""The command that runs a study: starts workers, replaces those that die, and says how it ended."""

import contextlib
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from bvae.exceptions import ConfigError
from sweeps.display import Display, shown
from sweeps.ledger import Ledger
from sweeps.presence import AlreadyPresentError, Present, Watch, here, workers_at
from sweeps.progress import Progress
from sweeps.study import Study
from sweeps.worker import log_to

log = logging.getLogger("sweeps")

POLL_S = 0.5
RECONCILE_S = 5.0

MAX_IDLE_STARTS = 6
"""Workers that may end in a row without an attempt's end between, before the sweep gives up."""

BREAKER = 5
"""Different points that may fail in a row with the same cause before the sweep stops."""


class Exit(IntEnum):
    """Exit codes of the commands that run a study."""

    COMPLETE = 0
    FAILED = 1
    USAGE = 2
    LEFT = 3
    INTERRUPTED = 130


@dataclass(frozen=True)
class Settings:
    """How a study is run: workers at once, and minutes it may take."""

    n_workers: int
    max_minutes: float | None = None


class Orchestrator:
    """Runs a study through worker loops; blocks until they have ended.

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
        self._progress = Progress(study)
        self._ending = threading.Event()
        self._interrupted = False
        self._idle_starts = 0
        self._reason: str | None = None
        self._last_death = "no reason given"
        self._deadline = time.monotonic() + 60 * (settings.max_minutes or float("inf"))

    def run(self) -> Exit:
        """Run to the end, an interruption, the end of the budget, or until it is hopeless.

        Raises:
            ConfigError: if another command runs the study already.
        """
        try:
            with (
                Present(self._folder.orchestrator, name="orchestrator"),
                log_to(self._folder.logs / "orchestrator.log"),
            ):
                self._run()
        except AlreadyPresentError as error:
            raise ConfigError(
                f"{self._study.name} is being run already by process {error}; "
                "`sweeps status` shows it, `sweeps stop` ends it"
            ) from error
        return self._verdict()

    def _run(self) -> None:
        self._folder.stop.unlink(missing_ok=True)
        self._ledger.reconcile(self._watch)
        self._progress.look()
        workers = min(self._settings.n_workers, self._progress.left)
        slots = [threading.Thread(target=self._keep, args=(index,)) for index in range(workers)]
        with self._interruptible(), self._display:
            with _sigint_blocked():
                for slot in slots:
                    slot.start()
            self._attend(slots)
        self._ledger.reconcile(self._watch)

    def _attend(self, slots: list[threading.Thread]) -> None:
        """Look, show and reconcile for as long as workers are kept."""
        reconciled_at = time.monotonic()
        while any(slot.is_alive() for slot in slots):
            time.sleep(POLL_S)
            self._progress.look()
            self._display.show(self._progress.snapshot())
            if time.monotonic() - reconciled_at > RECONCILE_S:
                self._ledger.reconcile(self._watch)
                reconciled_at = time.monotonic()
            self._judge()

    def _judge(self) -> None:
        """End the sweep if its budget is spent or it is hopeless."""
        cause = self._progress.same_cause_in_a_row(BREAKER)
        if cause is not None:
            self._end(f"{BREAKER} points failed in a row with the same cause: {cause}")
        elif time.monotonic() > self._deadline:
            self._end(f"the budget of {self._settings.max_minutes:g} minutes is spent")
        elif self._idle_starts >= MAX_IDLE_STARTS:
            self._end(
                f"workers die before a point ends ({self._last_death}); see "
                f"{shown(self._folder.logs / 'orchestrator.log')}"
            )

    def _end(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
            self._display.say(f"stopping: {reason}")
            self._folder.stop.write_text(reason)
        self._ending.set()

    def _keep(self, index: int) -> None:
        """Keep a worker in one slot, until nothing is left or the sweep is ending."""
        while not self._ending.is_set():
            ended = self._progress.finished
            try:
                self._launch(index)
            except Exception as error:  # whatever a launcher raises means: its worker has died
                log.warning("worker %d ended: %s", index, error)
                self._last_death = _gist(error)
            self._progress.look()
            if not self._progress.left:
                return
            self._idle_starts = 0 if self._progress.finished > ended else self._idle_starts + 1
            self._ledger.reconcile(self._watch)
            self._ending.wait(min(0.1 * 2**self._idle_starts, 10.0))

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """React to Ctrl-C and SIGTERM: once cleanly, twice at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for number in old:
                signal.signal(number, self._interrupt)
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def _interrupt(self, *_: object) -> None:
        if self._interrupted:
            _kill_workers(self._study)
            os._exit(Exit.INTERRUPTED)
        self._interrupted = True
        self._end("interrupted; running points are saved (again: at once)")

    def _verdict(self) -> Exit:
        counts = self._progress.snapshot().counts
        if self._interrupted:
            return Exit.INTERRUPTED
        if counts["failed"]:
            return Exit.FAILED
        return Exit.LEFT if self._progress.left else Exit.COMPLETE


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT in what is started meanwhile: only the orchestrator reacts to the terminal.

    submitit's own controller would kill its worker one second after Ctrl-C.
    """
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def _gist(error: Exception) -> str:
    """Return the line of an error that says what happened; submitit wraps it in a traceback."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
    return telling[-1] if telling else next(iter(lines), type(error).__name__)


def _kill_workers(study: Study) -> None:
    for said in workers_at(study.folder.workers):
        if said.place == here() and said.pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(said.pid, signal.SIGKILL)
