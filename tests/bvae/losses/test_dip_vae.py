from typing import Any

import numpy as np
import pytest
import torch

from bvae.exceptions import ConfigError
from bvae.losses import DIPVAELoss


def brute(covariance: np.ndarray, factor: float) -> float:
    """Return the distance of a covariance from the identity, entry by entry."""
    total = 0.0
    for i, row in enumerate(covariance):
        for j, value in enumerate(row):
            total += factor * (value - 1) ** 2 if i == j else value**2
    return total


class TestDIPVAE:
    @pytest.mark.parametrize(("variant", "factor"), [("i", 10.0), ("ii", 1.0), ("ii", 7.0)])
    def test_against_numpy(self, batch: Any, variant: Any, factor: float) -> None:
        """I takes the covariance of the means; II adds the mean variance to its diagonal."""
        covariance = np.cov(batch.mu.numpy(), rowvar=False, ddof=0)
        if variant == "ii":
            covariance += np.diag(np.exp(batch.logvar.numpy()).mean(0))
        parts = DIPVAELoss(beta=2.0, variant=variant, diagonal_factor=factor)(*batch, 0)

        assert parts["dip"].item() == pytest.approx(brute(covariance, factor))
        torch.testing.assert_close(parts["recon"] + parts["kl"] + 2 * parts["dip"], parts["loss"])

    def test_ii_is_the_covariance_of_samples(self, batch: Any) -> None:
        """The mean variance is what the draws add to the covariance of the means."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(200_000, 8, 5, generator=generator, dtype=torch.float64)
        samples = (batch.mu + (0.5 * batch.logvar).exp() * noise).flatten(0, 1)
        expected = brute(np.cov(samples.numpy(), rowvar=False, ddof=0), 1.0)
        parts = DIPVAELoss(beta=1.0, variant="ii", diagonal_factor=1.0)(*batch, 0)

        assert parts["dip"].item() == pytest.approx(expected, rel=0.01)

    @pytest.mark.parametrize("variant", ["i", "ii"])
    def test_standard_codes_cost_nothing(self, batch: Any, variant: Any) -> None:
        """Uncorrelated codes of variance 1 have the covariance asked for."""
        scale = 1.0 if variant == "i" else 0.5**0.5
        corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
        logvar = torch.full_like(corners, np.log(0.5))
        codes = batch._replace(mu=scale * corners, logvar=logvar)
        parts = DIPVAELoss(beta=1.0, variant=variant, diagonal_factor=10.0)(*codes, 0)

        assert parts["dip"].item() == pytest.approx(0, abs=1e-12)

    def test_one_image_has_no_covariance(self, batch: Any) -> None:
        """A batch of one is finite: its means vary by nothing."""
        one = type(batch)(*(part[:1] for part in batch))

        assert (
            50.0 == DIPVAELoss(beta=1.0, variant="i", diagonal_factor=10.0)(*one, 0)["dip"].item()
        )

    def test_there_is_no_third(self) -> None:
        """A mistake is found when the loss is built."""
        with pytest.raises(ConfigError, match=r"loss.variant: expected i or ii, but got 'iii'"):
            DIPVAELoss(beta=1.0, variant="iii", diagonal_factor=1.0)  # type: ignore[arg-type]
