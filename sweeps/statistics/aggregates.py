"""Ways to sum up the seeds of a cell, by name, and what each does to the verdict.

A mean has a t-test: its row is the judgement on the line. The others have none, so their noise is
found by a bootstrap of the whole recipe. Seeds of one cell are too few to draw from (three of them
cover 69 % instead of 95 %): the deviations from the cell means are pooled over the cells of the
line.

Shapes: C cells in order of β, S seeds, E evaluations of a seed (classifiers trained anew on the
same codes), B bootstrap draws.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sweeps.analysis.curve import CONFIDENCE, Cell, Line, best_index, pooled_spread
from sweeps.statistics.contrasts import Bools, Floats
from sweeps.statistics.inverted_u import (
    LEVEL,
    Evidence,
    Judgement,
    Verdict,
    is_crowded,
    parts,
    verdicts,
)

DRAWS = 2000

Aggregate = Callable[[Floats], Floats]
"""Sums up the last axis: [..., S * E] -> [...]."""


def mean(values: Floats) -> Floats:
    """Return the mean."""
    return np.asarray(values.mean(axis=-1))


def median(values: Floats) -> Floats:
    """Return the median."""
    return np.asarray(np.median(values, axis=-1))


def higgins2017(values: Floats) -> Floats:
    """Return the mean of the upper half (Higgins et al., 2017, appendix A.4).

    The paper trains ten replicas, evaluates each three times, and discards the lower half of the
    thirty scores; of an odd number the middle one stays.

    >>> float(higgins2017(np.array([0.1, 0.9, 0.7])))
    0.8
    """
    return mean(np.sort(values, axis=-1)[..., values.shape[-1] // 2 :])


AGGREGATES: Mapping[str, Aggregate] = {
    "mean": mean,
    "median": median,
    "higgins2017": higgins2017,
}


@dataclass(frozen=True)
class Summary:
    """One line summed up one way: its best β, what it scores, with interval, and the verdict."""

    aggregate: str
    beta: float
    value: float
    low: float
    high: float
    verdict: Verdict


def summarise(
    line: Line, *, judged: Judgement, evaluations: Floats | None = None
) -> tuple[Summary, ...]:
    """Return the line summed up by every aggregate; empty where it cannot be.

    Args:
        line: the line of one score; its complete cells and the seeds they share are used.
        judged: the judgement on it, which the mean repeats; where it says that the score is
            saturated, so do all.
        evaluations: [C, S, E], the single evaluations of the line's seeds, if they were kept.
    """
    single = line.values[..., None] if evaluations is None else evaluations
    done = single[line.complete]
    shared = done[:, np.isfinite(done).all(axis=(0, 2))]
    collapsed = line.collapsed[line.complete]
    if judged.best is None or shared.shape[1] < 2 or (~collapsed).sum() < 2:
        return ()  # a single cell of few seeds has too few deviations to draw from
    betas = line.betas[line.complete]
    found = [_by_bootstrap(name, betas, shared, collapsed) for name in AGGREGATES if name != "mean"]
    if judged.verdict is Verdict.SATURATED:
        found = [replace(one, verdict=judged.verdict) for one in found]
    return (_mean(judged.best, judged.verdict), *found)


def _mean(best: Cell, verdict: Verdict) -> Summary:
    return Summary("mean", best.beta, best.mean, best.low, best.high, verdict)


def _by_bootstrap(name: str, betas: Floats, values: Floats, collapsed: Bools) -> Summary:
    aggregate = AGGREGATES[name]
    cells, scatter = aggregate(_flat(values)), float(_scatter(values, collapsed))
    draws = _null_draws(values, collapsed, aggregate)  # [B, C]
    tails = (1 + np.array([CONFIDENCE, -CONFIDENCE])) / 2
    best = best_index(cells, collapsed)
    low, high = cells[best] - scatter * np.quantile(draws - draws.mean(), tails)
    return Summary(
        aggregate=name,
        beta=float(betas[best]),
        value=float(cells[best]),
        low=float(low),
        high=float(high),
        verdict=Verdict(str(verdicts(_evidence(cells, collapsed, draws, scatter)))),
    )


def _evidence(cells: Floats, collapsed: Bools, draws: Floats, scatter: float) -> Evidence:
    """Return what `verdict.evidence` does, with the bootstrap in place of the t distribution."""
    first, last, between = parts(collapsed)
    open_cells, quiet = ~collapsed, np.flatnonzero(collapsed)

    def p_some_above(chosen: Bools, end: int) -> Floats:
        if not chosen.any():
            return np.ones(())
        highest = draws[:, chosen].max(axis=-1) - draws[:, end]
        above = highest * scatter >= cells[chosen].max() - cells[end]
        return np.asarray((1 + above.sum()) / (len(draws) + 1))

    allowance = scatter * np.quantile(draws[:, first] - draws[:, last], 1 - LEVEL / 2)
    bump = cells[between] - max(cells[first], cells[last])
    return Evidence(
        p_rise=p_some_above(between, first),
        p_fall=p_some_above(between, last),
        p_collapse=p_some_above(open_cells, int(quiet[-1])) if len(quiet) else np.ones(()),
        no_bump=np.asarray(between.any() and (bump + allowance < scatter).all()),
        saturated=is_crowded(cells),
    )


def _null_draws(values: Floats, collapsed: Bools, aggregate: Aggregate) -> Floats:
    """Return aggregates of cells that differ by noise only, in units of their scatter: [B, C].

    Deviations of whole seeds, with all their evaluations, are drawn from the uncollapsed cells.
    """
    cells, seeds, evaluations = values.shape
    deviations = values - values.mean(axis=(1, 2), keepdims=True)
    pool = deviations[~collapsed].reshape(-1, evaluations)
    picks = np.random.default_rng(0).integers(len(pool), size=(DRAWS, cells, seeds))
    noise = pool[picks]  # [B, C, S, E]
    scatter = _scatter(noise, collapsed)
    # of few deviations a cell may draw one again and again, and then has no scatter to go by
    known = scatter > 1e-6 * scatter.max()
    return np.asarray(aggregate(_flat(noise[known])) / scatter[known, None])


def _scatter(values: Floats, collapsed: Bools) -> Floats:
    """Return the standard deviation of a seed within its cell: [..., C, S, E] -> [...]."""
    variance = pooled_spread(values.mean(axis=-1)[..., ~collapsed, :]).variance
    return np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny))


def _flat(values: Floats) -> Floats:
    return values.reshape(*values.shape[:-2], -1)
