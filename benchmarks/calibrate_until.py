"""Simulate `hydra.sweeper.until=resolved` on one line: how often it is wrong, and what it takes.

    python -m benchmarks.calibrate_until [STUDIES] [LEVEL]

Each study begins with three seeds and is looked at up to ten times, as the command does; a tenth of
the draws of the engine are taken for each critical value. What is no inverted U must be called one
in at most 5 % of studies. 600 studies a row take some ten minutes.
"""

import sys
from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration import (
    MIG,
    NULLS,
    TURNED_HIGGINS,
    TURNED_MIG,
    Truth,
    draw,
    percent,
    print_head,
    print_row,
)
from sweeps.statistics import contrasts
from sweeps.statistics.inverted_u import Verdict, evidence, verdicts
from sweeps.statistics.sequential import LEVEL_OF_A_LOOK, MAX_LOOKS, open_configurations

START = 3
MARGIN = 0.05
LONG = Truth("long runs", (0.08, 0.25, 0.35, 0.28, 0.07, 0.0), 1)


class Ended(NamedTuple):
    """How a study ended."""

    verdict: str
    trials: int
    looks: int
    settled: bool


def seen_until(
    values: NDArray[np.float64], collapsed: NDArray[np.bool_], *, level: float = LEVEL_OF_A_LOOK
) -> tuple[NDArray[np.float64], bool]:
    """Return the scores [C, START + looks - 1] seen at the last look, and whether all is settled.

    Args:
        values: what every trial would score, [C, S]; with fewer than START + MAX_LOOKS - 1 seeds
            they end it sooner.
        collapsed: [C].
        level: of rise and fall.
    """
    seen = np.full_like(values, np.nan)
    seen[:, :START] = values[:, :START]
    last = min(values.shape[1], START + MAX_LOOKS - 1)
    for n_seeds in range(START, last + 1):
        had = seen[:, :n_seeds]
        more = open_configurations(had, collapsed, margin=MARGIN, level=level)
        if not more.any() or n_seeds == last:
            break
        seen[more, n_seeds] = values[more, n_seeds]
    return had, not more.any()


def until(values: NDArray[np.float64], truth: Truth, *, level: float) -> Ended:
    """Run one study whose trials would score `values` [C, START + MAX_LOOKS - 1]."""
    had, settled = seen_until(values, truth.collapsed, level=level)
    verdict = verdicts(evidence(had, truth.collapsed, level=level), level=level)
    looks = had.shape[1] - START + 1
    return Ended(str(verdict), int(np.isfinite(had).sum()), looks, settled)


def main() -> None:
    """Print what becomes of studies of every kind."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    level = float(sys.argv[2]) if len(sys.argv) > 2 else LEVEL_OF_A_LOOK
    contrasts.DRAWS //= 10
    print_head(
        f"until=resolved, one line, level {level:g} a look, {studies} studies a row",
        ["noise", *Verdict, "trials", "looks", "settled"],
    )
    nulls = [truth for truth in NULLS if truth.name != "rises, then collapse"]
    for truth in (*nulls, LONG):
        for noise in (MIG, TURNED_MIG, TURNED_HIGGINS):
            drawn = draw(truth, studies=studies, seeds=START + MAX_LOOKS - 1, noise=noise)
            ended = [until(values, truth, level=level) for values in drawn]
            counts = Counter(one.verdict for one in ended)
            means = [np.mean(column) for column in list(zip(*ended, strict=True))[1:]]
            shares = [percent(counts[verdict] / studies) for verdict in Verdict]
            row = [f"{means[0]:.1f}", f"{means[1]:.1f}", percent(float(means[2]))]
            print_row(truth.name, [noise.name, *shares, *row])


if __name__ == "__main__":
    main()
