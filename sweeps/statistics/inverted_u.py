"""Is the line an inverted U? The evidence, a verdict, and the same in words.

The score must rise from the smallest β to some cell between, and fall from some cell between to
the largest β at which the latent layer has not collapsed. Each is tested at 5 %, the choice of the
cell between included; "yes" needs both (intersection-union test: Berger, 1982), so that it is
wrong in at most 5 % of studies whose true line is flat, only rises, only falls, or has a dip.

Shapes: C complete cells in order of β, S seeds; leading dimensions (...) are studies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bvae.metrics.scores import UDR_NAMES
from sweeps.analysis.curve import Cell, Line, best_cell, cell_means, lines, may_win
from sweeps.statistics.contrasts import (
    Bools,
    Floats,
    Noise,
    critical_t,
    differences,
    p_some_above,
    residual_noise,
    upper_bounds,
)
from sweeps.statistics.peak import BetaRange, best_range, left_out_score, next_beta

LEVEL = 0.05
POWER = 0.8
CEILING = 0.97  # a quarter of the cells above it: the score no longer tells them apart
CROWDED = 0.25
STRICTER = ("mig", "dci_disentanglement", "sap", "factor_vae")


class Verdict(StrEnum):
    """What can be said of a line."""

    YES = "yes"
    NO = "no"
    COLLAPSE_ONLY = "collapse only"
    SATURATED = "saturated"
    NOT_RESOLVED = "not resolved"


class Evidence(NamedTuple):
    """What the seeds say of a line, each [...].

    `p_rise`, `p_fall`: some cell between is above the smallest, the largest uncollapsed β.
    `p_collapse`: some uncollapsed cell is above the collapsed cell of largest β.
    `no_bump`: no cell between is higher than both ends by the scatter of one seed or more.
    """

    p_rise: Floats
    p_fall: Floats
    p_collapse: Floats
    no_bump: Bools
    saturated: Bools


@dataclass(frozen=True)
class Judgement:
    """The verdict on one line, with its best β and what would settle it.

    `best_range` holds the best β among those tried with 95 % confidence, None of a single β;
    `left_out_score` is what the choice is worth on seeds that did not make it, beside the
    optimistic `best.mean`. It is NaN of UDR: no seed has one of its own.
    `more_seeds` is a cell's; `n_incomplete` cells were left aside.
    """

    axes: tuple[tuple[str, Any], ...]
    latent_dim: int
    score: str
    verdict: Verdict
    text: str
    n_incomplete: int
    best: Cell | None = None
    best_range: BetaRange | None = None
    left_out_score: float = math.nan
    next_beta: float | None = None
    more_seeds: int | None = None


def judge_all(
    frame: pd.DataFrame, *, score_names: Sequence[str], axes: Sequence[str] = ()
) -> list[Judgement]:
    """Judge every line of the chart; the arguments are those of `curve`.

    A score that is saturated over all cells of the study is so on each of its lines.
    """
    found = list(lines(frame, score_names=score_names, axes=axes))
    crowded = {
        score: is_saturated([at for at in found if at.score == score]) for score in score_names
    }
    others = tuple(frame.columns)
    return [judge(at, other_scores=others, saturated=crowded[at.score]) for at in found]


def is_saturated(of_score: Sequence[Line]) -> bool:
    """Whether more than a quarter of the complete cells of these lines have a mean above .97."""
    means = [cell_means(line.values) for line in (at.finished() for at in of_score)]
    cells = np.concatenate(means) if means else np.zeros(0)
    return bool(cells.size and is_crowded(cells))


def is_crowded(cells: Floats) -> Bools:
    """Return whether more than a quarter of the cells [..., C] lie above .97: [...]."""
    return np.asarray((cells > CEILING).mean(axis=-1) > CROWDED)


def judge(line: Line, *, other_scores: Sequence[str] = (), saturated: bool = False) -> Judgement:
    """Return the verdict on one line.

    Args:
        line: a score against β at one latent size.
        other_scores: those a saturated one may be sent to.
        saturated: whether the score is known to be, from the other lines of the study.
    """
    done = line.finished()
    nothing = Judgement(
        axes=line.axes,
        latent_dim=line.latent_dim,
        score=line.score,
        verdict=Verdict.NOT_RESOLVED,
        text="no cell is complete yet",
        n_incomplete=int((~line.complete).sum()),
    )
    if len(done.betas) == 0:
        return nothing
    seen = evidence(done.values, done.collapsed)
    verdict = Verdict.SATURATED if saturated else Verdict(str(verdicts(seen)))
    more_seeds = _more_seeds(done, verdict)
    return replace(
        nothing,
        verdict=verdict,
        text=_text(done, seen, verdict, more_seeds, other_scores),
        best=best_cell(line),
        best_range=best_range(line) if len(done.betas) > 1 else None,
        left_out_score=_left_out_score(done),
        next_beta=next_beta(line),
        more_seeds=more_seeds,
    )


def evidence(values: Floats, collapsed: Bools) -> Evidence:
    """Return what the values [..., C, S] say; `collapsed` is bool [C]."""
    noise = residual_noise(values, members=~collapsed)
    first, last, between = parts(collapsed)
    quiet = np.flatnonzero(collapsed)
    nothing = np.ones(values.shape[:-2])
    return Evidence(
        p_rise=p_some_above(values, noise, cells=between, end=first),
        p_fall=p_some_above(values, noise, cells=between, end=last),
        p_collapse=p_some_above(values, noise, cells=~collapsed, end=int(quiet[-1]))
        if len(quiet)
        else nothing,
        no_bump=_no_bump(values, noise, collapsed),
        saturated=is_crowded(cell_means(values)),
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


def seeds_to_settle(values: Floats, collapsed: Bools) -> Floats:
    """Return the seeds a cell [...] at which about 80 % of such studies have a verdict.

    With h the observed height of the bump over the higher end, s the scatter of one seed, t the
    critical value and z the normal quantile of the power, "yes" takes n = 2 s² (t + z)² / h² and
    "no" takes n = 2 s² (t + z)² / (s − h)²; the smaller counts. NaN with fewer than three β
    without collapse, where seeds cannot settle it.
    """
    first, last, between = parts(collapsed)
    if not between.any():
        return np.full(values.shape[:-2], np.nan)
    noise = residual_noise(values, members=~collapsed)
    if noise.df < 1:
        return np.full(values.shape[:-2], 3.0)
    gaps = [differences(values, noise, end=end).mean[..., between] for end in (first, last)]
    h = np.nan_to_num(np.minimum(*gaps)).max(axis=-1)  # unknown without a shared seed: nothing
    s = np.sqrt(noise.variance)
    z = stats.norm.ppf(POWER)
    t_yes = critical_t(values, noise, cells=between, end=last, level=LEVEL)
    t_no = stats.t.ppf(1 - LEVEL / 2, noise.df)
    smallest = 1e-6 * s + 1e-12  # a bump below it would take for ever
    yes = 2 * (s * (t_yes + z) / np.maximum(h, smallest)) ** 2
    no = 2 * (s * (t_no + z) / np.maximum(s - h, smallest)) ** 2
    return np.asarray(np.minimum(yes, no))


def parts(collapsed: Bools) -> tuple[int, int, Bools]:
    """Return the first and last uncollapsed cell, and the cells between: bool [C]."""
    open_cells = np.flatnonzero(~collapsed)
    first, last = (int(open_cells[0]), int(open_cells[-1])) if len(open_cells) else (0, 0)
    index = np.arange(len(collapsed))
    return first, last, np.asarray(~collapsed & (index > first) & (index < last))


def _no_bump(values: Floats, noise: Noise, collapsed: Bools) -> Bools:
    """Return whether every cell between is below first or last + one seed's scatter: [...].

    For each cell the smaller of its two upper bounds counts, each at half the level.
    """
    first, last, between = parts(collapsed)
    if noise.df < 1 or not between.any():
        return np.zeros(values.shape[:-2], dtype=np.bool_)
    bounds = [upper_bounds(values, noise, end=end, level=LEVEL / 2) for end in (first, last)]
    height = np.minimum(*bounds)[..., between]
    return np.asarray((height < np.sqrt(noise.variance)[..., None]).all(axis=-1))


def _left_out_score(done: Line) -> float:
    if done.score in UDR_NAMES:  # the score of the seed left out is made of pairs that chose
        return math.nan
    return float(left_out_score(done.values[may_win(done.collapsed)]))


def _more_seeds(done: Line, verdict: Verdict) -> int | None:
    total = float(seeds_to_settle(done.values, done.collapsed))
    if verdict not in (Verdict.NOT_RESOLVED, Verdict.COLLAPSE_ONLY) or math.isnan(total):
        return None
    have = int(np.isfinite(done.values).all(axis=0).sum())  # seeds that every cell has
    return max(math.ceil(total) - have, 1)


def _text(
    done: Line, seen: Evidence, verdict: Verdict, more_seeds: int | None, scores: Sequence[str]
) -> str:
    _, _, between = parts(done.collapsed)
    if verdict is Verdict.SATURATED:
        return _saturated(done, scores)
    if verdict is Verdict.COLLAPSE_ONLY:
        return _collapse_only(done, seen, more_seeds)
    if not between.any():
        return f"takes three β with two or more active latents, has {(~done.collapsed).sum()}"
    if verdict is Verdict.YES:
        return f"rise and fall are both shown: {_course(done, seen)}"
    if verdict is Verdict.NO:
        scatter = math.sqrt(residual_noise(done.values, members=~done.collapsed).variance)
        return f"no bump as high as the scatter of one seed ({scatter:.2g}): {_course(done, seen)}"
    return f"needs about {_seeds(more_seeds)} a cell: {_course(done, seen)}"


def _saturated(done: Line, scores: Sequence[str]) -> str:
    above = int((cell_means(done.values) > CEILING).sum())
    stricter = [name for name in STRICTER if name in scores and name != done.score]
    look = f"look at {stricter[0]}" if stricter else "this study has no stricter score"
    return f"{above} of {len(done.betas)} cells exceed {CEILING} and cannot be told apart: {look}"


def _collapse_only(done: Line, seen: Evidence, more_seeds: int | None) -> str:
    beta = done.betas[np.flatnonzero(done.collapsed)[0]]
    text = f"no fall is shown before the collapse at β = {beta:.4g}: {_course(done, seen)}"
    if more_seeds is None:
        return text
    return f"{text}; about {_seeds(more_seeds)} a cell would tell"


def _course(done: Line, seen: Evidence) -> str:
    """Return the score at the first, the best and the last uncollapsed β, with both p-values."""
    first, last, between = parts(done.collapsed)
    means = cell_means(done.values)
    notes = {first: "", last: ""}
    if between.any():
        top = int(np.argmax(np.where(between, means, -np.inf)))
        rise, fall = f" (rise: {_p(seen.p_rise)})", f" (fall: {_p(seen.p_fall)})"
        notes = {first: "", top: rise, last: fall}
    return ", ".join(f"{means[i]:.3f} at β = {done.betas[i]:.4g}{n}" for i, n in notes.items())


def _seeds(more: int | None) -> str:
    return "1 more seed" if more == 1 else f"{more} more seeds"


def _p(value: Floats) -> str:
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"
