"""Is the line an inverted U? The evidence, and the verdict by it.

The score must rise from the smallest β to some configuration between, and fall from some
configuration between to the largest β at which the latent layer has not collapsed. Each is tested
at 5 %, the choice of the configuration between included; "yes" needs both (intersection-union test:
Berger, 1982), so that it is wrong in at most 5 % of studies whose true line is flat, only rises,
only falls, or has a dip.

Shapes: C complete configurations in order of β, S seeds; leading dimensions (...) are studies.
"""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sweeps.statistics.contrasts import (
    Noise,
    critical_t,
    differences,
    p_some_above,
    residual_noise,
    upper_bounds,
)
from sweeps.statistics.intervals import Bools, Floats, configuration_means

LEVEL = 0.05
POWER = 0.8
CEILING = 0.97  # a quarter of the configurations above it: the score no longer tells them apart
CROWDED = 0.25


class Verdict(StrEnum):
    """What can be said of a line."""

    YES = "yes"
    NO = "no"
    COLLAPSE_ONLY = "collapse only"
    SATURATED = "saturated"
    NOT_RESOLVED = "not resolved"


class Evidence(NamedTuple):
    """What the seeds say of a line, each [...].

    `p_rise`, `p_fall`: some configuration between is above the smallest, the largest uncollapsed β.
    `p_collapse`: some uncollapsed configuration is above the collapsed configuration of largest β.
    `no_bump`: no configuration between is higher than both ends by the scatter of one seed or more.
    """

    p_rise: Floats
    p_fall: Floats
    p_collapse: Floats
    no_bump: Bools
    saturated: Bools


def is_crowded(configurations: Floats) -> Bools:
    """Return whether more than a quarter of the configurations [..., C] lie above .97: [...]."""
    return np.asarray((configurations > CEILING).mean(axis=-1) > CROWDED)


def evidence(values: Floats, collapsed: Bools, *, noise: Noise | None = None) -> Evidence:
    """Return what the values [..., C, S] say; `collapsed` is bool [C].

    `noise` is that of the uncollapsed, computed if it is not given.
    """
    noise = noise or residual_noise(values, members=~collapsed)
    first, last, between = parts(collapsed)
    quiet = np.flatnonzero(collapsed)
    nothing = np.ones(values.shape[:-2])
    return Evidence(
        p_rise=p_some_above(values, noise, configurations=between, end=first),
        p_fall=p_some_above(values, noise, configurations=between, end=last),
        p_collapse=p_some_above(values, noise, configurations=~collapsed, end=int(quiet[-1]))
        if len(quiet)
        else nothing,
        no_bump=_no_bump(values, noise, collapsed),
        saturated=is_crowded(configuration_means(values)),
    )


def verdicts(seen: Evidence) -> NDArray[np.str_]:
    """Return the verdict of every study [...]: the first that applies."""
    return np.select(
        [
            seen.saturated,
            (seen.p_rise <= LEVEL) & (seen.p_fall <= LEVEL),
            (seen.p_fall > LEVEL) & (seen.p_collapse <= LEVEL),
            seen.no_bump,
        ],
        [Verdict.SATURATED, Verdict.YES, Verdict.COLLAPSE_ONLY, Verdict.NO],
        Verdict.NOT_RESOLVED,
    )


def seeds_to_settle(values: Floats, collapsed: Bools, *, noise: Noise | None = None) -> Floats:
    """Return the seeds a configuration [...] at which about 80 % of such studies have a verdict.

    With h the observed height of the bump over the higher end, s the scatter of one seed, t the
    critical value and z the normal quantile of the power, "yes" takes n = 2 s² (t + z)² / h² and
    "no" takes n = 2 s² (t + z)² / (s − h)²; the smaller counts. NaN with fewer than three β
    without collapse, where seeds cannot settle it.
    """
    first, last, between = parts(collapsed)
    if not between.any():
        return np.full(values.shape[:-2], np.nan)
    noise = noise or residual_noise(values, members=~collapsed)
    if noise.df < 1:
        return np.full(values.shape[:-2], 3.0)
    gaps = [differences(values, noise, end=end).mean[..., between] for end in (first, last)]
    h = np.nan_to_num(np.minimum(*gaps)).max(axis=-1)  # unknown without a shared seed: nothing
    s = np.sqrt(noise.variance)
    z = stats.norm.ppf(POWER)
    t_yes = critical_t(values, noise, configurations=between, end=last, level=LEVEL)
    t_no = stats.t.ppf(1 - LEVEL / 2, noise.df)
    smallest = 1e-6 * s + 1e-12  # a bump below it would take for ever
    yes = 2 * (s * (t_yes + z) / np.maximum(h, smallest)) ** 2
    no = 2 * (s * (t_no + z) / np.maximum(s - h, smallest)) ** 2
    return np.asarray(np.minimum(yes, no))


def parts(collapsed: Bools) -> tuple[int, int, Bools]:
    """Return the first and last that have not collapsed, and those between: bool [C]."""
    open_configurations = np.flatnonzero(~collapsed)
    first, last = (
        (int(open_configurations[0]), int(open_configurations[-1]))
        if len(open_configurations)
        else (0, 0)
    )
    index = np.arange(len(collapsed))
    return first, last, np.asarray(~collapsed & (index > first) & (index < last))


def _no_bump(values: Floats, noise: Noise, collapsed: Bools) -> Bools:
    """Return whether all between are below first or last + a standard deviation of a seed: [...].

    For each configuration the smaller of its two upper bounds counts, each at half the level.
    """
    first, last, between = parts(collapsed)
    if noise.df < 1 or not between.any():
        return np.zeros(values.shape[:-2], dtype=np.bool_)
    bounds = [upper_bounds(values, noise, end=end, level=LEVEL / 2) for end in (first, last)]
    height = np.minimum(*bounds)[..., between]
    return np.asarray((height < np.sqrt(noise.variance)[..., None]).all(axis=-1))
