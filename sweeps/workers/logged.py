"""What running trials have logged last: loss and validation score, from the ends of their files."""

import contextlib
import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.study.folder import StudyFolder
from sweeps.study.results import stamp

LOSS, SCORE = "train/loss", "scores/mig"
"""Columns of `history.csv`."""

TAIL_BYTES = 16_384
"""Some fifty rows: validations, which alone have a score, are rarer than rows."""


@dataclass(frozen=True)
class Logged:
    """The last loss (nats) and validation score of a trial, None where there is none yet."""

    loss: float | None = None
    score: float | None = None


@dataclass
class LastRows:
    """Reads the histories of the trials of a study; each again only when it has changed."""

    folder: StudyFolder
    _known: dict[str, tuple[tuple[int, int], Logged]] = field(default_factory=dict)

    def of(self, slugs: Iterable[str]) -> Mapping[str, Logged]:
        """Return what these trials have logged last."""
        self._known = {slug: self._read(slug) for slug in slugs}
        return {slug: logged for slug, (_, logged) in self._known.items()}

    def _read(self, slug: str) -> tuple[tuple[int, int], Logged]:
        path = self.folder.trial(slug).history
        before, known = self._known.get(slug, ((0, 0), Logged()))
        try:
            written = stamp(path)
        except OSError:  # there is none yet
            return before, known
        if written == before:
            return before, known
        found = last_values(path, (LOSS, SCORE))
        return written, Logged(found.get(LOSS, known.loss), found.get(SCORE, known.score))


def last_values(path: Path, names: Iterable[str]) -> dict[str, float]:
    """Return the last value of each column that has one near the end of a file of numbers."""
    try:
        with path.open("rb") as file:
            head = file.readline().decode()
            begin = file.tell()
            size = file.seek(0, 2)
            file.seek(max(begin, size - TAIL_BYTES))
            rest = file.read().decode()
    except (OSError, UnicodeDecodeError):
        return {}
    lines = rest.split("\n")[1 if size - TAIL_BYTES > begin else 0 : -1]  # whole ones only
    rows = [*csv.DictReader([head, *lines])]
    found: dict[str, float] = {}
    for name in names:
        for row in reversed(rows):
            with contextlib.suppress(TypeError, ValueError):  # torn by a kill, or empty
                value = float(row.get(name) or "nan")
                if not math.isnan(value):
                    found[name] = value
                    break
    return found
