"""Processes of this machine: who descends from whom, and how to end them."""

import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those have started; Linux only."""
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


def kill(pids: Iterable[int]) -> None:
    """Kill these processes at once, as far as they are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
