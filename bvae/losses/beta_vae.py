"""The β-VAE, and schedules of β."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from bvae.exceptions import ConfigError
from bvae.losses.loss import Loss

SCHEDULES = ("constant", "linear", "cyclical")

Schedule = Literal["constant", "linear", "cyclical"]


class BetaVAELoss(Loss):
    """The β-VAE: `beta` is the weight of the KL (Higgins et al. 2017, eq. 4).

        loss = recon + β_t · KL

    Over the first `schedule_steps` S steps β_t may rise to β, after which it is β:

    - linear, β_t = β · t/S, the warm-up of Sønderby et al. (2016, §2.3);
    - cyclical, `cycles` times one after the other: β_t rises from 0 to β over the first half of a
      cycle and stays there over the second (Fu et al. 2019, eq. 6 and 7 with R = ½).

    A schedule adds the part `beta`, the one in force.
    """

    def __init__(
        self,
        *,
        beta: float,
        variance: float | None = None,
        schedule: Schedule = "constant",
        schedule_steps: int = 1000,
        cycles: int = 4,
    ) -> None:
        super().__init__(beta=beta, variance=variance)
        if schedule not in SCHEDULES:
            raise ConfigError(
                f"loss.schedule: expected one of {', '.join(SCHEDULES)}, but got {schedule!r}"
            )
        if schedule_steps < 1 or cycles < 1:
            raise ConfigError(
                "loss.schedule_steps and loss.cycles: expected integers of at least 1, "
                f"but got {schedule_steps} and {cycles}"
            )
        self.schedule = schedule
        self.schedule_steps = schedule_steps
        self.cycles = cycles

    def beta_at(self, step: int) -> float:
        """Return β_t after so many steps.

        >>> linear = BetaVAELoss(beta=4.0, schedule="linear", schedule_steps=100)
        >>> [linear.beta_at(step) for step in (0, 25, 100, 200)]
        [0.0, 1.0, 4.0, 4.0]
        >>> cyclical = BetaVAELoss(beta=4.0, schedule="cyclical", schedule_steps=100, cycles=2)
        >>> [cyclical.beta_at(step) for step in (0, 5, 25, 49, 50, 55, 75, 100)]
        [0.0, 0.8, 4.0, 4.0, 0.0, 0.8, 4.0, 4.0]
        """
        if self.schedule == "constant" or step >= self.schedule_steps:
            return self.beta
        done = step / self.schedule_steps
        if self.schedule == "cyclical":
            done = min(1.0, 2 * (step * self.cycles % self.schedule_steps) / self.schedule_steps)
        return self.beta * done

    def forward(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor, z: Tensor, step: int
    ) -> Mapping[str, Tensor]:
        """The parts loss, recon, kl, and beta where it has a schedule."""
        recon, kl = self.recon_and_kl(x, logits, mu, logvar)
        if self.schedule == "constant":
            return {"loss": recon + self.beta * kl, "recon": recon, "kl": kl}
        beta = self.beta_at(step)
        return {
            "loss": recon + beta * kl,
            "recon": recon,
            "kl": kl,
            "beta": recon.new_full((), beta),
        }
