"""Modularity and explicitness (Ridgeway & Mozer 2018): is a latent about one factor?

Shapes: n rows, M latents, K factors, C classes.
"""

import numpy as np
from numpy.typing import NDArray

from bvae.exceptions import DataError
from bvae.metrics.evaluation import Evaluation
from bvae.metrics.mutual_information import mutual_information
from bvae.metrics.protocols import N_BINS
from bvae.metrics.softmax import fitted, standardised
from bvae.metrics.split import Split, split
from bvae.metrics.table import CodeTable, Floats, Ints


def modularity(table: CodeTable, *, n_bins: int = N_BINS) -> Evaluation:
    """Mean over latents of 1 - Σ_{k ≠ k*} I(z_j; v_k)² / ((K - 1) I(z_j; v_k*)²).

    k* is the factor that the latent has most information on; I is that of latents cut into
    `n_bins` bins, over all rows: nothing is random. A latent without information counts as 0.

    Range 0 … 1; ceiling 1; chance 0, the value of a constant code. A latent of pure noise is not
    at 0: the estimates of its I are small but unequal. `bvae.metrics.latents` says which latents
    are worth asking.

    Source: Ridgeway & Mozer 2018, "Learning deep disentangled embeddings with the F-statistic
    loss", §3; bins as in Locatello et al. 2019.

    Raises:
        DataError: the table has a single factor.

    Example:
        >>> from bvae.metrics.table import code_table
        >>> factors = np.indices((3, 4, 5)).reshape(3, -1).T
        >>> round(modularity(code_table(factors * 1.0, factors)).value, 9)
        1.0
    """
    table.require_two_factors()
    squares = mutual_information(table, n_bins=n_bins) ** 2
    best = squares.max(axis=1)
    others = (squares.sum(axis=1) - best) / (table.n_factors - 1)
    purity = np.divide(best - others, best, out=np.zeros_like(best), where=best > 0)
    return Evaluation(float(purity.mean()), 0.0)


def explicitness(
    table: CodeTable, *, n_train: int, n_eval: int, rng: np.random.Generator
) -> Evaluation:
    """Mean over factors, and over the classes of each, of the area under the one-vs-rest ROC curve.

    The classifier is a softmax regression (C = 1) on standardised codes, fitted on `n_train` rows;
    the areas are those of its class probabilities on `n_eval` rows. Classes that the evaluation
    rows lack are left out.

    Range 0 … 1; chance .5, also the value of a constant code. The ceiling is below 1 where classes
    lie on a line and the inner ones are not separable from the rest: about .99 for a perfect code
    of dSprites. It is not rescaled by chance (as in disentanglement_lib). `per_factor` is each
    factor's mean area.

    Source: Ridgeway & Mozer 2018, "Learning deep disentangled embeddings with the F-statistic
    loss", §3, with the settings of Locatello et al. 2019.

    Raises:
        DataError: too few rows to train on or to evaluate.

    Example:
        >>> from bvae.metrics.table import code_table
        >>> factors = np.indices((2, 2, 2, 50)).reshape(4, -1).T
        >>> table = code_table(factors[:, :3] * 4.0, factors[:, :3])
        >>> explicitness(table, n_train=200, n_eval=200, rng=np.random.default_rng(0)).value
        1.0
    """
    areas = np.empty(table.n_factors)
    for columns, part in table.complete_parts():
        areas[columns] = _areas(split(part, n_train=n_train, n_eval=n_eval, rng=rng))
    return Evaluation(float(np.mean(areas)), 0.5, tuple(areas.tolist()))


def _areas(parts: Split) -> list[float]:
    """The mean area of each factor [K] of a table without unknown classes."""
    train = standardised(parts.codes_train, by=parts.codes_train).astype(np.float32)
    test = standardised(parts.codes_eval, by=parts.codes_train).astype(np.float32)
    areas = []
    for y_train, y_eval in zip(parts.factors_train.T, parts.factors_eval.T, strict=True):
        if (y_eval == y_eval[0]).all():
            raise DataError(
                "Expected evaluation rows of two classes of each factor, but a class is so rare "
                f"that none of it is among {len(y_eval)} rows: score more images."
            )
        # single precision and a loose tolerance halve the time and move the areas by some 10⁻⁴
        model = fitted(train, y_train, C=1.0, tol=1e-3)
        areas.append(float(areas_under_roc(model.predict_proba(test), y_eval).mean()))
    return areas


def areas_under_roc(scores: Floats, y: Ints) -> NDArray[np.float64]:
    """Area under the ROC curve of scores[:, c] [n, C] for "y is c" (int [n]), for classes in y.

    The probability that a row of the class scores higher than a row of another, ties counting
    half (Mann & Whitney): (R_c - n_c (n_c + 1)/2) / (n_c (n - n_c)), R_c the sum of its ranks.
    """
    from scipy.stats import rankdata  # half a second, as in bvae.metrics.softmax

    n_class = np.bincount(y, minlength=scores.shape[1])
    present = (n_class > 0) & (n_class < len(y))
    member = y[:, None] == np.flatnonzero(present)
    rank_sum = (rankdata(scores[:, present], axis=0) * member).sum(axis=0)
    n_own = n_class[present]
    areas: NDArray[np.float64] = (rank_sum - n_own * (n_own + 1) / 2) / (n_own * (len(y) - n_own))
    return areas
