"""A shell: types commands as a user does, each with workers and process group of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from sweeps import load_study
from sweeps.study.study import Study
from sweeps.workers.processes import descendants, kill
from tests.doubles.processes import wait_for


def alive(pids: list[int]) -> list[int]:
    """Return which of these processes are there; one that only waits to be reaped is not."""
    processes = [process for process in psutil.process_iter(["status"]) if process.pid in pids]
    return [one.pid for one in processes if one.info["status"] != psutil.STATUS_ZOMBIE]


class Shell:
    """Types commands in a folder of its own, each in a process group, as a terminal has them."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self._folder = folder
        paths = [str(repository), os.environ.get("PYTHONPATH", "")]
        self._environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self._typed: list[subprocess.Popen[str]] = []
        self.started: list[int] = []

    @property
    def study(self) -> Study:
        """The study, as it stands on disk now."""
        return load_study(self._folder / "runs" / "swept")

    def type(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self._typed.append(process)
        self.started.append(process.pid)
        return process

    def sweep(self, *options: str) -> subprocess.Popen[str]:
        """Start a sweep of the one study here."""
        return self.type("bvae", "-m", "study=swept", *options)

    def close(self) -> None:
        """Kill what is left of all that was started."""
        for process in self._typed:
            if process.poll() is None:
                kill([*descendants(process.pid), process.pid])
            if process.stdout is not None:
                process.stdout.close()
            process.wait()
        kill(alive(self.started))

    def at_work(self, number: int) -> None:
        """Wait until so many workers have begun a trial, and note all that was started."""
        wait_for(lambda: len(self.runs()) == number, seconds=60)
        self.started += [pid for top in list(self.started) for pid in descendants(top)]

    def runs(self) -> list[list[str]]:
        """Return what each trial that was begun has gone through."""
        files = sorted(self._folder.glob("runs/swept/trials/*/runs.txt"))
        return [file.read_text().splitlines() for file in files]


def ended(process: subprocess.Popen[str], *, within_s: float) -> tuple[int, str]:
    """Return the exit code and what was said."""
    said, _ = process.communicate(timeout=within_s)
    return process.returncode, said


def interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C: the whole process group gets the signal."""
    os.killpg(process.pid, signal.SIGINT)
