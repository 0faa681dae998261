from typing import Any

import pytest
import torch

from bvae.exceptions import ConfigError
from bvae.losses import AnnealedVAELoss, kl_per_latent


class TestAnnealedVAE:
    @pytest.mark.parametrize(
        ("step", "capacity"), [(0, 0.0), (25, 5.0), (100, 20.0), (100_000, 20.0)]
    )
    def test_the_kl_is_held_at_the_capacity(self, batch: Any, step: int, capacity: float) -> None:
        """C rises in a line with the step, and stays at c_max; the distance weighs γ."""
        parts = AnnealedVAELoss(beta=10.0, c_max=20.0, c_steps=100)(*batch, step)
        kl = sum(kl_per_latent(batch.mu, batch.logvar).flatten().tolist()) / 8

        assert parts["capacity"].item() == pytest.approx(capacity)
        assert (parts["loss"] - parts["recon"]).item() == pytest.approx(10 * abs(kl - capacity))

    def test_the_distance_is_that_of_the_batchs_mean(self, batch: Any) -> None:
        """Images on either side of C cost nothing if their mean is C, as no distance of each is."""
        of_images = kl_per_latent(batch.mu, batch.logvar).sum(1)
        capacity = of_images.mean().item()
        parts = AnnealedVAELoss(beta=1000.0, c_max=capacity, c_steps=1)(*batch, 1)

        assert (of_images - capacity).abs().mean() > 1
        assert parts["loss"].item() == pytest.approx(parts["recon"].item(), abs=1e-9)

    def test_below_the_capacity_the_kl_is_pushed_up(self, batch: Any) -> None:
        """The gradient by the KL is -γ below C, and γ above it."""
        slopes = []
        for c_max in (0.0, 1000.0):
            mu = batch.mu.clone().requires_grad_()
            parts = AnnealedVAELoss(beta=3.0, c_max=c_max, c_steps=1)(*batch._replace(mu=mu), 1)
            (slope,) = torch.autograd.grad(parts["loss"], mu)
            slopes.append(slope)

        torch.testing.assert_close(slopes[0], 3 * batch.mu / 8)
        torch.testing.assert_close(slopes[1], -3 * batch.mu / 8)

    @pytest.mark.parametrize("given", [{"c_max": -1.0, "c_steps": 1}, {"c_max": 1.0, "c_steps": 0}])
    def test_what_no_capacity_can_be(self, given: dict[str, Any]) -> None:
        """A mistake is found when the loss is built."""
        with pytest.raises(ConfigError, match=r"c_max of at least 0 and loss.c_steps of at least"):
            AnnealedVAELoss(beta=1.0, **given)
