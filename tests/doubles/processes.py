"""Real processes for tests: forked from a small server that has imported the engine once."""

import contextlib
import fcntl
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

SPAWNED = multiprocessing.get_context("forkserver")
SPAWNED.set_forkserver_preload(
    [
        "sweeps.workers.worker",
        "sweeps.commands.hydra_app",
        "sweeps.report.page",
        "tests.doubles.fakes",
        "tests.doubles.studies",
        "tests.doubles.faults",
    ]
)

SOON_S = 20.0
"""What happens at once may take so long on a busy machine."""


def start(target: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Start a function of an importable module in a process of its own."""
    process = SPAWNED.Process(target=target, args=arguments)
    process.start()
    return process


def end(process: BaseProcess) -> int | None:
    """Wait until a process has ended; return its exit code, negative for a signal."""
    process.join(SOON_S)
    if process.is_alive():
        process.kill()
        process.join()
        raise TimeoutError("the process did not end by itself")
    return process.exitcode


def wait_for(condition: Callable[[], object], *, seconds: float = SOON_S) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come about")
        time.sleep(0.01)


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file's lock, as a living process would, from this process."""
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(file)


def die(signal_number: int = signal.SIGKILL) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal_number)


def hold_for_ever(journal: Path) -> None:
    """Take the lock of a journal, say so, and keep it."""
    from sweeps.queue.journal import mended

    with mended(journal):
        journal.with_name("held").touch()
        time.sleep(600)


def add_ten(journal: Path) -> None:
    """Add ten trials to the study `tested` of a journal."""
    import optuna
    from optuna.trial import TrialState, create_trial

    from sweeps.queue.journal import open_journal

    study = optuna.create_study(
        storage=open_journal(journal), study_name="tested", load_if_exists=True
    )
    for _ in range(10):
        study.add_trial(create_trial(state=TrialState.FAIL))


def hold_heartbeat(path: Path) -> None:
    """Hold a heartbeat file for ever."""
    from sweeps.study.heartbeat import HeartbeatWriter

    with HeartbeatWriter(path, name="held"):
        time.sleep(600)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
