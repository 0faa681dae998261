"""The β-TCVAE: of the KL, only the total correlation of the latents weighs more.

Shapes: B images in the batch, M latents; N images are trained on.
"""

from collections.abc import Mapping
from math import log, pi
from typing import Literal

import torch
from torch import Tensor

from bvae.exceptions import ConfigError
from bvae.losses.kl import widened
from bvae.losses.loss import Loss

Estimator = Literal["weighted", "stratified"]


class BetaTCVAELoss(Loss):
    """β-TCVAE: `beta` is the weight of the total correlation (Chen et al. 2018, eq. 4, α = γ = 1).

        KL = I(z; n) + TC + Σ_m KL(q(z_m) ‖ p(z_m)),    TC = KL(q(z) ‖ Π_m q(z_m))
        loss = recon + KL + (β - 1) · TC

    The KL is the closed form, so that β = 1 is the VAE. The aggregated posterior
    q(z) = 1/N Σ_n q(z|n) is estimated from the batch, at the sample of each of its images:

    - weighted (§3.1, eq. 5): q(z_i) ≈ 1/(N·B) Σ_j q(z_i|n_j), too small by a factor of about N;
    - stratified (appendix C.2): with R = B - 1, the image's own density weighs 1/N, that of R - 1
      others 1/R, that of the last (N - R)/(N·R); its expectation is q(z_i).

    mutual_information, tc and dimension_wise_kl are these estimates. Their sum is the KL, sampled;
    each by itself is to be compared at one N and B only: of the weighted estimator the first is
    about log N too large, the second (M - 1) · log N, and the third M · log N too small, which
    moves no gradient.
    """

    def __init__(
        self,
        *,
        beta: float,
        n_images: int,
        variance: float | None = None,
        estimator: Estimator = "weighted",
    ) -> None:
        super().__init__(beta=beta, variance=variance)
        if estimator not in ("weighted", "stratified"):
            raise ConfigError(
                f"loss.estimator: expected weighted or stratified, but got {estimator!r}"
            )
        self.n_images = n_images
        self.estimator = estimator

    def forward(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor, z: Tensor, step: int
    ) -> Mapping[str, Tensor]:
        """The parts loss, recon, kl, mutual_information, tc and dimension_wise_kl."""
        recon, kl = self.recon_and_kl(x, logits, mu, logvar)
        z, mu, logvar = widened(z), widened(mu), widened(logvar)
        each = log_density(z[:, None], mu[None], logvar[None])  # [B, B, M], of z_i under image j
        weights = self._log_weights(z)[..., None]
        of_latents = (each + weights).logsumexp(1)  # [B, M], log q(z_im)
        of_code = (each.sum(2) + weights[..., 0]).logsumexp(1)  # [B], log q(z_i)
        under_own = log_density(z, mu, logvar).sum(1)  # [B], log q(z_i|n_i)
        under_prior = log_density(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)
        tc = (of_code - of_latents.sum(1)).mean()
        return {
            "loss": recon + kl + (self.beta - 1) * tc,
            "recon": recon,
            "kl": kl,
            "mutual_information": (under_own - of_code).mean(),
            "tc": tc,
            "dimension_wise_kl": (of_latents.sum(1) - under_prior).mean(),
        }

    def _log_weights(self, z: Tensor) -> Tensor:
        """Logarithms [B, B] of what the density of z_i under image j weighs in q(z_i)."""
        B = len(z)
        N = max(self.n_images, B)  # images that are not trained on may be more
        if self.estimator == "weighted":
            return z.new_full((B, B), -log(N * B))
        others = max(B - 1, 1)
        weights = z.new_full((B, B), 1 / others)
        rows = torch.arange(B, device=z.device)
        weights[rows, (rows + 1) % B] = (N - others) / (N * others)
        weights[rows, rows] = 1 / N
        return weights.log()


def log_density(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Log-density of N(μ, σ²) at z, of each latent, in nats."""
    return -0.5 * (log(2 * pi) + logvar + (z - mu).square() * (-logvar).exp())
