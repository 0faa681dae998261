"""Kills a process at the n-th boundary of its life: lease, write, fsync, rename.

Every call of these functions is two boundaries, before and after it. `armed(n)` counts them, in all
threads of the process, kills it at the n-th, and writes down which one that was.
"""

import contextlib
import fcntl
import functools
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from optuna.storages import JournalStorage

from bvae import files
from sweeps.queue.journal import Journal

appended = Journal.append_logs
written = files._write
builtin_open = open

BOUNDARIES: tuple[tuple[Any, str], ...] = (
    (fcntl, "flock"),
    (os, "open"),
    (os, "fsync"),
    (os, "pwrite"),
    (os, "replace"),
    (os, "rename"),
    (os, "unlink"),
    (Path, "write_text"),
    (JournalStorage, "create_new_trial"),
    (JournalStorage, "set_trial_state_values"),
    (JournalStorage, "set_trial_user_attr"),
)


@contextlib.contextmanager
def armed(number: int, log: Path, *, only: str = "") -> Iterator[None]:
    """Kill this process at the `number`-th boundary, counted from 1, of the calls in the block.

    Only those with this part in their name count, if one is given.
    """
    reached = itertools.count(1)
    main = os.getpid()

    def boundary(name: str, spoil: Callable[[], object] = int) -> None:
        if os.getpid() == main and only in name and next(reached) == number:
            spoil()
            with builtin_open(log, "a") as file:
                file.write(f"{number} {name}\n")
            os.kill(main, signal.SIGKILL)

    def append_logs(journal: Journal, logs: list[dict[str, Any]]) -> None:
        path = Path(journal.path)
        boundary("in a journal record", lambda: path.write_bytes(path.read_bytes() + b'{"op_co'))
        appended(journal, logs)

    def write_synced(path: Path, data: bytes) -> None:
        boundary("in a write", lambda: path.write_bytes(data[: len(data) // 2]))
        written(path, data)

    def wrapped(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            boundary(f"before {name}")
            try:
                return function(*arguments, **options)
            finally:
                boundary(f"after {name}")

        return call

    with contextlib.ExitStack() as stack:
        for owner, name in BOUNDARIES:
            replacement = wrapped(getattr(owner, name), f"{owner.__name__}.{name}")
            stack.enter_context(mock.patch.object(owner, name, replacement))
        stack.enter_context(mock.patch.object(Journal, "append_logs", append_logs))
        stack.enter_context(mock.patch.object(files, "_write", write_synced))
        yield


def killed_worker(root: Path, number: int, log: Path) -> None:
    """Work on a study, killed at the `number`-th boundary."""
    from sweeps import load_study
    from sweeps.workers.worker import Worker

    with armed(number, log):
        Worker(load_study(root), name=f"worker-{number}", detached=True).work()
