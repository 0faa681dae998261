"""Processes of this machine: their descendants, their signal handlers, and how to kill them."""

import contextlib
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType


def descendants(pid: int) -> list[int]:
    """Return the children of a process, their children, and so on; Linux only."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # pid (name) state parent …; a name may hold anything, brackets included
            after_name = stat.read_text().rpartition(")")[2].split()
            children[int(after_name[1])].append(int(stat.parent.name))
    found = list(children[pid])
    for child in found:  # grows while it is walked
        found += children[child]
    return found


def is_resource_tracker(pid: int) -> bool:
    """Whether a process only cleans up after joblib or multiprocessing, and ends by itself.

    If it is killed before the processes it serves, a new one starts and warns of unknown files.
    """
    try:
        return b"resource_tracker import main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return False


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
    and stops the worker by the study's stop file.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in old.items():
            signal.signal(number, before)
