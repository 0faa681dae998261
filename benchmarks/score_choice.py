"""Which score tells configurations apart? The evidence on each score of a recorded study.

    python -m benchmarks.score_choice [docs/curve/trials.csv]

By score: the ratio of the variance between the means of configurations to that of a single seed;
its rank agreement with the other scores (mean Spearman correlation of means); how often half of the
seeds, chosen at random, name a configuration that on the other half lies within one standard error
of the best. All without collapsed configurations.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from benchmarks.calibration import percent, print_head, print_row
from bvae.metrics.scores import SCORE_NAMES
from sweeps.study.ranking import MIN_ACTIVE

Floats = NDArray[np.float64]

RECORDED = Path("docs/curve/trials.csv")
REPLAYS = 1000


def tables(trials: pd.DataFrame) -> dict[str, Floats]:
    """Return the scores [C, S] of the configurations that have not collapsed, of shared seeds."""
    keys = ["latent_dim", "beta"]
    active = trials.groupby(keys)["active_latents"].mean()
    open_ = trials.set_index(keys).loc[active.index[active >= MIN_ACTIVE]].reset_index()
    found = {}
    for name in SCORE_NAMES:
        if name in open_:
            table = open_.pivot_table(index=keys, columns="seed", values=name)
            found[name] = table.dropna(axis=1).to_numpy()
    return found


def ratio(values: Floats) -> float:
    """Return the variance between means, less that of the means' own noise, over that of a seed."""
    seeds = values.shape[1]
    within = float(values.var(axis=1, ddof=1).mean())
    between = float(values.mean(axis=1).var(ddof=1)) - within / seeds
    return max(between, 0.0) / within


def agreement(name: str, all_values: Mapping[str, Floats]) -> float:
    """Return the mean rank correlation of a score's means with those of the others."""
    own = all_values[name].mean(axis=1)
    others = [values.mean(axis=1) for other, values in all_values.items() if other != name]
    return float(np.mean([stats.spearmanr(own, other).statistic for other in others]))


def found_by_half(values: Floats) -> float:
    """Return how often half of the seeds name what is near the best of the other half."""
    rng = np.random.default_rng(0)
    seeds = values.shape[1]
    error = np.sqrt(values.var(axis=1, ddof=1).mean() / (seeds - seeds // 2))
    hits = 0
    for _ in range(REPLAYS):
        order = rng.permutation(seeds)
        chosen = values[:, order[: seeds // 2]].mean(axis=1).argmax()
        judged = values[:, order[seeds // 2 :]].mean(axis=1)
        hits += bool(judged[chosen] >= judged.max() - error)
    return hits / REPLAYS


def main() -> None:
    """Print the table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDED
    of_score = tables(pd.read_csv(path))
    shape = next(iter(of_score.values())).shape
    print_head(
        f"{path}: {shape[0]} configurations that have not collapsed, {shape[1]} seeds",
        ["between / within", "agreement", "found by half"],
    )
    for name in sorted(of_score, key=lambda one: -ratio(of_score[one])):
        row = [f"{ratio(of_score[name]):.2f}", f"{agreement(name, of_score):.2f}"]
        print_row(name, [*row, percent(found_by_half(of_score[name]))])


if __name__ == "__main__":
    main()
