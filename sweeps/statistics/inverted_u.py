"""Is the line an inverted U? The evidence, and the verdict by it.

The score must rise from the smallest β to some inner configuration, and fall from some inner
configuration to the largest β. Each is tested at 5 %, the choice of the inner configuration
included; both are needed (intersection-union test: Berger, 1982), so that "inverted U" is wrong in
at most 5 % of studies whose true line is flat, only rises, only falls, or has a dip. The fall may
be by posterior collapse, which is too little capacity, too: the peak may be the last β before it.

Shapes: C complete configurations in order of β, S seeds; leading dimensions (...) are studies.
"""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes 0.8 s to load, which the end of a study need not pay

from sweeps.statistics.best_subset import may_be_best
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
FEWEST = 3  # β that a verdict takes: two ends, and one between


class Verdict(StrEnum):
    """What can be said of a line."""

    INVERTED_U = "inverted U"
    RISING = "rising"
    FALLING = "falling"
    FLAT = "flat"
    NOT_RESOLVED = "not resolved"
    SATURATED = "saturated"


class Fall(StrEnum):
    """How a line falls at its largest β."""

    GRADUAL = "gradual"
    COLLAPSE = "collapse"


class Evidence(NamedTuple):
    """What the seeds say of a line.

    `p_rise`, `p_fall` [...]: some inner configuration is above the smallest, the largest β.
    `p_gradual` [...]: one that has not collapsed is above the last that has not.
    `may_be_best` [..., C]: cannot be told from the best, of those that have not collapsed.
    `no_bump` [...]: no inner configuration is above both ends by the standard deviation of a seed.
    `collapsed` [C], `saturated` [...].
    """

    p_rise: Floats
    p_fall: Floats
    p_gradual: Floats
    may_be_best: Bools
    no_bump: Bools
    collapsed: Bools
    saturated: Bools


def is_crowded(configurations: Floats) -> Bools:
    """Return whether more than a quarter of the configurations [..., C] lie above .97: [...]."""
    return np.asarray((configurations > CEILING).mean(axis=-1) > CROWDED)


def evidence(
    values: Floats, collapsed: Bools, *, noise: Noise | None = None, level: float = LEVEL
) -> Evidence:
    """Return what the values [..., C, S] say; `collapsed` is bool [C].

    `noise` is that of the uncollapsed, computed if it is not given.
    """
    noise = noise or residual_noise(values, members=~collapsed)
    inner, able = inner_of(collapsed), np.flatnonzero(~collapsed)
    none = np.ones(values.shape[:-2])
    before = inner & (np.arange(len(collapsed)) < (able[-1] if len(able) else 0))
    return Evidence(
        p_rise=p_some_above(values, noise, configurations=inner, end=0),
        p_fall=p_some_above(values, noise, configurations=inner, end=len(collapsed) - 1),
        p_gradual=p_some_above(values, noise, configurations=before, end=int(able[-1]))
        if len(able)
        else none,
        may_be_best=may_be_best(values, noise, able=~collapsed, confidence=1 - level),
        no_bump=_no_bump(values, noise, collapsed, level),
        collapsed=collapsed,
        saturated=is_crowded(configuration_means(values)),
    )


def verdicts(seen: Evidence, *, level: float = LEVEL) -> NDArray[np.str_]:
    """Return the verdict of every study [...]: the first that applies.

    A line rises or falls if the best β can only be its last, or its first. It is flat if, moreover,
    no configuration can be told from the best: so a line with a dip is not flat.
    """
    able = np.flatnonzero(~seen.collapsed)
    enough = len(seen.collapsed) >= FEWEST and len(able) > 1
    only = seen.may_be_best.sum(axis=-1) == 1
    first = only & seen.may_be_best[..., 0]
    last = only & seen.may_be_best[..., -1]
    same = seen.no_bump & seen.may_be_best[..., able].all(axis=-1)
    return np.select(
        [
            seen.saturated,
            (seen.p_rise <= level) & (seen.p_fall <= level),
            enough & last & (seen.p_rise <= level),
            enough & first,
            enough & same,
        ],
        [Verdict.SATURATED, Verdict.INVERTED_U, Verdict.RISING, Verdict.FALLING, Verdict.FLAT],
        Verdict.NOT_RESOLVED,
    )


def falls(seen: Evidence, *, level: float = LEVEL) -> NDArray[np.str_]:
    """Return how every study [...] falls, gradually or by posterior collapse; "" if not shown."""
    gradual = seen.p_gradual <= level
    collapse = (seen.p_fall <= level) & seen.collapsed[-1:].any()
    return np.select([gradual, collapse], [Fall.GRADUAL, Fall.COLLAPSE], "")


def seeds_to_settle(values: Floats, collapsed: Bools, *, noise: Noise | None = None) -> Floats:
    """Return the seeds a configuration [...] at which about 80 % of such studies have a verdict.

    With h the observed height of the bump over the higher end, s the standard deviation of a seed,
    t the critical value and z the normal quantile of the power, "inverted U" takes
    n = 2 s² (t + z)² / h² and "flat" takes n = 2 s² (t + z)² / (s − h)²; the smaller counts. NaN
    where seeds cannot settle it: with fewer than three β, without one between that has not
    collapsed, and if the line has a dip.
    """
    inner = inner_of(collapsed)
    if len(collapsed) < FEWEST or not inner.any():
        return np.full(values.shape[:-2], np.nan)
    noise = noise or residual_noise(values, members=~collapsed)
    if noise.df < 1:
        return np.full(values.shape[:-2], 3.0)
    gaps = [differences(values, noise, end=end).mean[..., inner] for end in (0, len(collapsed) - 1)]
    h = np.nan_to_num(np.minimum(*gaps)).max(axis=-1)  # unknown without a shared seed: nothing
    s = np.sqrt(noise.variance)
    z = special.ndtri(POWER)
    t_yes = critical_t(values, noise, configurations=inner, end=len(collapsed) - 1, level=LEVEL)
    t_no = special.stdtrit(noise.df, 1 - LEVEL / 2)
    smallest = 1e-6 * s + 1e-12  # a bump below it would take for ever
    yes = 2 * (s * (t_yes + z) / np.maximum(h, smallest)) ** 2
    no = 2 * (s * (t_no + z) / np.maximum(s - h, smallest)) ** 2
    return np.asarray(np.where(_has_dip(values, noise, collapsed), np.nan, np.minimum(yes, no)))


def inner_of(collapsed: Bools) -> Bools:
    """Return which are neither the first nor the last β, and have not collapsed: bool [C]."""
    index = np.arange(len(collapsed))
    return np.asarray(~collapsed & (index > 0) & (index < len(collapsed) - 1))


def _no_bump(values: Floats, noise: Noise, collapsed: Bools, level: float) -> Bools:
    """Return whether all inner are below first or last + a standard deviation of a seed: [...].

    For each configuration the smaller of its two upper bounds counts, each at half the level.
    """
    inner = inner_of(collapsed)
    if noise.df < 1 or not inner.any():
        return np.zeros(values.shape[:-2], dtype=np.bool_)
    ends = (0, len(collapsed) - 1)
    bounds = [upper_bounds(values, noise, end=end, level=level / 2) for end in ends]
    height = np.minimum(*bounds)[..., inner]
    return np.asarray((height < np.sqrt(noise.variance)[..., None]).all(axis=-1))


def _has_dip(values: Floats, noise: Noise, collapsed: Bools) -> Bools:
    """Return whether both ends of the uncollapsed are shown to be above one between: [...]."""
    able = np.flatnonzero(~collapsed)
    dips = []
    for between in able[1:-1]:
        sides = [np.arange(len(collapsed)) == end for end in (able[0], able[-1])]
        p = [p_some_above(values, noise, configurations=side, end=int(between)) for side in sides]
        dips.append(np.maximum(*p) <= LEVEL)
    if not dips:
        return np.zeros(values.shape[:-2], dtype=np.bool_)
    return np.asarray(np.any(dips, axis=0))
