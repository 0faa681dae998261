"""FactorVAE: a discriminator tells codes from codes with permuted latents.

Shapes: B images in the batch, M latents.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from bvae.losses.kl import widened
from bvae.losses.loss import Loss

DEPTH = 6
"""Hidden layers of the discriminator (Kim & Mnih 2018, appendix A)."""


class FactorVAELoss(Loss):
    """FactorVAE: `beta` is γ, the weight of the total correlation (Kim & Mnih 2018, eq. 2).

        loss = recon + KL + γ · TC,    TC ≈ mean of log D(z) / (1 - D(z))    (eq. 3)

    D(z) is the probability, as the discriminator sees it, that z is a code and not one whose
    latents come from different images. It has six hidden layers and leaky ReLU (0.2), and learns by
    Adam (0.5, 0.9) from this batch's codes against those of a second batch, whose latents are
    permuted across it (algorithm 2). A new one knows nothing: TC begins near 0.

    Args:
        latent_dim: M.
        beta: γ.
        variance: of Gaussian pixels.
        discriminator_width: of each hidden layer; 1000 in the paper.
        discriminator_lr: of its Adam; 1e-4 in the paper.
    """

    second_batch = True

    def __init__(
        self,
        *,
        latent_dim: int,
        beta: float,
        variance: float | None = None,
        discriminator_width: int = 1000,
        discriminator_lr: float = 1e-4,
    ) -> None:
        super().__init__(beta=beta, variance=variance)
        self.lr = discriminator_lr
        widths = (latent_dim, *[discriminator_width] * DEPTH)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(0.2)]
        self.discriminator = nn.Sequential(*layers, nn.Linear(discriminator_width, 1))

    def forward(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor, z: Tensor, step: int
    ) -> Mapping[str, Tensor]:
        """The parts loss, recon, kl and tc; the discriminator gets no gradient of them."""
        recon, kl = self.recon_and_kl(x, logits, mu, logvar)
        fixed = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        with torch.autocast(z.device.type, enabled=False):
            tc = functional_call(self.discriminator, fixed, (widened(z),)).mean()
        return {"loss": recon + kl + self.beta * tc, "recon": recon, "kl": kl, "tc": tc}

    def own_loss(self, z: Tensor, z_second: Tensor) -> Tensor:
        """The discriminator's cross-entropy, log 2 = 0.69 nats if it cannot tell them apart."""
        codes = self.discriminator(z)
        permuted = self.discriminator(permute_latents(z_second))
        # -log D of the codes, -log(1 - D) of the permuted ones
        return 0.5 * (F.softplus(-codes).mean() + F.softplus(permuted).mean())

    def configure_optimizer(self) -> torch.optim.Optimizer:
        """Adam over the discriminator."""
        parameters = self.discriminator.parameters()
        return torch.optim.Adam(parameters, lr=self.lr, betas=(0.5, 0.9), fused=True)


def permute_latents(z: Tensor) -> Tensor:
    """Permute each latent across the batch on its own, which makes the latents independent.

    Args:
        z: [B, M].

    Returns:
        [B, M], each column with the values that it had.
    """
    return z.gather(0, torch.rand_like(z).argsort(0))
