"""Whole studies in real processes: an orchestrator and workers that can be killed one by one."""

import contextlib
import io
import os
import random
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

from faults import armed
from processes import start
from rich.console import Console

from sweeps import orchestrator
from sweeps.display import Display
from sweeps.orchestrator import Orchestrator, Settings, running
from sweeps.presence import new_worker_name, read, workers_at
from sweeps.study import StudyFolder, load_study
from sweeps.worker import Worker


def work(root: Path) -> None:
    """Work on a study as a launcher's worker does."""
    Worker(load_study(root), name=new_worker_name(), drains=False, launched=True).work()


def orchestrate(root: Path, n_workers: int, max_minutes: float | None = None) -> None:
    """Run a study with workers that are processes; exit with the command's code."""

    def launch(index: int) -> None:
        del index
        process = start(work, root)
        process.join()
        if process.exitcode:
            raise RuntimeError(f"exit code {process.exitcode}")

    with running(StudyFolder(root)):
        study = load_study(root)
        display = Display(Console(file=io.StringIO()))
        settings = Settings(n_workers, max_minutes=max_minutes)
        code = Orchestrator(study, launch=launch, settings=settings, display=display).run()
    os._exit(code)


def run_alone(root: Path) -> int:
    """Run a study as under the basic launcher: its worker is a thread of the command's process."""
    with mock.patch.object(orchestrator, "POLL_S", 0.02), running(StudyFolder(root)):
        study = load_study(root)
        display = Display(Console(file=io.StringIO()))
        settings = Settings(n_workers=1)
        return Orchestrator(
            study, launch=lambda index: work(root), settings=settings, display=display
        ).run()


def killed_command(root: Path, number: int, log: Path) -> None:
    """Run a study so, the whole of it killed at the `number`-th boundary."""
    with armed(number, log):
        run_alone(root)


class Command:
    """A command that is typed again whenever it has been killed.

    Args:
        root: the study's folder.
        n_workers: how many workers it keeps.
    """

    def __init__(self, root: Path, *, n_workers: int) -> None:
        self._folder = StudyFolder(root)
        self._n_workers = n_workers
        self._chance = random.Random(0)
        self.killed: list[str] = []
        self._process = self._typed()

    def _typed(self) -> BaseProcess:
        return start(orchestrate, self._folder.root, self._n_workers)

    @property
    def code(self) -> int | None:
        """The exit code of the command, None while it runs; one that was killed is typed again."""
        if self._process.exitcode == -signal.SIGKILL:
            self._process = self._typed()
        return self._process.exitcode

    def kill_someone(self) -> None:
        """Kill the command, or one of its workers, whichever chance picks."""
        process = self._process.pid
        assert process is not None
        if read(self._folder.orchestrator) is None:
            return  # it has not begun yet
        workers = [who.pid for who in workers_at(self._folder.workers)]
        victim = self._chance.choice([process, *workers])
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            self.killed.append("orchestrator" if victim == process else "worker")

    def kills(self, number: int, *, every_s: float) -> Iterator[None]:
        """Kill so often, at irregular intervals, then wait for the end; yields all the while."""
        due = time.monotonic() + every_s
        while self.code is None:
            yield
            time.sleep(0.05)
            if len(self.killed) < number and time.monotonic() > due:
                self.kill_someone()
                due = time.monotonic() + every_s * self._chance.uniform(0.5, 1.5)
