"""The β-VAE whose KL is held at a capacity that grows."""

from collections.abc import Mapping

from torch import Tensor

from bvae.exceptions import ConfigError
from bvae.losses.loss import Loss


class AnnealedVAELoss(Loss):
    """AnnealedVAE: `beta` is γ, the weight of the distance (Burgess et al. 2018, eq. 8).

        loss = recon + γ · |KL - C_t|,    C_t = c_max · min(1, t / c_steps)

    The KL is the mean over the batch, before the distance is taken: single images may need more
    nats than others. The capacity C_t, in nats, depends on the step alone. The paper has
    γ = 1000 and c_max = 25 over 100,000 steps; a γ too small leaves the KL off the capacity.
    """

    def __init__(
        self, *, beta: float, variance: float | None = None, c_max: float, c_steps: int
    ) -> None:
        super().__init__(beta=beta, variance=variance)
        if c_max < 0 or c_steps < 1:
            raise ConfigError(
                "expected loss.c_max of at least 0 and loss.c_steps of at least 1, "
                f"but got {c_max} and {c_steps}"
            )
        self.c_max = c_max
        self.c_steps = c_steps

    def forward(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor, z: Tensor, step: int
    ) -> Mapping[str, Tensor]:
        """The parts loss, recon, kl and capacity (C_t, the one in force)."""
        recon, kl = self.recon_and_kl(x, logits, mu, logvar)
        capacity = self.c_max * min(1.0, step / self.c_steps)
        return {
            "loss": recon + self.beta * (kl - capacity).abs(),
            "recon": recon,
            "kl": kl,
            "capacity": recon.new_full((), capacity),
        }
