"""What Higgins et al. (2017) say of β, checked on a study and answered with numbers and intervals.

The paper's claims (§4.2 and fig. 6) are about the best β and latent size, about reconstruction,
and about the KL of single latents. "Not supported" is a valid answer.

Shapes: C complete configurations of a line in order of β, S seeds, B bootstrap draws.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from scipy import special  # scipy.stats takes 0.8 s to load, which the end of a study need not pay

from sweeps.analysis.best import best_index, best_range, may_win
from sweeps.analysis.curve import Curves, Line
from sweeps.labels import score_label
from sweeps.statistics.contrasts import (
    critical_t,
    differences,
    upper_bounds,
)
from sweeps.statistics.intervals import CONFIDENCE, Floats, configuration_means
from sweeps.study.trials import axis_value

ALPHA = 1 - CONFIDENCE
QUIET_NATS = 0.1  # below it a latent's KL counts as close to 0
DRAWS = 2000


class ClaimAnswer(StrEnum):
    """Where the interval lies: on the claim's side of 0, across it, or on the other side."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    CONTRADICTED = "contradicted"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class PaperClaim:
    """One claim, the answer, and the words, with an estimate and its 95 % interval if there is one.

    `latent_dim` is None where the claim is about all latent sizes at once.
    """

    claim: str
    axes: tuple[tuple[str, Any], ...]
    latent_dim: int | None
    answer: ClaimAnswer
    text: str
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan


def check_claims(
    curves: Curves, *, score: str, n_factors: int | None = None
) -> tuple[PaperClaim, ...]:
    """Check what is claimed of a score, separately for each value of the further axes.

    Args:
        curves: the lines of the trials that have ended.
        score: the disentanglement score to go by.
        n_factors: factors of the data; smaller latent sizes are shown apart.
    """
    claims = []
    pairs = _finished_pairs(curves, score)
    for _, facet in groupby(pairs, key=lambda pair: pair[0].axes):
        both = list(facet)
        claims.append(larger_layers_want_larger_beta([line for line, _ in both], n_factors))
        for scores, errors in both:
            claims.append(reconstruction_costs_score(scores, errors))
            claims.append(reconstruction_ranks_backwards(scores, errors))
    return tuple(claims)


def larger_layers_want_larger_beta(
    found: Sequence[Line], n_factors: int | None = None
) -> PaperClaim:
    """Check that the best β grows with the latent size M: slope of log β on log M above 0.

    In raw β: β_norm = β·M/N has this slope plus one, and rises even at constant β. The slope is
    Σ w log β with w = (x − x̄)/Σ(x − x̄)², x = log M; its interval takes every best β anywhere in
    its own range, the ranges holding all together with 95 % (Bonferroni). Latent sizes below the
    number of factors cannot hold them all and are shown apart.
    """
    name = "larger latent layers want larger β"
    enough = n_factors or 0
    able = [line for line in found if len(line.betas) and line.latent_dim >= enough]
    apart = [line for line in found if len(line.betas) and line.latent_dim < enough]
    bests = [f"best β {_bests(able)}"] if able else []
    if apart:
        bests.append(f"apart, with fewer latents than factors, best β {_bests(apart)}")
    if len(able) < 2:
        as_many = f" of {enough} latents or more" if enough else ""
        lacking = f"takes two latent sizes{as_many} with complete configurations, has {len(able)}"
        text = "; ".join([lacking, *bests])
        return PaperClaim(name, found[0].axes, None, ClaimAnswer.NOT_TESTABLE, text)
    x = np.log([line.latent_dim for line in able])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slope = round(float(weights @ np.log([line.betas[_best(line)] for line in able])), 9) + 0.0
    low, high = _slope_ends(weights, able)
    text = "; ".join([f"slope of log best β on log M {_numbers(slope, low, high)}", *bests])
    bounded = math.isfinite(low) or math.isfinite(high)
    answer = _answer(low, high) if bounded else ClaimAnswer.NOT_TESTABLE
    return PaperClaim(name, found[0].axes, None, answer, text, slope, low, high)


def reconstruction_costs_score(scores: Line, errors: Line) -> PaperClaim:
    """Check that the best-reconstructing r scores below the best: max_c μ_c − μ_r above 0.

    Simultaneous comparison with the best (Hsu, 1984): from max_c(d_c − t_max·se_c), at least 0, to
    max_c(d_c + t·se_c), with d_c the paired difference to r. Collapsed configurations take no part.
    """
    name = "choosing by reconstruction costs score"
    able = may_win(scores.collapsed)
    noise = scores.noise
    if noise.df < 1:
        text = "takes two seeds and two complete β with two or more active latents"
        return _of_line(scores, name, text)
    chosen = int(np.argmin(np.where(able, configuration_means(errors.values), np.inf)))
    gap = differences(scores.values, noise, end=chosen)
    t_max = critical_t(scores.values, noise, configurations=able, end=chosen, level=ALPHA / 2)
    lost = float(np.nanmax(gap.mean[able]))
    low = max(float(np.nanmax((gap.mean - t_max * gap.error)[able])), 0.0)
    bounds = upper_bounds(scores.values, noise, end=chosen, level=ALPHA / 2)
    high = float(np.nanmax(bounds[able]))
    text = (
        f"{score_label(scores.score)} lost by taking β = {scores.betas[chosen]:.4g}, which "
        f"reconstructs best, instead of β = {scores.betas[_best(scores)]:.4g}: "
        f"{_numbers(lost, low, high)}"
    )
    return _of_line(scores, name, text, lost, low, high)


def reconstruction_ranks_backwards(scores: Line, errors: Line) -> PaperClaim:
    """Check that better reconstruction goes with a lower score: Spearman's ρ below 0.

    Over the configurations with β ≤ best β only, since beyond it collapse ruins both. The best
    configuration was chosen for its score, which alone makes ρ negative, so the answer must hold
    without it. The interval is a bootstrap of the configuration means with deviations pooled over
    the configurations, score and error drawn together.
    """
    name = "up to the best β, better reconstruction goes with a lower score"
    count = _best(scores) + 1 if len(scores.betas) else 1
    both = np.stack([scores.values[:count], -errors.values[:count]])  # [2, C, S]
    both = both[
        ..., np.isfinite(both).all(axis=(0, 1))
    ]  # the seeds that all these configurations have
    if count - 1 < 4 or both.shape[-1] < 2:  # three have no order worth the name
        text = f"takes four β below the best and two seeds, has {count - 1} and {both.shape[-1]}"
        return _of_line(scores, name, text)
    means = both.mean(axis=-1)
    below = both[:, :-1]
    rho = float(_spearman(*means[:, :-1]))
    draws = _spearman(*np.moveaxis(means[:, :-1] + noise_of_means(below), 1, 0))
    low, high = (float(end) for end in np.quantile(draws, [ALPHA / 2, 1 - ALPHA / 2]))
    text = (
        f"rank correlation {float(_spearman(*means)):.3g} over {count} β up to the best, "
        f"without the best {_numbers(rho, low, high)}"
    )
    return _of_line(scores, name, text, rho, low, high, flip=True)


def informative_latents_carry_the_kl(
    latents: pd.DataFrame, *, axes: Sequence[str] = ()
) -> list[PaperClaim]:
    """Check that informative latents have a higher KL than the others, and these close to none.

    Trials are the units: within each, mean KL of the informative latents minus that of the
    others, then mean ± t over trials. Trials where all latents are alike are left out.

    Args:
        latents: a row for every latent of every complete trial of the best configurations with
            `beta`, `latent_dim`, `seed`, the axes, `kl_nats` and `informative` (bool).
        axes: swept keys beside beta, latent_dim and seed.
    """
    if not axes:
        return [_kl_claim(latents, ())]
    groups = latents.groupby(list(axes), dropna=False, sort=False)
    return [
        _kl_claim(group, tuple(zip(axes, map(axis_value, key), strict=True)))
        for key, group in groups
    ]


def noise_of_means(both: Floats) -> Floats:
    """Return noise as configuration means of S seeds have it: [K, C, S] -> [B, K, C].

    Deviations from the configuration means, inflated by √(S/(S−1)) to their true size, are pooled
    over the configurations; the K quantities of a seed are drawn together.
    """
    kinds, configurations, seeds = both.shape
    deviations = both - both.mean(axis=-1, keepdims=True)
    pool = deviations.reshape(kinds, -1) * math.sqrt(seeds / (seeds - 1))
    picks = np.random.default_rng(0).integers(pool.shape[1], size=(DRAWS, configurations, seeds))
    return np.moveaxis(pool[:, picks].mean(axis=-1), 0, 1)


def _kl_claim(latents: pd.DataFrame, axes: tuple[tuple[str, Any], ...]) -> PaperClaim:
    name = "informative latents have a high KL, the others almost none"
    trials = latents.pivot_table(
        index=["beta", "latent_dim", "seed"], columns="informative", values="kl_nats"
    )
    mixed = trials.dropna() if {True, False} <= set(trials.columns) else trials.iloc[:0]
    if len(mixed) < 2:
        text = f"takes two best models with both kinds of latents, has {len(mixed)}"
        return PaperClaim(name, axes, None, ClaimAnswer.NOT_TESTABLE, text)
    busy, quiet = mixed[True].to_numpy(np.float64), mixed[False].to_numpy(np.float64)
    gap, others = _t_interval(busy - quiet), _t_interval(quiet)
    answer = _answer(*gap[1:])
    unclear = ""
    if answer is ClaimAnswer.SUPPORTED and others[2] > QUIET_NATS:
        answer = ClaimAnswer.NOT_SUPPORTED
        unclear = f"; that the others have no more than {QUIET_NATS} is not shown"
    text = (
        f"informative latents have {_numbers(*gap)} nats more KL than the others, which have "
        f"{_numbers(*others)} nats, in {len(mixed)} of the {len(trials)} best models "
        f"that have both kinds{unclear}"
    )
    return PaperClaim(name, axes, None, answer, text, *gap)


def _finished_pairs(curves: Curves, score: str) -> Iterator[tuple[Line, Line]]:
    """Yield the line of the score and that of the reconstruction error, of the same β."""
    for scores, errors in zip(curves.lines(score), curves.lines("recon"), strict=True):
        keep = scores.complete & errors.complete
        yield scores.keep(keep), errors.keep(keep)


def _of_line(line: Line, claim: str, text: str, *numbers: float, flip: bool = False) -> PaperClaim:
    """Return a claim about one line; without numbers it is not testable."""
    answer = ClaimAnswer.NOT_TESTABLE
    if numbers:
        _, low, high = numbers
        answer = _answer(-high, -low) if flip else _answer(low, high)
    return PaperClaim(claim, line.axes, line.latent_dim, answer, text, *numbers)


def _answer(low: float, high: float) -> ClaimAnswer:
    """Return the answer to "it is above 0"."""
    if low > 0:
        return ClaimAnswer.SUPPORTED
    return ClaimAnswer.CONTRADICTED if high < 0 else ClaimAnswer.NOT_SUPPORTED


def _best(line: Line) -> int:
    return best_index(configuration_means(line.values), line.collapsed)


def _bests(found: Sequence[Line]) -> str:
    return ", ".join(f"{line.betas[_best(line)]:.4g} at M = {line.latent_dim}" for line in found)


def _slope_ends(weights: Floats, able: Sequence[Line]) -> tuple[float, float]:
    """Return the lowest and highest Σ w log β, each β within its range; open ends know no bound."""
    low = high = 0.0
    for weight, line in zip(weights, able, strict=True):
        if abs(weight) < 1e-9:
            continue
        found = best_range(line, confidence=1 - ALPHA / len(able))
        down = -math.inf if found.open_low else math.log(found.low)
        up = math.inf if found.open_high else math.log(found.high)
        ends = sorted((float(weight) * down, float(weight) * up))
        low, high = low + ends[0], high + ends[1]
    return round(low, 9), round(high, 9)  # 0, not the 4e-16 that would be above it


def _ranks(values: Floats) -> Floats:
    """Return ranks over the last axis, their mean where values are equal: [..., C] -> [..., C]."""
    one, other = values[..., :, None], values[..., None, :]
    return np.asarray((one > other).sum(axis=-1) + (one == other).sum(axis=-1) / 2)


def _spearman(a: Floats, b: Floats) -> Floats:
    """Return the rank correlation over the last axis: [..., C], [..., C] -> [...]."""
    x, y = _ranks(a), _ranks(b)
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    size = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.asarray((x * y).sum(axis=-1) / np.maximum(size, 1e-12))


def _t_interval(values: Floats) -> tuple[float, float, float]:
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(special.stdtrit(len(values) - 1, 0.5 + CONFIDENCE / 2)) * error
    return mean, mean - half, mean + half


def _numbers(estimate: float, low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return f"{estimate:.3g} (95 %: no bound)"
    return f"{estimate:.3g} (95 %: {_end(low)} to {_end(high)})"


def _end(value: float) -> str:
    return "no bound" if math.isinf(value) else f"{value:.3g}"
