"""Which configurations of a line may be the best, and what the choice is worth.

Shapes: C configurations in order of β, S seeds; leading dimensions (...) are studies.
"""

import numpy as np

from sweeps.statistics.contrasts import Noise, p_some_above
from sweeps.statistics.intervals import CONFIDENCE, Bools, Floats


def may_be_best(
    values: Floats, noise: Noise, *, able: Bools, confidence: float = CONFIDENCE
) -> Bools:
    """Return the configurations that cannot be told from the best: bool [..., C].

    Subset selection (Gupta, 1965): a configuration stays unless some other is significantly higher,
    by the many-to-one comparison. The best configuration is among those left with at least this
    confidence, the choice of the highest mean included. Only `able` [C] may be. Values are [..., C,
    S].
    """
    p = [p_some_above(values, noise, configurations=able, end=end) for end in range(len(able))]
    return np.asarray(able & (np.stack(p, axis=-1) > 1 - confidence))


def left_out_score(values: Floats) -> Floats:
    """Return what the chosen β scores on seeds that did not choose it: [..., C, S] -> [...].

    The mean of the highest configuration is optimistic, since noise helped to choose it. Each seed
    in turn is left out (Stone, 1974): the others choose the configuration, the seed left out scores
    it. Only seeds that every configuration has take part; NaN with fewer than two.
    """
    shared = np.isfinite(values).all(axis=tuple(range(values.ndim - 1)))
    common = values[..., shared]
    if common.shape[-1] < 2:
        return np.full(values.shape[:-2], np.nan)
    others = (common.sum(axis=-1, keepdims=True) - common) / (common.shape[-1] - 1)
    chosen = others.argmax(axis=-2, keepdims=True)  # [..., 1, S]
    return np.asarray(np.take_along_axis(common, chosen, axis=-2).mean(axis=(-2, -1)))
