"""Processes of this machine: their descendants, their signal handlers, and how to kill them."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

import psutil

ENDINGS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if name in signal.Signals.__members__
)
"""What asks a command to end: Ctrl-C, `kill`, a closed terminal, Ctrl-\\."""

OF_TERMINALS = tuple(number for number in ENDINGS if number != signal.SIGTERM)
"""Those that a terminal sends to all processes of a command at once."""


def descendants(pid: int) -> list[int]:
    """Return the children of a process, their children, and so on."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def command_line(pid: int) -> str:
    """Return what a process was started as; nothing of one that has ended."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return ""


def is_resource_tracker(pid: int) -> bool:
    """Whether a process only cleans up after joblib or multiprocessing, and ends by itself.

    If it is killed before the processes it serves, a new one starts and warns of unknown files.
    """
    return "resource_tracker import main" in command_line(pid)


def kill(pids: Iterable[int]) -> None:
    """Kill those of these processes that still run."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def handling(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers, *numbers: signal.Signals
) -> Iterator[None]:
    """Handle these signals while the block runs, if it runs in the main thread.

    No other thread may set handlers. Under the basic launcher the orchestrator has the main thread,
    and stops the worker by the study's stop file. A hang-up that is ignored stays so: `nohup`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = [number for number in numbers if not _stays_ignored(number)]
    old = {number: signal.signal(number, handler) for number in kept}
    try:
        yield
    finally:
        for number, before in old.items():
            signal.signal(number, before)


@contextlib.contextmanager
def blocked(*numbers: signal.Signals) -> Iterator[None]:
    """Keep these signals from this thread, and from what it starts, for as long as that lives."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _stays_ignored(number: signal.Signals) -> bool:
    return number != signal.SIGINT and signal.getsignal(number) == signal.SIG_IGN
