"""Whole studies in real processes: an orchestrator and workers that can be killed one by one."""

import contextlib
import io
import logging
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

from bvae.config import parse
from sweeps import load_study
from sweeps.commands.conclude import conclude
from sweeps.commands.run_study import begin
from sweeps.plan.plan import Plan
from sweeps.report import page
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import living_workers, new_worker_name, read_heartbeat
from sweeps.study.manifest import Manifest
from sweeps.workers.live_table import Display
from sweeps.workers.orchestrator import Orchestrator, Settings, running
from sweeps.workers.worker import Worker
from tests.doubles.faults import armed
from tests.doubles.processes import start
from tests.doubles.studies import CONFIGURATION

FORKED = multiprocessing.get_context("fork")
"""Quick, since all is imported already; with the files come their locks, which must be let go."""

END_WITHIN_S = 300.0
"""A study that is not done by then, kills included, will never be."""


def of_steps(number: int) -> dict[str, Any]:
    """Return configurations whose trials take `fakes.stepping` so many hundredths of a second."""
    return {"": CONFIGURATION | {"trainer": CONFIGURATION["trainer"] | {"max_steps": number}}}


def work(root: Path) -> None:
    """Work on a study as a launcher's worker does."""
    Worker(load_study(root), name=new_worker_name(), detached=False, launched=True).work()


def work_alone(root: Path) -> None:
    """Work in a process forked from the command's, holding none of the locks that one holds."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    logging.disable()  # the command's log is among what was closed
    work(root)


def launcher(root: Path) -> Callable[[int], None]:
    """Return what starts a worker in a process of its own, which outlives a killed command."""

    def launch(index: int) -> None:
        del index
        process = FORKED.Process(target=work_alone, args=(root,))
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"exit code {process.exitcode}")

    return launch


def orchestrate(root: Path, n_workers: int, max_minutes: float | None = None) -> None:
    """Run a study with workers that are processes; exit with the command's code."""
    with running(StudyFolder(root)):
        study = load_study(root)
        display = Display(Console(file=io.StringIO()))
        settings = Settings(n_workers, max_minutes=max_minutes)
        code = Orchestrator(study, launch=launcher(root), settings=settings, display=display).run()
    os._exit(code)


def command(root: Path, asked: Manifest, max_minutes: float | None = None) -> None:
    """Do all that the command does once it has composed: manifest, one worker, tables, report.

    The page says nothing: drawing it takes seconds, and writes no file.
    """
    folder, display = StudyFolder(root), Display(Console(file=io.StringIO()))
    settings = Settings(n_workers=1, max_minutes=max_minutes)
    config = parse(asked.compositions[""])
    with running(folder), mock.patch.object(page, "render", return_value="<html>"):
        study = begin(Plan(folder, asked, (config,), (), ()), display)
        code = Orchestrator(study, launch=launcher(root), settings=settings, display=display).run()
        conclude(study, display, code)
    os._exit(code)


def killed_orchestrator(
    root: Path, asked: Manifest, number: int, log: Path, only: str, max_minutes: float | None
) -> None:
    """Run a study so, its command killed at the `number`-th boundary; its worker lives on."""
    with armed(number, log, only=only):
        command(root, asked, max_minutes)


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
        if read_heartbeat(self._folder.orchestrator) is None:
            return  # it has not begun yet
        workers = [worker.pid for worker in living_workers(self._folder.workers)]
        victim = self._chance.choice([process, *workers])
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            self.killed.append("orchestrator" if victim == process else "worker")

    def kills(self, number: int, *, every_s: float) -> Iterator[None]:
        """Kill so often, at irregular intervals, then wait for the end; yields all the while.

        Raises:
            TimeoutError: it does not come to an end.
        """
        due = time.monotonic() + every_s
        deadline = time.monotonic() + END_WITHIN_S
        while self.code is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"still running after {len(self.killed)} kills")
            yield
            time.sleep(0.05)
            if len(self.killed) < number and time.monotonic() > due:
                self.kill_someone()
                due = time.monotonic() + every_s * self._chance.uniform(0.5, 1.5)
