"""The history of a trial: a row every so many steps; a resumed trial continues it."""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bvae.files import write_atomically


def columns(*, latent_dim: int, scores: bool) -> list[str]:
    """Return the columns of every `history.csv` (losses and KL in nats).

    Those of further parts of a loss are added when there is a value.
    """
    train = ["train/loss", "train/recon", "train/kl"]
    validation = ["val/loss", "val/recon", "val/kl", "kl/active_units"]
    latents = [f"kl/z{m:02d}" for m in range(latent_dim)]
    return ["step", *train, *validation, *latents, *(["scores/mig"] if scores else [])]


def late_change(rows: Iterable[Mapping[str, str]], *, least: float) -> float | None:
    """Return the relative change of `val/loss` over the last tenth of the steps.

    Near 0 the model is about trained; -0.1 says that the loss was still falling by a tenth. The
    loss at nine tenths of the steps lies on the line between the validations around it. None after
    fewer than two validations, or with nothing left to lose.

    Args:
        rows: of the history.
        least: what the loss is counted from, in nats: `bvae.losses.least_nll`. A loss of Gaussian
            pixels may pass through 0, and a part of it would say nothing.
    """
    validations = [(float(row["step"]), float(row["val/loss"])) for row in rows if row["val/loss"]]
    if len(validations) < 2:
        return None
    steps, losses = zip(*validations, strict=True)
    before = float(np.interp(0.9 * steps[-1], steps, losses))
    if before <= least:
        return None
    return float(f"{(losses[-1] - before) / (before - least):.6g}")


class History:
    """Rows of numbers by step, each on disk as soon as it is added."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path = path
        self._names = list(names)

    def start_at(self, step: int) -> None:
        """Begin the file, or keep of it what happened up to `step`, the step resumed from."""
        self._write([row for row in self.rows() if float(row["step"]) <= step] if step else [])

    def _write(self, rows: Sequence[Mapping[str, str]]) -> None:
        for row in rows:
            self._names = list(dict.fromkeys([*self._names, *row]))
        text = io.StringIO()
        writer = csv.DictWriter(text, self._names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self._path, text.getvalue())

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Append a row; columns without a value stay empty, new ones are added."""
        row = {"step": str(step)} | {name: f"{value:.9g}" for name, value in values.items()}
        if not row.keys() <= set(self._names):
            self._write([*self.rows(), row])
            return
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._names, lineterminator="\n").writerow(row)
            file.flush()
            os.fsync(file.fileno())

    def rows(self) -> list[dict[str, str]]:
        """Return the rows on disk; what is none is left out, as a last line torn by a kill."""
        if not self._path.is_file():
            return []
        whole = self._path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
        try:
            return [row for row in csv.DictReader(io.StringIO(whole)) if _is_of_numbers(row)]
        except csv.Error:
            return []


def _is_of_numbers(row: Mapping[str, str | None]) -> bool:
    """Whether a row has a step and, in all columns of the file, numbers or nothing."""
    try:
        numbers = {name: float(text or "nan") for name, text in row.items()}
    except (TypeError, ValueError):  # more columns than names, or a text
        return False
    return None not in row.values() and math.isfinite(numbers.get("step", math.nan))
