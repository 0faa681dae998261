"""What each latent carries: its KL, whether it is used, and which factor it follows.

Shapes: n rows, M latents, K factors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bvae.metrics.mutual_information import entropies, mutual_information
from bvae.metrics.table import code_table

MIN_KL_NATS = 0.01  # a latent below is switched off (Duan et al. 2019, "UDR", §3)
MIN_VARIANCE = 0.01  # a latent whose mean varies more is an active unit (Burda et al. 2015, §5.2)
MIN_SHARE = 0.05  # a latent with less information on every factor is assigned to none


@dataclass(frozen=True)
class LatentMap:
    """Which latent is which factor.

    Attributes:
        information: normalised mutual information I(z_j; v_k) / H(v_k) [M, K], from 0 to 1.
        assigned: the column of the factor each latent has most information on, or None.
        columns: the columns of the K factors that can be scored.
    """

    information: NDArray[np.float64]
    assigned: tuple[int | None, ...]
    columns: tuple[int, ...]


def kl_per_latent(mu: ArrayLike, logvar: ArrayLike) -> NDArray[np.float64]:
    """Mean over rows of KL(N(mu, exp(logvar)) || N(0, 1)) in nats [M], from arrays [n, M].

    KL = (mu² + exp(logvar) - logvar - 1) / 2.

    Example:
        >>> kl_per_latent([[2.0, 0.0]], [[0.0, 0.0]]).tolist()
        [2.0, 0.0]
    """
    mean, log = np.asarray(mu, dtype=np.float64), np.asarray(logvar, dtype=np.float64)
    kl: NDArray[np.float64] = ((mean**2 + np.exp(log) - log - 1) / 2).mean(axis=0)
    return kl


def informative_latents(mu: ArrayLike, logvar: ArrayLike) -> NDArray[np.bool_]:
    """Which latents [M] have a mean KL above .01 nats: the others are switched off.

    Example:
        >>> informative_latents([[0.03, 1.0], [-0.03, -1.0]], [[0.0, 0.0], [0.0, 0.0]]).tolist()
        [False, True]
    """
    return kl_per_latent(mu, logvar) > MIN_KL_NATS


def active_units(mu: ArrayLike) -> NDArray[np.bool_]:
    """Which latents [M] have Var(mu) > .01 over the rows of mu [n, M].

    Source: Burda et al. 2015, "Importance weighted autoencoders", §5.2.

    Example:
        >>> active_units([[0.05, 1.0], [-0.05, -1.0]]).tolist()
        [False, True]
    """
    variance: NDArray[np.float64] = np.var(np.asarray(mu, dtype=np.float64), axis=0)
    return variance > MIN_VARIANCE


def latent_map(
    codes: ArrayLike, factors: ArrayLike, *, logvar: ArrayLike | None = None
) -> LatentMap:
    """Return the normalised mutual information, and assign each latent the factor of its highest.

    A latent is assigned none if its highest is below a twentieth, or if it is switched off (needs
    `logvar`). Arrays as in `bvae.metrics.score`.

    Raises:
        DataError: names everything that is wrong with the arrays.

    Example:
        >>> factors = np.indices((3, 4, 5)).reshape(3, -1).T
        >>> codes = np.hstack([factors[:, [2, 0]], np.zeros((60, 1))])
        >>> latent_map(codes, factors).assigned
        (2, 0, None)
    """
    table = code_table(codes, factors, logvar=logvar)
    information = mutual_information(table) / entropies(table)
    is_assigned = information.max(axis=1) >= MIN_SHARE
    if table.logvar is not None:
        is_assigned &= informative_latents(table.codes, table.logvar)
    best = information.argmax(axis=1).tolist()
    assigned = tuple(
        table.columns[k] if kept else None for k, kept in zip(best, is_assigned, strict=True)
    )
    return LatentMap(information, assigned, table.columns)
