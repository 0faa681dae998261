"""The results of a running study, looked at again and again: a file is read when it has changed."""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from bvae.trial import State, TrialResult
from sweeps.ranking import Ending
from sweeps.study import Study

GIVEN_UP = "its worker died"
"""How the error of a point begins whose workers died again and again: no trial has raised it."""


@dataclass(frozen=True)
class Ended:
    """What the engine needs to know of an attempt that has ended; the rest stays on disk.

    Attributes:
        value: the objective, if the attempt got that far and it is a number.
        cause: the first line of the error, if there was one.
    """

    state: State
    attempt: int
    value: float | None
    cause: str | None
    wall_time_s: float
    steps: int | None = None
    active_latents: int | None = None

    @property
    def ending(self) -> Ending:
        """What counts where configurations are ranked: a pruned trial has no score there."""
        return Ending(self.value if self.state == "complete" else None, self.active_latents)

    @property
    def is_given_up(self) -> bool:
        """Whether it was not the attempt that failed, but one worker at it after another."""
        return self.cause is not None and self.cause.startswith(GIVEN_UP)


def stamp(path: Path) -> tuple[int, int]:
    """Return what changes whenever a file is replaced."""
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


class Results:
    """The result files of a study; the same object comes back until the file changes."""

    def __init__(self, study: Study) -> None:
        self._folder = study.folder
        self._objective = study.manifest.objective
        self._known: dict[str, tuple[tuple[int, int], Ended]] = {}

    def read(self, slug: str) -> Ended | None:
        """Return how the point's last attempt ended; None if none has, or it cannot be read."""
        path = self._folder.trial(slug).result
        try:
            written = stamp(path)
        except FileNotFoundError:
            self._known.pop(slug, None)
            return None
        known = self._known.get(slug)
        if known is not None and known[0] == written:
            return known[1]
        result = TrialResult.read(path)
        if result is None:
            return None
        ended = self._brief(result)
        self._known[slug] = (written, ended)
        return ended

    def is_complete(self, slug: str) -> bool:
        """Whether the point has a result that counts, be it of fewer steps than are wanted now."""
        ended = self.read(slug)
        return ended is not None and ended.state == "complete"

    def write(self, slug: str, result: TrialResult) -> Ended:
        """Write a result, and return what the engine makes of it.

        That of a shorter training is kept beside it where training on has failed.

        Raises:
            OSError: if it cannot be written, or not be read again.
        """
        path = self._folder.trial(slug).result
        before = self.read(slug)
        if before is not None and before.state == "complete" and result.state != "complete":
            shutil.copyfile(path, path.with_name(f"result.{before.steps}.json"))
        result.write(path)
        ended = self.read(slug)
        if ended is None:
            raise OSError(f"{slug}: the result just written cannot be read")
        return ended

    def _brief(self, result: TrialResult) -> Ended:
        value = result.scores.get(self._objective)
        return Ended(
            state=result.state,
            attempt=result.attempt,
            value=None if value is None or math.isnan(value) else value,
            cause=result.cause,
            wall_time_s=result.wall_time_s,
            steps=result.steps,
            active_latents=result.active_latents,
        )
