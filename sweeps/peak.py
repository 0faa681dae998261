"""Where the best β of a line lies, how sure that is, what it is worth, and which β to try next.

Only complete cells count: hand over `line.finished()`.
"""

import math
from dataclasses import dataclass

import numpy as np

from sweeps.contrasts import Bools, Floats, p_some_above, residual_noise
from sweeps.curve import CONFIDENCE, Line, cell_means


@dataclass(frozen=True)
class BetaRange:
    """The β among those tried that may be best, from `low` to `high`, and the same in β_norm.

    Open at an end of the grid: the best β may lie beyond it.
    """

    low: float
    high: float
    norm_low: float
    norm_high: float
    open_low: bool
    open_high: bool


def best_range(line: Line, *, confidence: float = CONFIDENCE) -> BetaRange:
    """Return the range of β that holds the best of those tried with at least this confidence."""
    may_be = np.flatnonzero(may_be_best(line.values, line.collapsed, confidence=confidence))
    low, high = int(may_be[0]), int(may_be[-1])
    return BetaRange(
        low=float(line.betas[low]),
        high=float(line.betas[high]),
        norm_low=float(line.beta_norms[low]),
        norm_high=float(line.beta_norms[high]),
        open_low=low == 0,
        open_high=high == len(line.betas) - 1,
    )


def may_be_best(values: Floats, collapsed: Bools, *, confidence: float = CONFIDENCE) -> Bools:
    """Return the cells that cannot be told from the best: bool [..., C].

    Subset selection (Gupta, 1965): a cell stays unless some other is significantly higher, by
    the many-to-one comparison. The best cell is among those left with at least this confidence,
    the choice of the highest mean included. Values are [..., C, S].
    """
    noise = residual_noise(values, members=~collapsed)
    everyone = np.ones(len(collapsed), dtype=np.bool_)
    p = [p_some_above(values, noise, cells=everyone, end=end) for end in range(len(collapsed))]
    return np.asarray(np.stack(p, axis=-1) > 1 - confidence)


def left_out_score(values: Floats) -> Floats:
    """Return what the chosen β scores on seeds that did not choose it: [..., C, S] -> [...].

    The mean of the highest cell is optimistic, since noise helped to choose it. Each seed in turn
    is left out (Stone, 1974): the others choose the cell, the seed left out scores it. Only seeds
    that every cell has take part; NaN with fewer than two.
    """
    shared = np.isfinite(values).all(axis=tuple(range(values.ndim - 1)))
    common = values[..., shared]
    if common.shape[-1] < 2:
        return np.full(values.shape[:-2], np.nan)
    others = (common.sum(axis=-1, keepdims=True) - common) / (common.shape[-1] - 1)
    chosen = others.argmax(axis=-2, keepdims=True)  # [..., 1, S]
    return np.asarray(np.take_along_axis(common, chosen, axis=-2).mean(axis=(-2, -1)))


def next_beta(line: Line) -> float | None:
    """Return the β to try next if the best lies at the border of the grid, else None.

    The border on the right is where the latent layer collapses, or else the largest β. Beyond the
    grid it goes on by the last step in log β; before a collapsed cell it halves the gap.
    """
    betas, best = line.betas, int(np.argmax(cell_means(line.values)))
    if best + 1 < len(betas) and line.collapsed[best + 1]:
        return _short(math.sqrt(betas[best] * betas[best + 1]))
    if best == len(betas) - 1:
        return _short(betas[-1] * (betas[-1] / betas[-2] if len(betas) > 1 else 2.0))
    return _short(betas[0] * betas[0] / betas[1]) if best == 0 else None


def _short(beta: float) -> float:
    return float(f"{beta:.2g}")
