"""Where the best β of a line lies, how sure that is, what it is worth, and which β to try next.

Complete cells are compared; the grid they lie in is that of all β with a score, of which a search
completes one or two.
"""

import math
from dataclasses import dataclass

import numpy as np

from sweeps.analysis.curve import CONFIDENCE, Line, best_index, cell_means, may_win
from sweeps.statistics.contrasts import Bools, Floats, p_some_above, residual_noise


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
    """Return the range of β that holds the best of the complete cells with this confidence."""
    done, tried = line.finished(), _tried(line).betas
    may_be = np.flatnonzero(may_be_best(done.values, done.collapsed, confidence=confidence))
    low, high = may_be[0], may_be[-1]
    return BetaRange(
        low=float(done.betas[low]),
        high=float(done.betas[high]),
        norm_low=float(done.beta_norms[low]),
        norm_high=float(done.beta_norms[high]),
        open_low=bool(done.betas[low] == tried[0]),
        open_high=bool(done.betas[high] == tried[-1]),
    )


def may_be_best(values: Floats, collapsed: Bools, *, confidence: float = CONFIDENCE) -> Bools:
    """Return the cells that cannot be told from the best: bool [..., C].

    Subset selection (Gupta, 1965): a cell stays unless some other is significantly higher, by
    the many-to-one comparison. The best cell is among those left with at least this confidence,
    the choice of the highest mean included. Collapsed cells take no part. Values are [..., C, S].
    """
    noise = residual_noise(values, members=~collapsed)
    able = may_win(collapsed)
    p = [p_some_above(values, noise, cells=able, end=end) for end in range(len(collapsed))]
    return np.asarray(able & (np.stack(p, axis=-1) > 1 - confidence))


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
    """Return the β to try next if the best complete cell lies at the border, else None.

    The border on the right is where the latent layer collapses, or else the largest β with a score.
    Beyond the grid it goes on by the last step in log β; before a collapsed cell it halves the gap.
    Rounded to two digits it may be one of the line's own, and then there is nothing to try.
    """
    done, tried = line.finished(), _tried(line)
    best = done.betas[best_index(cell_means(done.values), done.collapsed)]
    found = _beyond(tried, int(np.searchsorted(tried.betas, best)))
    beta = None if found is None else float(f"{found:.2g}")
    return None if beta in line.betas else beta


def _tried(line: Line) -> Line:
    """Return the line with the cells that have a score of some seed."""
    return line.keep(np.asarray(np.isfinite(line.values).any(axis=-1)))


def _beyond(tried: Line, best: int) -> float | None:
    """Return the β beyond cell number `best`, if it is at the border and has not collapsed."""
    betas, collapsed = tried.betas, tried.collapsed
    if collapsed[best]:
        return None
    if best + 1 < len(betas) and collapsed[best + 1]:
        return math.sqrt(betas[best] * betas[best + 1])
    if best == len(betas) - 1:
        return float(betas[-1] * (betas[-1] / betas[-2] if len(betas) > 1 else 2.0))
    return float(betas[0] * betas[0] / betas[1]) if best == 0 else None
