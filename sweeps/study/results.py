"""The results of a study, and what follows from one; a file is read when it has changed."""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bvae.trial import State, TrialResult
from sweeps.study.folder import StudyFolder
from sweeps.study.ranking import Ending

ABANDONED = "its worker died"
"""How the error begins of a trial whose workers died again and again; training did not raise it."""


@dataclass(frozen=True)
class AttemptResult:
    """How an attempt has ended, as far as the queue needs it; the rest stays on disk.

    Attributes:
        value: the objective, if it was computed and is a number.
        cause: the first line of the error, if there was one.
    """

    state: State
    attempt: int
    value: float | None = None
    cause: str | None = None
    wall_time_s: float = 0.0
    steps: int | None = None
    active_latents: int | None = None

    @property
    def ending(self) -> Ending:
        """What counts where configurations are ranked: a pruned trial has no score there."""
        return Ending(self.value if self.state == "complete" else None, self.active_latents)

    @property
    def is_abandoned(self) -> bool:
        """Whether it failed because one worker after another died."""
        return self.cause is not None and self.cause.startswith(ABANDONED)


Outcome = TrialResult | AttemptResult


class Limits(Protocol):
    """How many failures, deaths without progress and steps a trial may have: a manifest."""

    @property
    def max_attempts(self) -> int:
        """Failures."""

    @property
    def max_deaths(self) -> int:
        """Deaths of workers."""

    @property
    def steps(self) -> float | None:
        """Steps; None where trials differ in them."""


def is_final(result: Outcome, limits: Limits) -> bool:
    """Whether the trial needs no further attempt."""
    if result.state == "failed":
        return result.attempt >= limits.max_attempts
    return not is_short(result, limits)


def is_short(result: Outcome, limits: Limits) -> bool:
    """Whether the trial is complete with fewer steps than the study has now: it is continued."""
    if result.state != "complete" or result.steps is None or limits.steps is None:
        return False
    return bool(result.steps < limits.steps)


def next_attempt(last: Outcome | None, limits: Limits) -> int:
    """Return the number of the attempt that follows; it is 1 again where a trial is continued."""
    return 1 if last is None or is_short(last, limits) else last.attempt + 1


def stamp(path: Path) -> tuple[int, int]:
    """Return inode and time of change, which differ once a file is replaced."""
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


class Results:
    """The result files of a study; the same object comes back until the file changes.

    Args:
        folder: of the study.
        objective: the score that an attempt's `value` is.
    """

    def __init__(self, folder: StudyFolder, *, objective: str) -> None:
        self._folder = folder
        self._objective = objective
        self._known: dict[str, tuple[tuple[int, int], AttemptResult]] = {}

    def read(self, slug: str) -> AttemptResult | None:
        """Return the result of the trial's last attempt; None if absent or not readable."""
        path = self._folder.trial(slug).result
        try:
            written = stamp(path)
        except FileNotFoundError:
            self._known.pop(slug, None)
            return None
        known = self._known.get(slug)
        if known is not None and known[0] == written:
            return known[1]
        full = TrialResult.read(path)
        if full is None:
            return None
        result = self._summary(full)
        self._known[slug] = (written, result)
        return result

    def is_complete(self, slug: str) -> bool:
        """Whether the trial has a complete result, even one of fewer steps than are wanted now."""
        result = self.read(slug)
        return result is not None and result.state == "complete"

    def write(self, slug: str, result: TrialResult) -> AttemptResult:
        """Write a result, and return it as the queue sees it.

        If a complete trial was continued and that failed, the earlier result is kept beside it.

        Raises:
            OSError: if it cannot be written, or not be read again.
        """
        folder = self._folder.trial(slug)
        before = self.read(slug)
        if before is not None and before.state == "complete" and result.state != "complete":
            shutil.copyfile(folder.result, folder.earlier_result(before.steps))
        result.write(folder.result)
        written = self.read(slug)
        if written is None:
            raise OSError(f"{slug}: the result just written cannot be read")
        return written

    def _summary(self, result: TrialResult) -> AttemptResult:
        value = result.scores.get(self._objective)
        return AttemptResult(
            state=result.state,
            attempt=result.attempt,
            value=None if value is None or math.isnan(value) else value,
            cause=result.cause,
            wall_time_s=result.wall_time_s,
            steps=result.steps,
            active_latents=result.active_latents,
        )
