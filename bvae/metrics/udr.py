"""UDR (Duan et al. 2020): do models that differ by their seed find the same latents? No labels.

Two disentangled models of the same images agree latent by latent, up to order, sign and latents
that are switched off; entangled ones do not. R(a, b) says how much latent a of one model has to do
with latent b of another, over a common sample of images: the absolute weight of a Lasso, or the
absolute rank correlation. A pair of models has

    UDR = ½ · (mean_b max_a R² / Σ_a R + mean_a max_b R² / Σ_b R)

over the informative latents of both, 1 where each has one partner and nothing to do with others. A
model's UDR is the median over the pairs it makes with the other seeds of its configuration.

A pair of which one has fewer than two informative latents scores 0 here. In the paper it would come
near 1: there is nothing a single latent could be entangled with, and the largest β would win.

UDR asks how well the informative latents agree, not how many there are: it may grow for as long as
β switches latents off. Read the number of active latents beside it.

Source: Duan et al. 2020, "Unsupervised model selection for variational disentangled representation
learning", §4, as in disentanglement_lib: Lasso with α = 0.1 on standardised codes, each model
explained by each other one; latents of a KL up to 0.01 nats are left out.

Shapes: S models, n images, M latents of a model (models may differ in it).
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bvae.exceptions import DataError
from bvae.metrics.latents import informative_latents
from bvae.metrics.scores import LASSO_ALPHA, UDR

Floats = NDArray[np.float64]
Relate = Callable[[Floats, Floats], Floats]
"""Gives R [M, M'] of standardised codes [n, M] that explain and [n, M'] that are explained."""

N_ROWS = 10_000  # images compared, drawn once; more change the third decimal
MIN_LATENTS = 2  # informative ones, without which a model has collapsed
TOLERANCE = 1e-10  # of the Lasso's duality gap: weights are right to 1e-8
MAX_ITERATIONS = 10_000  # of the Lasso; codes correlated by 0.95 need more than its default, 1000


class Posteriors(NamedTuple):
    """Means and log-variances [n, M] of the same n images by one model."""

    mu: ArrayLike
    logvar: ArrayLike


def udr(models: Sequence[Posteriors]) -> list[dict[str, float]]:
    """Score each of S >= 2 models of one configuration: `udr` and `udr_spearman`.

    Range 0 (nothing in common, or a collapsed model) to 0.9 for `udr`, which is what a Lasso
    leaves of equal codes, and to 1 for `udr_spearman`.

    Raises:
        DataError: there are fewer than two models, or they are not of the same images.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(4000, 3))
        >>> one, two = Posteriors(z, 0 * z - 3), Posteriors(-z[:, [2, 0, 1]], 0 * z - 3)
        >>> [round(score["udr"], 2) for score in udr([one, two])]
        [0.9, 0.9]
    """
    _check(models)
    codes = [_informative(one) for one in models]
    pairs = {
        UDR: _pairwise([_standardised(one) for one in codes], _lasso),
        "udr_spearman": _pairwise([_ranked(one) for one in codes], _correlation),
    }
    others = ~np.eye(len(models), dtype=bool)
    return [
        {name: float(np.median(values[i, others[i]])) for name, values in pairs.items()}
        for i in range(len(models))
    ]


def _check(models: Sequence[Posteriors]) -> None:
    if len(models) < 2:
        raise DataError(f"UDR compares seeds: expected at least two models, but got {len(models)}")
    shapes = [np.shape(array) for one in models for array in one]
    if any(len(shape) != 2 or shape[0] != shapes[0][0] for shape in shapes):
        raise DataError(f"UDR: expected codes [n, M] of the same n images, but got {shapes}")


def _informative(codes: Posteriors) -> Floats:
    """Means [n', M'] of the informative latents, for the sample of images that is compared."""
    mu = np.asarray(codes.mu, np.float64)[:, informative_latents(codes.mu, codes.logvar)]
    if len(mu) <= N_ROWS:
        return mu
    # not every k-th: rows may be a lattice, in which that is always the same class of a factor
    rows = np.random.default_rng(0).choice(len(mu), N_ROWS, replace=False)
    return np.asarray(mu[np.sort(rows)])


def _standardised(codes: Floats) -> Floats:
    centred = codes - codes.mean(axis=0)
    spread = centred.std(axis=0)
    return np.asarray(centred / np.where(spread > 0, spread, 1.0))


def _ranked(codes: Floats) -> Floats:
    from scipy.stats import rankdata  # 0.8 s, which importing this module need not cost

    return _standardised(rankdata(codes, axis=0))


def _pairwise(models: Sequence[Floats], relate: Relate) -> Floats:
    """UDR [S, S] of every two models, explained either way; symmetric."""
    count = len(models)
    found = np.full((count, count), np.nan)
    for i in range(count):
        for j in range(i):
            there = strength(relate(models[i], models[j]))
            back = strength(relate(models[j], models[i]))
            found[i, j] = found[j, i] = (there + back) / 2
    return found


def strength(relation: Floats) -> float:
    """Say how nearly R [M, M'] is one partner for each latent: ½ Σ over both sides of mean max²/Σ.

    0 where either model has fewer than two informative latents; a latent related to none counts 0.
    """
    if min(relation.shape) < MIN_LATENTS:
        return 0.0
    sides = []
    for axis in (0, 1):
        best, total = relation.max(axis=axis), relation.sum(axis=axis)
        share = np.divide(best**2, total, out=np.zeros_like(best), where=total > 0)
        sides.append(share.mean())
    return float(np.mean(sides))


def as_independent(values: Floats) -> Floats:
    """Return values of seeds whose standard deviation is that of independent ones: [C, S].

    The UDR of two seeds of a configuration share a pair, and with two seeds all of it, so that
    they vary less than they should for an interval of the mean. A mean over pairs is a
    U-statistic of order two, with the jackknife's pseudo-values
    U + 2 (S - 1) / (S - 2) · (u_i - U), u_i that of seed i: the same mean U, with the variance it
    has. Two seeds are one value, without a variance.

    Source: Efron & Stein 1981, "The jackknife estimate of variance"; medians over pairs are taken
    for the means that they resemble.

    Example:
        >>> as_independent(np.array([[0.5, 0.6, 0.7], [0.4, 0.4, np.nan]])).round(3).tolist()
        [[0.2, 0.6, 1.0], [0.4, nan, nan]]
    """
    result = np.full_like(values, np.nan)
    for row, seen in zip(result, values, strict=True):
        there = np.flatnonzero(np.isfinite(seen))
        mean, count = seen[there].mean() if len(there) else np.nan, len(there)
        if count > 2:
            row[there] = mean + 2 * (count - 1) / (count - 2) * (seen[there] - mean)
        elif count:
            row[there[0]] = mean
    return result


def _correlation(explaining: Floats, explained: Floats) -> Floats:
    return np.asarray(np.abs(explaining.T @ explained) / len(explaining))


def _lasso(explaining: Floats, explained: Floats) -> Floats:
    """|w| [M, M'] of w minimising ‖y - X w‖² / (2n) + α ‖w‖₁ for each y."""
    # Imported here: a second, which importing this module need not cost.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso

    if min(explaining.shape[1], explained.shape[1]) < MIN_LATENTS:
        return np.zeros((explaining.shape[1], explained.shape[1]))
    # from correlations (`precompute`), of which there are few: 20 times faster than from rows
    model = Lasso(
        alpha=LASSO_ALPHA,
        fit_intercept=False,
        precompute=True,
        tol=TOLERANCE,
        max_iter=MAX_ITERATIONS,
    )
    with warnings.catch_warnings():
        # of latents as good as equal: how they share a weight is not settled, and need not be
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(np.abs(model.fit(explaining, explained).coef_.T))
