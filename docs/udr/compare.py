"""Does UDR, which needs no labels, find the β that MIG finds? Where factors are known, both can.

    python docs/udr/compare.py STUDY   # a finished study: writes trials.csv beside this file
    python docs/udr/compare.py         # prints what trials.csv says

Spearman's ρ is over the configurations, their scores being means over seeds; its interval is a
jackknife over seeds of atanh ρ, with Student's t. The score lost is that of the β of highest UDR
against the β of highest score, within each latent size; its interval is Student's t over seeds, the
same seed of both β being paired. The best β is chosen and judged on the same seeds: that overstates
the loss.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from sweeps import load_study
from sweeps.analysis.table import trials_table
from sweeps.scoring.udr import refresh
from sweeps.study.ranking import MIN_ACTIVE

TRIALS = Path(__file__).with_name("trials.csv")
TRUTHS = ("mig", "beta_vae")
LABEL_FREE = ("udr", "udr_spearman")
COLUMNS = ["beta", "latent_dim", "seed", *TRUTHS, *LABEL_FREE, "active_latents"]


def main() -> None:
    """Write the table of a study's trials, or say what it shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="?", type=Path)
    typed = parser.parse_args()
    if typed.study is not None:
        frame = trials_table(refresh(load_study(typed.study)))
        done = frame[frame["state"] == "complete"][COLUMNS]
        done.sort_values(COLUMNS[:3]).to_csv(TRIALS, index=False, float_format="%.6g")
    trials = of_shared_seeds(pd.read_csv(TRIALS))
    print(f"{len(trials)} trials, {trials['seed'].nunique()} seeds of each configuration")
    for kept in ("all", "not collapsed"):
        for score in LABEL_FREE:
            for truth in TRUTHS:
                found = rank_correlation(trials, score, truth, kept)
                print(f"{kept:14}{score:13} ~ {truth:9}{found}")
    for score in LABEL_FREE:
        for truth in TRUTHS:
            print(f"choosing by {score:13} costs {truth:9}{lost(trials, score, truth)}")


def of_shared_seeds(trials: pd.DataFrame) -> pd.DataFrame:
    """Leave out the seeds that some configuration lacks."""
    number = trials.groupby("seed")["beta"].count()
    return trials[trials["seed"].isin(number.index[number == number.max()])]


def rank_correlation(trials: pd.DataFrame, score: str, truth: str, which: str) -> str:
    """Return ρ over the configurations with its interval."""
    active = trials.groupby(["latent_dim", "beta"])["active_latents"].transform("mean")
    kept = trials if which == "all" else trials[active >= MIN_ACTIVE]
    seeds = kept["seed"].unique()
    whole = _atanh_rho(kept, score, truth)
    without = [_atanh_rho(kept[kept["seed"] != seed], score, truth) for seed in seeds]
    pseudo = len(seeds) * whole - (len(seeds) - 1) * np.array(without)
    margin = stats.t.ppf(0.975, len(seeds) - 1) * stats.sem(pseudo)
    low, high = np.tanh([whole - margin, whole + margin])
    number = kept.groupby(["latent_dim", "beta"]).ngroups
    return f"ρ = {np.tanh(whole):+.2f} ({low:+.2f} to {high:+.2f}), {number} configurations"


def _atanh_rho(trials: pd.DataFrame, score: str, truth: str) -> float:
    means = trials.groupby(["latent_dim", "beta"])[[score, truth]].mean()
    return float(np.arctanh(stats.spearmanr(means[score], means[truth]).statistic))


def lost(trials: pd.DataFrame, score: str, truth: str) -> str:
    """Return the loss of each latent size, and the mean of all with its interval."""
    lines = {size: _lost_by_seed(line, score, truth) for size, line in trials.groupby("latent_dim")}
    by_seed = np.mean(list(lines.values()), axis=0)
    margin = stats.t.ppf(0.975, len(by_seed) - 1) * stats.sem(by_seed)
    each = ", ".join(f"M={size}: {values.mean():.3f}" for size, values in lines.items())
    mean = by_seed.mean()
    return f"{mean:.3f} ({mean - margin:.3f} to {mean + margin:.3f}); {each}"


def _lost_by_seed(line: pd.DataFrame, score: str, truth: str) -> np.ndarray:
    means = line.groupby("beta")[[score, truth]].mean()
    table = line.pivot(index="seed", columns="beta", values=truth)
    return (table[means[truth].idxmax()] - table[means[score].idxmax()]).to_numpy()


if __name__ == "__main__":
    main()
