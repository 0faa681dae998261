"""Differences between the configurations of one line, with seeds as blocks.

A seed gives every configuration the same first weights and the same batches, so scores of one seed
may lie high or low together. Model: y_cj = μ_c + b_j + e_cj for configuration c and seed j. Two
configurations are compared over the seeds they share, which removes b_j, and the variance of e is
pooled over configurations, because three seeds cannot tell their own.

Shapes: C configurations in order of β, S seeds; leading dimensions (...) are studies of equal
layout, with the same values missing (NaN).
"""

from copy import deepcopy
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy import special  # scipy.stats takes 0.8 s to load, which the end of a study need not pay

from sweeps.statistics.intervals import Bools, Floats

DRAWS = 100_000  # a p-value of .05 is then known to ±.0014


class Noise(NamedTuple):
    """Variance of e: pooled [...], with its degrees of freedom, and of each β alone [..., C]."""

    variance: Floats
    df: int
    by_configuration: Floats


class Differences(NamedTuple):
    """Mean of every configuration minus that of one, and the standard error, each [..., C]."""

    mean: Floats
    error: Floats


def residual_noise(values: Floats, *, members: Bools) -> Noise:
    """Return the variance left by the least-squares fit of y_cj = μ_c + b_j to the members.

    s² = Σ r² / (N − rank), and for one alone Σ_j r_cj² / Σ_j q_cj with q the diagonal of the
    residual projector; configurations that are not members get the pooled value.
    """
    seen = _seen(values) & members[:, None]
    configuration, seed = np.nonzero(seen)
    projector = _residual_projector(seen.tobytes(), seen.shape)
    leverage = np.diag(projector)
    df = round(float(leverage.sum()))
    squares = (values[..., configuration, seed] @ projector) ** 2  # [..., N]
    variance = squares.sum(axis=-1) / max(df, 1)
    one_configuration = np.eye(seen.shape[0])[configuration]  # [N, C]
    weight = leverage @ one_configuration
    known = weight > 1e-9
    own = (squares @ one_configuration) / np.where(known, weight, 1.0)
    return Noise(variance, df, np.where(known, own, variance[..., None]))


def differences(values: Floats, noise: Noise, *, end: int) -> Differences:
    """Compare every configuration with `end`: d_c = mean over shared seeds of (y_cj − y_end,j).

    se_c² = (s² + max(s², s²_end)) / n_c. The end stands in every difference, so its own noise
    matters most; taking the larger variance keeps the error rate where noise grows along the line.
    """
    shared = _shared(values, end).sum(axis=-1)
    gaps = np.where(_shared(values, end), values - values[..., end : end + 1, :], 0.0)
    count = np.where(shared > 0, shared, np.nan)
    end_variance = np.maximum(noise.variance, noise.by_configuration[..., end])
    variance = (noise.variance + end_variance)[..., None] / count
    return Differences(gaps.sum(axis=-1) / count, np.sqrt(variance))


def p_some_above(values: Floats, noise: Noise, *, configurations: Bools, end: int) -> Floats:
    """Return the p-value [...] of max_c μ_c ≤ μ_end: small if some configuration is higher.

    Many-to-one comparison (Dunnett, 1955): the largest t = d_c / se_c against the distribution
    of the largest of as many correlated t, so that choosing the highest configuration is paid for.
    """
    chosen = _comparable(values, configurations, end)
    if noise.df < 1 or not chosen.any():
        return np.ones(values.shape[:-2])
    mean, error = differences(values, noise, end=end)
    t = _ratio(mean, error)[..., chosen].max(axis=-1)
    sample = largest_t(_correlation(values, chosen, end), noise.df)
    return np.asarray(1 - np.searchsorted(sample, t) / (len(sample) + 1))


def critical_t(
    values: Floats, noise: Noise, *, configurations: Bools, end: int, level: float
) -> float:
    """Return what the largest t exceeds with probability `level` if all means are equal."""
    chosen = _comparable(values, configurations, end)
    if noise.df < 1 or not chosen.any():
        return float("inf")
    sample = largest_t(_correlation(values, chosen, end), noise.df)
    return float(np.quantile(sample, 1 - level))


def upper_bounds(values: Floats, noise: Noise, *, end: int, level: float) -> Floats:
    """Return, for each alone, a bound that μ_c − μ_end exceeds with probability `level`."""
    mean, error = differences(values, noise, end=end)
    return mean + special.stdtrit(max(noise.df, 1), 1 - level) * error


@lru_cache(maxsize=16)
def _residual_projector(seen: bytes, shape: tuple[int, int]) -> Floats:
    """Return what takes the N values seen [C, S] to their residuals, [N, N].

    Every score of a study has the same layout, and 50 β with 10 seeds take a fifth of a second.
    """
    configuration, seed = np.nonzero(np.frombuffer(seen, dtype=np.bool_).reshape(shape))
    design = np.concatenate(
        [np.eye(shape[0])[configuration], np.eye(shape[1])[seed]], axis=1
    )  # [N, C + S]
    projector: Floats = np.eye(len(configuration)) - design @ np.linalg.pinv(design)
    projector.flags.writeable = False
    return projector


def _seen(values: Floats) -> Bools:
    """Return where values are present in every study: bool [C, S]."""
    return np.asarray(np.isfinite(values).all(axis=tuple(range(values.ndim - 2))), dtype=np.bool_)


def _shared(values: Floats, end: int) -> Bools:
    seen = _seen(values)
    return np.asarray(seen & seen[end])


def _comparable(values: Floats, configurations: Bools, end: int) -> Bools:
    others = np.arange(len(configurations)) != end
    return np.asarray(configurations & others & _shared(values, end).any(axis=-1))


def _correlation(values: Floats, chosen: Bools, end: int) -> tuple[tuple[float, ...], ...]:
    """Return the correlation of the differences: n_both / (2 √(n_c n_c')), ½ if none is missing."""
    shared = _shared(values, end)[chosen].astype(np.float64)
    count = shared.sum(axis=-1)
    matrix = (shared @ shared.T) / (2 * np.sqrt(np.outer(count, count)))
    np.fill_diagonal(matrix, 1.0)
    return tuple(tuple(row) for row in matrix.round(9).tolist())


@lru_cache(maxsize=64)
def largest_t(correlation: tuple[tuple[float, ...], ...], df: int) -> Floats:
    """Return the sorted largest values of draws from a multivariate t, always the same ones."""
    normal, rng = _largest_normal(correlation)
    return np.sort(normal / np.sqrt(deepcopy(rng).chisquare(df, DRAWS) / df))


@lru_cache(maxsize=16)
def _largest_normal(correlation: tuple[tuple[float, ...], ...]) -> tuple[Floats, Generator]:
    """Return the largest values of draws from a multivariate normal, and the generator after them.

    As `Generator.multivariate_normal` draws them, but with a row for each variable: a maximum over
    five columns takes fifty times as long as one over five rows.
    """
    rng = np.random.default_rng(0)
    rows = np.ascontiguousarray(rng.standard_normal((DRAWS, len(correlation))).T)
    variances, vectors = np.linalg.eigh(np.array(correlation))
    factor = vectors * np.sqrt(np.abs(variances))
    largest = np.full(DRAWS, -np.inf)
    for weights in factor:  # no matrix product: BLAS starts threads, which a busy machine waits for
        np.maximum(largest, sum(w * row for w, row in zip(weights, rows, strict=True)), out=largest)
    return largest, rng


def _ratio(mean: Floats, error: Floats) -> Floats:
    """Return mean / error; a difference without any noise is infinitely clear, none is none."""
    clear = np.where(mean > 0, np.inf, np.where(mean < 0, -np.inf, 0.0))
    return np.asarray(np.where(error > 0, mean / np.where(error > 0, error, 1.0), clear))
