"""When a worker is to stop: on a signal, or since the study has a stop file."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from sweeps.study.folder import StudyFolder
from sweeps.study.timeouts import TIMEOUTS, Timeouts
from sweeps.workers.exit_codes import Exit
from sweeps.workers.processes import handling

SIGNAL_CHECK_S = 0.1
"""How often a waiting worker checks whether it got a signal."""


class RateLimited:
    """A slow check that is called often: it is repeated after a time, and once true stays true."""

    def __init__(self, check: Callable[[], bool], *, every_s: float) -> None:
        self._check = check
        self._every_s = every_s
        self._checked_at = -every_s
        self._answer = False

    def __call__(self) -> bool:
        """Return the last answer, or a new one if the last was false and is old."""
        if not self._answer and time.monotonic() - self._checked_at > self._every_s:
            self._checked_at = time.monotonic()
            self._answer = self._check()
        return self._answer


class StopRequest:
    """Whether a worker is to stop: it got a signal, or the study has a stop file."""

    def __init__(self, folder: StudyFolder, timeouts: Timeouts = TIMEOUTS) -> None:
        # Not a threading.Event: a handler that sets one may wait for the lock it has interrupted.
        self._is_signalled = False
        self._has_file = RateLimited(folder.stop.exists, every_s=timeouts.stop_check)

    @property
    def is_signalled(self) -> bool:
        """Whether a signal asked the worker to stop."""
        return self._is_signalled

    def set_signalled(self) -> None:
        """Stop the worker after the running step; safe in a signal handler."""
        self._is_signalled = True

    def wait(self, seconds: float) -> None:
        """Wait, but end soon after a signal."""
        until = time.monotonic() + seconds
        while not self._is_signalled and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, SIGNAL_CHECK_S))

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self._is_signalled or self._has_file()


@contextlib.contextmanager
def stopping_on(
    stop_request: StopRequest, *numbers: signal.Signals, within_s: float | None = None
) -> Iterator[None]:
    """Stop on one of these signals, within a time if one is given; on a second one exit at once."""
    timers: list[threading.Timer] = []

    def handle(number: int, _: object) -> None:
        if stop_request.is_signalled:
            os._exit(Exit.INTERRUPTED)
        stop_request.set_signalled()
        if within_s is not None:
            timers.append(threading.Timer(within_s, os._exit, [Exit.INTERRUPTED]))
            timers[-1].daemon = True
            timers[-1].start()

    try:
        with handling(handle, *numbers):
            yield
    finally:
        for timer in timers:  # what follows the block has no time limit
            timer.cancel()


@contextlib.contextmanager
def in_a_job(stop_request: StopRequest) -> Iterator[None]:
    """Stop on a job's signals, and requeue the job if SLURM's signal asks for that.

    SLURM sends SIGUSR2 before a time limit. submitit's handler would requeue the job in the middle
    of a step; here that handler is called when the trial is saved. SIGTERM is sent both to a job
    that is preempted, which SLURM requeues if it still runs at the end of its grace time, and to
    one that is cancelled: having saved, the worker waits for what SLURM does.
    """
    requeue = signal.getsignal(signal.SIGUSR2)
    if not callable(requeue):  # not a job of submitit
        with stopping_on(stop_request, signal.SIGTERM):
            yield
        return
    received: set[int] = set()

    def handle(number: int, _: object) -> None:
        received.add(number)
        stop_request.set_signalled()

    with handling(handle, signal.SIGUSR2, signal.SIGTERM):
        yield
        if signal.SIGTERM in received and os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            time.sleep(TIMEOUTS.requeue)
    if signal.SIGUSR2 in received:
        requeue(signal.SIGUSR2, None)
