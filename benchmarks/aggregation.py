"""By what are few seeds best aggregated: mean, median, the better half, or a window of neighbours?

    python -m benchmarks.aggregation [STUDIES]

An oracle comparison: each statistic gets the critical value at which its worst null, with and
without seeds that fall into the local optimum, is called an inverted U in 5 % of studies; then its
power is compared. The statistic is the smaller of rise and fall over a seed's standard deviation.
"""

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration import (
    LONG,
    MIG,
    NULLS,
    TURNED_MIG,
    draw,
    percent,
    print_head,
    print_row,
)

Floats = NDArray[np.float64]


def mean(values: Floats) -> Floats:
    """Aggregate [..., C, S] by the mean."""
    return np.asarray(values.mean(axis=-1))


def median(values: Floats) -> Floats:
    """Aggregate by the median."""
    return np.asarray(np.median(values, axis=-1))


def better_half(values: Floats) -> Floats:
    """Aggregate by the mean of the better half, as the paper does with thirty scores."""
    S = values.shape[-1]
    return np.asarray(np.sort(values, axis=-1)[..., S // 2 :].mean(axis=-1))


def statistic(values: Floats, aggregate: Callable[[Floats], Floats], *, width: int = 1) -> Floats:
    """Return the evidence for rise and fall of every study: [T, C, S] -> [T].

    A peak is a window of up to `width` neighbours between the ends.
    """
    found, S = aggregate(values), values.shape[-1]
    sd = np.sqrt(values[:, :-1].var(axis=-1, ddof=1).mean(axis=-1))
    best = np.full(len(values), -np.inf)
    for size in range(1, width + 1):
        for first in range(1, found.shape[1] - size):
            peak = found[:, first : first + size].mean(axis=1)
            above = np.minimum(peak - found[:, 0], peak - found[:, -1])
            best = np.maximum(best, above / np.sqrt(1 + 1 / size))
    return np.asarray(best / sd * np.sqrt(S))


def main() -> None:
    """Print the power of each statistic at 3, 5 and 10 seeds."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    nulls = [truth for truth in NULLS if truth.name != "rises, then collapse"]
    print_head(
        f"Power on the long runs, {studies} studies a row",
        ["seeds", "critical value", "power", "power, 30 % turned"],
    )
    kinds = [("mean", mean, 1), ("median", median, 1), ("better half", better_half, 1)]
    for seeds in (3, 5, 10):
        for name, aggregate, width in [*kinds, ("mean of up to 3 neighbours", mean, 3)]:
            drawn = [
                draw(truth, studies=studies, seeds=seeds, noise=noise)
                for truth in nulls
                for noise in (MIG, TURNED_MIG)
            ]
            limits = [np.quantile(statistic(one, aggregate, width=width), 0.95) for one in drawn]
            power = [
                np.mean(
                    statistic(
                        draw(LONG, studies=studies, seeds=seeds, noise=noise),
                        aggregate,
                        width=width,
                    )
                    > max(limits)
                )
                for noise in (MIG, TURNED_MIG)
            ]
            shares = [percent(float(share)) for share in power]
            print_row(name, [seeds, f"{max(limits):.2f}", *shares])


if __name__ == "__main__":
    main()
