"""Seeds are added one by one until the answer is known: which configurations get another seed.

To look again and again is to test again and again: with ten looks at 5 % a flat line would be
called an inverted U more often than that. So each look is at a stricter level, which
`benchmarks/calibrate_until.py` has found by simulating the whole rule.

Shapes: C complete configurations of one line in order of β, S seeds; NaN where a seed was not run.
"""

import numpy as np

from sweeps.statistics.best_subset import may_be_best
from sweeps.statistics.contrasts import Noise, critical_t, differences, residual_noise
from sweeps.statistics.intervals import CONFIDENCE, Bools, Floats, configuration_means
from sweeps.statistics.inverted_u import Verdict, evidence, verdicts

MAX_LOOKS = 10
LEVEL_OF_A_LOOK = 0.01
"""Of rise and fall, at each of up to ten looks: then at most 5 % of studies that are no inverted U
are ever called one."""


def open_configurations(
    values: Floats, collapsed: Bools, *, margin: float, level: float = LEVEL_OF_A_LOOK
) -> Bools:
    """Return which configurations get another seed: bool [C], none where the line is settled.

    Where the verdict is open these are both ends, as far as rise or fall is not shown, and whatever
    may be best; where only the best β is open, whatever may be best.

    Args:
        values: [C, S], at least two seeds.
        collapsed: [C].
        margin: a loss of score too small to care for.
        level: of rise and fall.
    """
    noise = residual_noise(values, members=~collapsed)
    seen = evidence(values, collapsed, noise=noise, level=level)
    found = np.zeros(len(values), dtype=np.bool_)
    is_open = str(verdicts(seen, level=level)) == Verdict.NOT_RESOLVED
    if is_open and len(values) > 1:
        found[0] = seen.p_rise > level
        found[-1] = seen.p_fall > level
    able = may_be_best(values, noise, able=~collapsed)
    if is_open or not is_settled(values, noise, able, margin=margin):
        found |= able
    return found


def is_settled(values: Floats, noise: Noise, may_be: Bools, *, margin: float) -> bool:
    """Whether the best β is known: two neighbours may be, or none loses more than the margin.

    Args:
        values: [C, S].
        noise: of the line.
        may_be: which configurations may be best, with 95 % confidence, [C].
        margin: a loss of score too small to care for.
    """
    among = np.flatnonzero(may_be)
    if among[-1] - among[0] <= 1:
        return True
    best = int(np.nanargmax(np.where(may_be, configuration_means(values), -np.inf)))
    t = critical_t(values, noise, configurations=may_be, end=best, level=1 - CONFIDENCE)
    above = differences(values, noise, end=best)
    lost = (above.mean + t * above.error)[may_be & (np.arange(len(may_be)) != best)]
    return bool((lost <= margin).all())
