"""Means over the seeds of a configuration, and their intervals.

Shapes: C configurations of a line, in order of β; S seeds; leading dimensions (...) are studies.
Missing values are NaN.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes 0.8 s to load, which the end of a study need not pay

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CONFIDENCE = 0.95


class MeanIntervals(NamedTuple):
    """Means and the two ends of their intervals, each [..., C]."""

    mean: Floats
    low: Floats
    high: Floats


class Spread(NamedTuple):
    """Variance of a single seed about its mean, and its degrees of freedom, each [...]."""

    variance: Floats
    df: Floats


def configuration_means(values: Floats) -> Floats:
    """Return the mean over the seeds that are there: [..., C, S] -> [..., C], NaN for none."""
    seen = np.isfinite(values)
    count = seen.sum(axis=-1)
    total = np.where(seen, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def intervals(values: Floats, *, collapsed: Bools) -> MeanIntervals:
    """Return mean ± t·s/√n for every configuration.

    s² is pooled over the line, or the configuration's own if that is larger. A few seeds cannot
    tell their own variance: a percentile bootstrap of three covers 69 % instead of 95 %. But where
    seeds fall into a local optimum the best configurations vary most, and the pooled variance alone
    would cover 80 % of their means (`benchmarks/calibration.py`). Collapsed configurations score
    chance and hardly vary, so they are pooled apart, or they would narrow the intervals of all
    others.

    Args:
        values: scores [..., C, S], NaN where missing.
        collapsed: bool [C].
    """
    means = configuration_means(values)
    margins = np.full(means.shape, np.nan)
    for pool in (~collapsed, collapsed):
        members = values[..., pool, :]
        spread = pooled_spread(members)
        quantile = special.stdtrit(np.maximum(spread.df, 1.0), 0.5 + CONFIDENCE / 2)
        variance = np.maximum(spread.variance[..., None], _own_variance(members))
        half = np.where(spread.df > 0, quantile, np.nan)[..., None] * np.sqrt(variance)
        count = np.isfinite(members).sum(axis=-1)
        margins[..., pool] = half / np.sqrt(np.maximum(count, 1))
    return MeanIntervals(means, means - margins, means + margins)


def _own_variance(values: Floats) -> Floats:
    """Return the variance of each configuration [..., C], 0 of a single seed."""
    count = np.isfinite(values).sum(axis=-1)
    return np.asarray((_deviations(values) ** 2).sum(axis=-1) / np.maximum(count - 1, 1))


def _deviations(values: Floats) -> Floats:
    """Return the values less their configuration's mean, 0 where one is missing: [..., C, S]."""
    means = configuration_means(values)[..., None]
    return np.asarray(np.where(np.isfinite(values), values - means, 0.0))


def pooled_spread(values: Floats) -> Spread:
    """Return the variance within configurations, pooled: s² = Σ(y−ȳ_c)² / Σ(n_c − 1).

    The configurations share their seeds, so their deviations need not be independent.
    Satterthwaite's (1946) degrees of freedom account for it, with the sum of squares SS split into
    what the configurations of a seed have in common and the rest: df = SS² / (SS_seed²/df_seed +
    SS_rest²/df_rest). Values are [..., C, S]; the split is exact where no seed is missing.
    """
    seen = np.isfinite(values)
    deviations = _deviations(values)
    ss = (deviations**2).sum(axis=(-2, -1))
    df = np.maximum(seen.sum(axis=-1) - 1, 0).sum(axis=-1).astype(np.float64)
    configurations = seen.sum(axis=-2)
    ss_seed = (deviations.sum(axis=-2) ** 2 / np.maximum(configurations, 1)).sum(axis=-1)
    df_seed = np.minimum(np.maximum((configurations > 0).sum(axis=-1) - 1, 0), df)
    ss_rest, df_rest = np.maximum(ss - ss_seed, 0.0), df - df_seed
    share = ss_seed**2 / np.maximum(df_seed, 1) + ss_rest**2 / np.maximum(df_rest, 1)
    effective = np.divide(ss**2, share, out=np.array(df), where=share > 0)
    return Spread(ss / np.maximum(df, 1), np.minimum(effective, df))
