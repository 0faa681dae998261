"""What `hydra.sweeper.until=resolved` would have saved on a recorded study of many seeds.

    python -m benchmarks.replay_until [docs/curve/trials.csv] [LATENT_DIM]

One latent size with 12 recorded seeds or more. A replay puts the seeds in another order; it begins
with the first three and looks up to ten times. The answer is that of all recorded seeds: right is
the same verdict, and a best β within one step of the grid or one standard error. Beside it, fixed
grids of 3, 4, … seeds: the smallest with as many right answers is what `until` is held against.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.calibrate_until import START, seen_until
from benchmarks.calibration import percent, print_head, print_row
from sweeps.statistics import contrasts
from sweeps.statistics.contrasts import residual_noise
from sweeps.statistics.inverted_u import LEVEL, evidence, verdicts
from sweeps.statistics.sequential import LEVEL_OF_A_LOOK
from sweeps.study.ranking import MIN_ACTIVE

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RECORDED = Path("docs/curve/trials.csv")
REPLAYS = 200


class Recorded(NamedTuple):
    """One line: scores [C, S], which have collapsed [C], and what all seeds say."""

    values: Floats
    collapsed: Bools
    verdict: str
    near: Bools


def recorded(path: Path, latent_dim: int, *, score: str = "mig") -> Recorded:
    """Read a line of a study."""
    trials = pd.read_csv(path)
    line = trials[trials["latent_dim"] == latent_dim]
    values = line.pivot_table(index="beta", columns="seed", values=score).dropna(axis=1).to_numpy()
    active = line.groupby("beta")["active_latents"].mean().to_numpy()
    collapsed = active < MIN_ACTIVE
    means = values.mean(axis=1)
    best = int(np.where(collapsed, -np.inf, means).argmax())
    noise = residual_noise(values, members=~collapsed)
    error = float(np.sqrt(noise.variance / values.shape[1]))
    steps = np.abs(np.arange(len(means)) - best)
    near = ~collapsed & ((steps <= 1) | (means >= means[best] - error))
    return Recorded(values, collapsed, said(values, collapsed, LEVEL), near)


def said(values: Floats, collapsed: Bools, level: float) -> str:
    """Return the verdict on some of the seeds."""
    return str(verdicts(evidence(values, collapsed, level=level), level=level))


def is_right(values: Floats, line: Recorded, level: float) -> bool:
    """Whether some of the seeds give the answer of all of them."""
    means = np.where(line.collapsed, -np.inf, np.nanmean(values, axis=1))
    return said(values, line.collapsed, level) == line.verdict and bool(line.near[means.argmax()])


def main() -> None:
    """Print the trials that both take."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDED
    latent_dim = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    contrasts.DRAWS //= 10
    line = recorded(path, latent_dim)
    C, S = line.values.shape
    print_head(
        f"{path}, {latent_dim} latents, {C} β, {S} seeds: {line.verdict}; {REPLAYS} replays",
        ["trials", "right"],
    )
    rng = np.random.default_rng(0)
    orders = [rng.permutation(S) for _ in range(REPLAYS)]
    ended = [seen_until(line.values[:, order], line.collapsed)[0] for order in orders]
    right = float(np.mean([is_right(seen, line, LEVEL_OF_A_LOOK) for seen in ended]))
    trials = float(np.mean([np.isfinite(seen).sum() for seen in ended]))
    print_row("until=resolved", [f"{trials:.1f}", percent(right)])
    for seeds in range(START, S + 1):
        fixed = [is_right(line.values[:, order[:seeds]], line, LEVEL) for order in orders]
        print_row(f"grid of {seeds} seeds", [C * seeds, percent(float(np.mean(fixed)))])


if __name__ == "__main__":
    main()
