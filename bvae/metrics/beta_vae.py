"""The β-VAE score of Higgins et al. (2017): which factor did two images share?

Shapes: N data points, L pairs each, M latents, K factors.
"""

import numpy as np

from bvae.metrics.draws import pairs
from bvae.metrics.evaluation import Evaluation, accuracy
from bvae.metrics.protocols import Classifier
from bvae.metrics.softmax import fitted, standardised
from bvae.metrics.table import CodeTable, Floats, Ints

_C: dict[Classifier, float] = {"softmax": 0.01, "ridge": 1.0}
_BLOCK = 320_000  # codes gathered at once: they fit the processor's cache


def beta_vae(
    table: CodeTable,
    *,
    n_pairs: int,
    n_train: int,
    n_eval: int,
    classifier: Classifier,
    rng: np.random.Generator,
) -> Evaluation:
    """Accuracy of a linear classifier of the shared factor y from z_diff = (1/L) Σ_l |z_1l - z_2l|.

    Each data point draws y uniformly from the K factors, then L pairs of rows that have the same
    class of y, by `bvae.metrics.draws`: of a full lattice they are otherwise independent, of other
    tables two different rows; z_1, z_2 are their codes. The classifier is fitted on
    `n_train` points and scored on `n_eval`.

    * "softmax": softmax regression on standardised z_diff, with so weak a penalty (C = .01) that it
      moves the score of ten latents by less than .01; it keeps 4,096 raw pixels from being learnt
      by heart. The scale of the codes cancels. The paper's own is Adagrad "until convergence".
    * "ridge": scikit-learn's defaults on z_diff as it is (C = 1, at most 100 steps of L-BFGS), as
      in Locatello et al. (2019). The scale of the codes matters: see `bvae.metrics.protocols`.

    Range 0 … 1; ceiling 1; chance 1/K, also the value of a constant code. K - 1 disentangled
    factors can be enough for 1 (Kim & Mnih 2018, §4). `per_factor` is the accuracy among the data
    points of each y.

    Source: Higgins et al. 2017, "beta-VAE", §3 and appendix A.4.

    Raises:
        DataError: the table has a single factor.

    Example:
        >>> from bvae.metrics.table import code_table
        >>> factors = np.indices((3, 4, 5)).reshape(3, -1).T
        >>> options = dict(n_pairs=32, n_train=500, n_eval=500, classifier="softmax")
        >>> table = code_table(factors * 1.0, factors)
        >>> beta_vae(table, **options, rng=np.random.default_rng(0)).value
        1.0
    """
    table.require_two_factors()
    K = table.n_factors
    y = rng.integers(K, size=n_train + n_eval)
    z_diff = pair_differences(table, y, n_pairs=n_pairs, rng=rng)
    if not z_diff.any():
        return Evaluation(1 / K, 1 / K, (1 / K,) * K)
    if classifier == "softmax":
        z_diff = standardised(z_diff, by=z_diff[:n_train])
    model = fitted(z_diff[:n_train], y[:n_train], C=_C[classifier])
    return accuracy(model.predict(z_diff[n_train:]), y[n_train:], n_factors=K)


def pair_differences(
    table: CodeTable, y: Ints, *, n_pairs: int, rng: np.random.Generator
) -> Floats:
    """z_diff [N, M]: mean |z_1 - z_2| over `n_pairs` pairs of rows sharing factor y (int [N])."""
    first, second = pairs(table, y, n_pairs=n_pairs, rng=rng)
    z_diff = np.empty((len(y), table.n_latents))
    mean = np.full(n_pairs, 1 / n_pairs, dtype=table.codes.dtype)  # a product is faster than .mean
    step = max(1, _BLOCK // (n_pairs * table.n_latents))
    for start in range(0, len(y), step):
        block = slice(start, start + step)
        difference = table.codes.take(first[block], axis=0)
        difference -= table.codes.take(second[block], axis=0)
        z_diff[block] = mean @ np.abs(difference, out=difference)
    return z_diff
