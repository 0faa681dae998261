import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from bvae.exceptions import ConfigError
from bvae.losses import BetaTCVAELoss
from bvae.losses.beta_tcvae import log_density


def weight(estimator: str, i: int, j: int, *, B: int, N: int) -> float:
    """Return what image j's density weighs in q(z_i), as Chen et al. write it."""
    if estimator == "weighted":
        return 1 / (N * B)
    R = B - 1
    if i == j:
        return 1 / N
    return (N - R) / (N * R) if j == (i + 1) % B else 1 / R


def brute(batch: Any, estimator: str, N: int) -> dict[str, float]:
    """Return the three parts of the KL with loops over images, images and latents."""
    mu, sd, z = (t.numpy() for t in (batch.mu, (0.5 * batch.logvar).exp(), batch.z))
    B, M = z.shape
    information, tc, dimension_wise = [], [], []
    for i in range(B):
        w = [weight(estimator, i, j, B=B, N=N) for j in range(B)]
        density = np.array(
            [[stats.norm(mu[j, m], sd[j, m]).pdf(z[i, m]) for m in range(M)] for j in range(B)]
        )
        of_code = math.log(sum(w[j] * density[j].prod() for j in range(B)))
        of_latents = [math.log(sum(w[j] * density[j, m] for j in range(B))) for m in range(M)]
        information.append(math.log(density[i].prod()) - of_code)
        tc.append(of_code - sum(of_latents))
        dimension_wise.append(sum(of_latents) - stats.norm.logpdf(z[i]).sum())
    return {
        "mutual_information": float(np.mean(information)),
        "tc": float(np.mean(tc)),
        "dimension_wise_kl": float(np.mean(dimension_wise)),
    }


@pytest.mark.parametrize("estimator", ["weighted", "stratified"])
class TestParts:
    @pytest.mark.parametrize("N", [8, 9, 1000])
    def test_against_loops(self, batch: Any, estimator: Any, N: int) -> None:
        """The parts are those of a brute-force computation with SciPy's densities."""
        parts = BetaTCVAELoss(beta=3.0, n_images=N, estimator=estimator)(*batch, 0)

        for name, expected in brute(batch, estimator, N).items():
            assert parts[name].item() == pytest.approx(expected, rel=1e-9), name

    def test_only_the_total_correlation_weighs_more(self, batch: Any, estimator: Any) -> None:
        """What is added to recon is KL + (β - 1) · TC: β = 1 is the VAE."""
        parts, vae = (
            BetaTCVAELoss(beta=beta, n_images=100, estimator=estimator)(*batch, 0)
            for beta in (6.0, 1.0)
        )

        torch.testing.assert_close(parts["recon"] + parts["kl"] + 5 * parts["tc"], parts["loss"])
        assert vae["recon"] + vae["kl"] == vae["loss"]

    def test_their_sum_is_the_kl(self, batch: Any, estimator: Any) -> None:
        """With all images in the batch, over many samples, the parts add up to the closed form."""
        generator = torch.Generator().manual_seed(0)
        loss = BetaTCVAELoss(beta=1.0, n_images=8, estimator=estimator)
        sums = []
        for _ in range(3000):
            noise = torch.randn(8, 5, generator=generator, dtype=torch.float64)
            z = batch.mu + (0.5 * batch.logvar).exp() * noise
            parts = loss(*batch._replace(z=z), 0)
            sums.append(parts["mutual_information"] + parts["tc"] + parts["dimension_wise_kl"])
        error = torch.stack(sums).std() / len(sums) ** 0.5

        assert abs(torch.stack(sums).mean() - parts["kl"]) < 4 * error

    def test_one_image_is_finite(self, batch: Any, estimator: Any) -> None:
        """A batch of one has its own density alone."""
        one = type(batch)(*(part[:1] for part in batch))
        parts = BetaTCVAELoss(beta=2.0, n_images=100, estimator=estimator)(*one, 0)

        assert all(part.isfinite() for part in parts.values())

    def test_more_images_than_are_trained_on(self, batch: Any, estimator: Any) -> None:
        """Validation may take a batch larger than a small data set: no weight is negative."""
        parts = BetaTCVAELoss(beta=2.0, n_images=3, estimator=estimator)(*batch, 0)

        assert all(part.isfinite() for part in parts.values())


def test_log_density_is_the_gaussians(batch: Any) -> None:
    """The constant cancels from every part, and is there all the same."""
    q = torch.distributions.Normal(batch.mu, (0.5 * batch.logvar).exp())

    torch.testing.assert_close(q.log_prob(batch.z), log_density(batch.z, batch.mu, batch.logvar))


class TestEstimators:
    def aggregated(self, estimator: Any, z: torch.Tensor, images: torch.Tensor, N: int) -> float:
        """Return q(z) from a batch of posteriors N(image, 1); z is a sample of the first."""
        loss = BetaTCVAELoss(beta=1.0, n_images=N, estimator=estimator)
        weights = loss._log_weights(z.expand_as(images))[0].exp()
        density = log_density(z, images, torch.zeros_like(images)).exp().squeeze(1)
        return float((weights * density).sum())

    def test_stratified_has_the_right_expectation(self) -> None:
        """Over all batches of three of five images, the first fixed, its mean is q(z)."""
        images = torch.tensor([0.0, 0.5, 1.0, -1.0, 3.0]).double()[:, None]
        z = torch.tensor([[0.3]]).double()
        q = log_density(z, images, torch.zeros_like(images)).exp().mean().item()
        found = [
            self.aggregated("stratified", z, images[[0, *others]], 5)
            for others in itertools.permutations(range(1, 5), 2)
        ]

        assert np.mean(found) == pytest.approx(q, rel=1e-12)

    @pytest.mark.parametrize("B", [2, 3, 8, 100])
    def test_stratified_weights_sum_to_one(self, B: int) -> None:
        """Equal posteriors have one density, whatever the batch and the number of images."""
        loss = BetaTCVAELoss(beta=1.0, n_images=100, estimator="stratified")
        weights = loss._log_weights(torch.zeros(B, 1).double()).exp()

        torch.testing.assert_close(torch.ones(B).double(), weights.sum(1))

    def test_weighted_sums_to_one_in_n(self) -> None:
        """Its B weights are 1/(N·B): a sum of 1/N, which is not forgotten."""
        weights = (
            BetaTCVAELoss(beta=1.0, n_images=100)._log_weights(torch.zeros(4, 1).double()).exp()
        )

        torch.testing.assert_close(torch.full((4,), 0.01).double(), weights.sum(1))

    def test_total_correlation_of_a_gaussian(self) -> None:
        """Codes that lie on correlated Gaussian means have the TC of their sum, in closed form."""
        generator = torch.Generator().manual_seed(0)
        N, rho, noise = 1500, 0.9, 0.1
        a, b = torch.randn(2, N, generator=generator).double()
        mu = torch.stack([a, rho * a + (1 - rho**2) ** 0.5 * b], 1)
        logvar = torch.full_like(mu, math.log(noise))
        z = mu + noise**0.5 * torch.randn(N, 2, generator=generator).double()
        x = torch.zeros(N, 1, 1, 1).double()
        loss = BetaTCVAELoss(beta=1.0, n_images=N, estimator="stratified")
        expected = -0.5 * math.log(1 - (rho / (1 + noise)) ** 2)

        assert loss(x, x, mu, logvar, z, 0)["tc"].item() == pytest.approx(expected, rel=0.1)

    def test_there_is_no_third(self) -> None:
        """A mistake is found when the loss is built."""
        with pytest.raises(ConfigError, match=r"loss.estimator: expected weighted or stratified"):
            BetaTCVAELoss(beta=1.0, n_images=5, estimator="exact")  # type: ignore[arg-type]
