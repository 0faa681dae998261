"""DIP-VAE: the covariance of the codes is drawn to the identity.

Shapes: B images in the batch, M latents.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from bvae.exceptions import ConfigError
from bvae.losses.kl import widened
from bvae.losses.loss import Loss

Variant = Literal["i", "ii"]


class DIPVAELoss(Loss):
    """DIP-VAE I and II: `beta` is λ_od, the weight off the diagonal (Kumar et al. 2018, eq. 6, 7).

        loss = recon + KL + λ_od · Σ_{i≠j} C_ij² + λ_d · Σ_i (C_ii - 1)²

    over all pairs, (i, j) and (j, i). C is the covariance over the batch of the posterior means
    (I), or of the samples: that of the means, plus the mean variance on the diagonal (II).
    λ_d = `diagonal_factor` · λ_od; in the paper the factor is 10 in I and 1 in II.
    """

    def __init__(
        self,
        *,
        beta: float,
        variance: float | None = None,
        variant: Variant,
        diagonal_factor: float,
    ) -> None:
        super().__init__(beta=beta, variance=variance)
        if variant not in ("i", "ii"):
            raise ConfigError(f"loss.variant: expected i or ii, but got {variant!r}")
        self.variant = variant
        self.diagonal_factor = diagonal_factor

    def forward(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor, z: Tensor, step: int
    ) -> Mapping[str, Tensor]:
        """The parts loss, recon, kl and dip, so that loss = recon + kl + β · dip."""
        recon, kl = self.recon_and_kl(x, logits, mu, logvar)
        covariance = self._covariance(widened(mu), widened(logvar))
        diagonal = covariance.diagonal()
        off_diagonal = (covariance - diagonal.diag()).square().sum()
        dip = off_diagonal + self.diagonal_factor * (diagonal - 1).square().sum()
        return {"loss": recon + kl + self.beta * dip, "recon": recon, "kl": kl, "dip": dip}

    def _covariance(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """[M, M]; as a mean of products, not a product of matrices, which autocast would halve."""
        centred = mu - mu.mean(0)
        of_means = (centred[:, :, None] * centred[:, None, :]).mean(0)
        if self.variant == "i":
            return of_means
        return of_means + torch.diag(logvar.exp().mean(0))
