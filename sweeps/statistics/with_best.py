"""How much each of several means loses against the best of the others.

Multiple comparisons with the best (Hsu, 1984): every interval holds at once, the choice of the best
included.

Shapes: M means, of latent sizes, say; leading dimensions (...) are studies.
"""

import numpy as np

from sweeps.statistics.contrasts import largest_t
from sweeps.statistics.intervals import CONFIDENCE, Floats, MeanIntervals, Spread


def gaps_to_best(means: Floats, counts: Floats, spread: Spread) -> MeanIntervals:
    """Return how far each mean lies above the best of the others, negative where it loses.

    All intervals hold at once with `CONFIDENCE`, for means that were not chosen. Each is the
    highest of a line; `benchmarks/calibration.py` says what the choice of β does.

    Args:
        means: [..., M], M at least 2.
        counts: seeds of each mean, [M].
        spread: variance of a single seed, pooled, with its degrees of freedom [...].
    """
    M = means.shape[-1]
    others = np.where(np.eye(M, dtype=np.bool_), -np.inf, means[..., None, :])  # [..., M, M]
    gap = means - others.max(axis=-1)
    best = np.where(np.eye(M, dtype=np.bool_), np.inf, counts).min(axis=-1)  # the fewest of others
    error = np.sqrt(spread.variance[..., None] * (1 / counts + 1 / best))
    reach = critical(M, spread.df)[..., None] * error
    return MeanIntervals(gap, gap - reach, gap + reach)


def critical(M: int, df: Floats) -> Floats:
    """Return Dunnett's one-sided critical value for M comparisons of equal size, by df [...]."""
    correlation = np.full((M, M), 0.5) + 0.5 * np.eye(M)
    listed = tuple(tuple(row) for row in correlation.tolist())
    found = [
        np.quantile(largest_t(listed, max(round(float(one)), 1)), CONFIDENCE) for one in df.ravel()
    ]
    return np.array(found).reshape(df.shape)


def seeds_to_exclude(gaps: MeanIntervals, counts: Floats, *, margin: float) -> Floats:
    """Return the seeds of each mean at which its interval excludes a loss above the margin.

    The interval narrows with √n; NaN where the loss is above the margin as it stands.
    """
    room = margin + gaps.mean
    reach = gaps.mean - gaps.low
    needed = counts * (reach / np.where(room > 0, room, 1.0)) ** 2
    return np.asarray(np.where(room > 0, needed, np.nan))
