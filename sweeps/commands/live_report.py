"""The page of a study while it runs: written anew as trials end, for at most 5 % of the time."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.labels import counted, shown
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import living_workers
from sweeps.study.locks import is_locked
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit

EVERY_S = 60.0
"""The page is written at most so often."""

REST = 20
"""After a writing, so many times as long as it took passes before the next."""

POLL_S = 1.0

NICELY = "import os, sys; os.nice(10); from sweeps.__main__ import main; main(sys.argv[1:])"
"""What the writing process runs: `sweeps …`, behind all workers."""


@dataclass
class Pace:
    """When a page may be written again."""

    rested_at: float = field(default_factory=lambda: time.monotonic() + EVERY_S)

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last writing."""
        return time.monotonic() >= self.rested_at

    def wrote(self, *, took_s: float) -> None:
        """Note that a page has just been written."""
        self.rested_at = time.monotonic() + max(EVERY_S, REST * took_s)


class LiveReport:
    """Writes the page of a study that this process runs: called with how many trials have ended.

    The writing is a process of its own, with one thread and behind all others, so that whatever
    befalls it costs neither a worker nor the sweep. A context manager: at the end of the block a
    writing that has not ended is ended.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._pace = Pace()
        self._writing: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._ended = 0

    def __enter__(self) -> "LiveReport":
        return self

    def __exit__(self, *error: object) -> None:
        if self._writing is not None:
            self._writing.terminate()
            self._writing.wait()

    def __call__(self, ended: int) -> None:
        """Begin to write the page if trials have ended since, and it is time."""
        if self._writing is not None:
            if self._writing.poll() is None:
                return
            self._writing = None
            self._pace.wrote(took_s=time.monotonic() - self._started_at)
        if ended > self._ended and self._pace.is_due:
            self._ended, self._started_at = ended, time.monotonic()
            with contextlib.suppress(OSError):  # no memory, no file handles: the next time, then
                self._writing = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._folder.orchestrator_log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-c", NICELY, "report", str(self._folder.root)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=os.environ
                | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # the terminal's Ctrl-C is not for it
            )


def watch(root: Path, write: Callable[[], Path]) -> Exit:
    """Write the page of a study that other processes run, until they have ended, or Ctrl-C.

    Args:
        root: the study's folder.
        write: writes the page as the study stands, and returns its path.
    """
    try:
        return _watch(StudyFolder(root), write)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _watch(folder: StudyFolder, write: Callable[[], Path]) -> Exit:
    pace, is_first = Pace(), True
    while True:
        runs, ended = _is_running(folder), _n_ended(folder.root)
        began = time.monotonic()
        page = write()
        pace.wrote(took_s=time.monotonic() - began)
        if is_first and runs:
            print(f"{shown(page)}, written anew while the study runs", flush=True)
        is_first = False
        if not runs:
            left = open_study(folder.root).left
            print(f"{shown(page)}: {counted(left, 'trial') + ' left' if left else 'complete'}")
            return Exit.LEFT if left else Exit.COMPLETE
        while _is_running(folder) and not (pace.is_due and _n_ended(folder.root) > ended):
            time.sleep(POLL_S)


def _is_running(folder: StudyFolder) -> bool:
    return is_locked(folder.orchestrator) or bool(living_workers(folder.workers))


def _n_ended(root: Path) -> int:
    """Return how many trials need no further attempt."""
    study = open_study(root)
    return study.counts["expected"] - study.left
