"""The FactorVAE score of Kim & Mnih (2018): which latent stands still when a factor does?

Shapes: V votes, L rows each, M latents, K factors.
"""

import numpy as np
from numpy.typing import NDArray

from bvae.metrics.draws import batches
from bvae.metrics.evaluation import Evaluation, accuracy
from bvae.metrics.softmax import standardised
from bvae.metrics.table import CodeTable, Ints

_BLOCK = 320_000  # codes gathered at once: they fit the processor's cache


def factor_vae(
    table: CodeTable,
    *,
    n_rows: int,
    n_train: int,
    n_eval: int,
    min_std: float,
    rng: np.random.Generator,
) -> Evaluation:
    """Accuracy of a majority vote that reads the fixed factor y from the latent that varies least.

    Each vote draws y uniformly from the K factors and a class of it, then L = `n_rows` rows with
    that class, otherwise independent (of a table that is no full lattice: as in
    `bvae.metrics.draws`); it is for d = argmin_j Var_L(z_j) / Var(z_j) over the latents
    whose standard deviation over the whole table is at least `min_std` (variances with ddof = 1).
    Each latent answers with the factor it was most often elected for in `n_train` votes; the score
    is the share of right answers in `n_eval` votes.

    Range 0 … 1; ceiling 1; chance 1/K. Without a latent of at least `min_std` it is 0, also for a
    constant code. `per_factor` is the accuracy among the votes of each y.

    Source: Kim & Mnih 2018, "Disentangling by factorising", §4 and appendix B.

    Raises:
        DataError: the table has a single factor.

    Example:
        >>> from bvae.metrics.table import code_table
        >>> factors = np.indices((3, 4, 5)).reshape(3, -1).T
        >>> options = dict(n_rows=32, n_train=500, n_eval=500, min_std=0.05)
        >>> table = code_table(factors * 1.0, factors)
        >>> factor_vae(table, **options, rng=np.random.default_rng(0)).value
        1.0
    """
    table.require_two_factors()
    K = table.n_factors
    std = table.codes.std(axis=0, ddof=1, dtype=np.float64)
    active = (std >= min_std) & (np.ptp(table.codes, axis=0) > 0)
    if not active.any():
        return Evaluation(0.0, 1 / K, (0.0,) * K)
    scaled = table.with_codes(standardised(table.codes, by=table.codes)[:, active])
    y = rng.integers(K, size=n_train + n_eval)
    elected = local_variances(scaled, y, n_rows=n_rows, rng=rng).argmin(axis=1)
    answers = _majority(elected[:n_train], y[:n_train], shape=(scaled.n_latents, K))
    return accuracy(answers[elected[n_train:]], y[n_train:], n_factors=K)


def local_variances(
    table: CodeTable, y: Ints, *, n_rows: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Variance (ddof = 1) of latents [V, M] over `n_rows` rows that share factor y (int [V])."""
    rows = batches(table, y, n_rows=n_rows, rng=rng)
    variances = np.empty((len(y), table.n_latents))
    mean = np.full(n_rows, 1 / n_rows, dtype=table.codes.dtype)  # a product is faster than .var
    step = max(1, _BLOCK // (n_rows * table.n_latents))
    for start in range(0, len(y), step):
        block = slice(start, start + step)
        z = table.codes.take(rows[block], axis=0)
        z -= (mean @ z)[:, None]
        variances[block] = mean @ np.square(z, out=z)
    return variances * (n_rows / (n_rows - 1))


def _majority(elected: Ints, y: Ints, *, shape: tuple[int, int]) -> Ints:
    """The factor for which each latent was elected most often [M]."""
    votes = np.bincount(elected * shape[1] + y, minlength=shape[0] * shape[1])
    answers: Ints = votes.reshape(shape).argmax(axis=1)
    return answers
