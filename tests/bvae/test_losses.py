import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import distributions

from bvae.losses import (
    bernoulli_nll,
    beta_vae_loss,
    gaussian_nll,
    kl_per_latent,
    least_nll,
    nll,
)

Pair = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture
def posterior() -> Pair:
    """Means and log-variances [8, 5] of some Gaussians."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 5, generator=generator), torch.randn(8, 5, generator=generator)


@pytest.fixture
def pixels() -> Pair:
    """Logits and binary images [8, 1, 4, 4]."""
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(8, 1, 4, 4, generator=generator)
    return logits, torch.bernoulli(torch.full((8, 1, 4, 4), 0.3), generator=generator)


class TestBernoulliNll:
    def test_against_torch_distributions(self, pixels: Pair) -> None:
        """The log-likelihood is that of independent Bernoulli pixels, summed over the image."""
        logits, x = pixels
        expected = -distributions.Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3))

        torch.testing.assert_close(bernoulli_nll(logits, x), expected)

    @pytest.mark.parametrize("resolution", [32, 64])
    def test_fair_coin(self, resolution: int) -> None:
        """Logits of zero cost log 2 nats a pixel: the sum grows with the image."""
        x = torch.ones(3, 1, resolution, resolution)
        expected = torch.full((3,), resolution**2 * math.log(2))

        torch.testing.assert_close(bernoulli_nll(torch.zeros_like(x), x), expected)

    def test_certain_and_wrong(self) -> None:
        """A logit of ±1000 gives a finite loss, where the logarithm of a probability would not."""
        logits = torch.tensor([1000.0, -1000.0]).reshape(1, 1, 1, 2)
        x = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)

        assert bernoulli_nll(logits, x).tolist() == [2000.0]


class TestGaussianNll:
    @pytest.mark.parametrize("variance", [0.01, 0.1, 1.0])
    def test_against_torch_distributions(self, pixels: Pair, variance: float) -> None:
        """The log-density is that of independent Gaussians about the sigmoids, summed."""
        logits, x = pixels
        gaussian = distributions.Normal(logits.sigmoid(), math.sqrt(variance))
        expected = -gaussian.log_prob(x).sum((1, 2, 3))

        torch.testing.assert_close(gaussian_nll(logits, x, variance=variance), expected)

    def test_half_is_the_squared_error(self, pixels: Pair) -> None:
        """With σ² = ½ the terms that depend on the model are the plain squared error."""
        logits, x = pixels
        expected = (logits.sigmoid() - x).square().sum((1, 2, 3)) + 8 * math.log(math.pi)

        torch.testing.assert_close(gaussian_nll(logits, x, variance=0.5), expected)

    @pytest.mark.parametrize("factor", [0.1, 4.0])
    def test_only_beta_times_variance_matters(self, posterior: Pair, factor: float) -> None:
        """β with σ² and β/c with c σ² pull in the same direction, the second c times less hard."""
        generator = torch.Generator().manual_seed(2)
        decoder = torch.randn(5, 16, generator=generator, requires_grad=True)
        x, (mu, logvar) = torch.rand(8, 1, 4, 4, generator=generator), posterior

        def pull(beta: float, variance: float) -> torch.Tensor:
            mean = mu.clone().requires_grad_()
            logits = (mean @ decoder).reshape(8, 1, 4, 4)
            losses = beta_vae_loss(x, logits, mean, logvar, beta=beta, variance=variance)
            grad = torch.autograd.grad(losses.loss, [mean, decoder])
            return torch.cat([part.flatten() for part in grad])

        torch.testing.assert_close(pull(4.0, 0.1), factor * pull(4.0 / factor, 0.1 * factor))


def test_bernoulli_without_a_variance(pixels: Pair) -> None:
    """A variance says that pixels are Gaussian, none that they are black or white."""
    logits, x = pixels

    assert torch.equal(bernoulli_nll(logits, x), nll(logits, x, variance=None))
    assert torch.equal(gaussian_nll(logits, x, variance=0.3), nll(logits, x, variance=0.3))


@pytest.mark.parametrize("variance", [0.01, 0.5, 2.0])
def test_nothing_costs_less_than_a_perfect_image(variance: float) -> None:
    """The least NLL is that of an image drawn as it is: 0, or that of a Gaussian at its mean."""
    x = torch.tensor([[[[0.0, 1.0]]]])
    logits = torch.tensor([[[[-1000.0, 1000.0]]]])
    perfect = -distributions.Normal(x, variance**0.5).log_prob(x).sum().item()

    assert least_nll(2, variance=variance) == pytest.approx(perfect, rel=1e-6)
    assert nll(logits, x, variance=variance).item() == pytest.approx(perfect, rel=1e-6)
    assert least_nll(2, variance=None) == nll(logits, x, variance=None).item() == 0


class TestKlPerLatent:
    def test_against_torch_distributions(self, posterior: Pair) -> None:
        """Each latent's divergence is torch's closed form."""
        mu, logvar = posterior
        q = distributions.Normal(mu, (0.5 * logvar).exp())
        expected = distributions.kl_divergence(q, distributions.Normal(0.0, 1.0))

        torch.testing.assert_close(kl_per_latent(mu, logvar), expected)

    @pytest.mark.parametrize(("mu", "logvar"), [(0.0, 0.0), (1.5, -2.0), (-0.3, 1.0), (2.0, -4.0)])
    def test_against_integral(self, mu: float, logvar: float) -> None:
        """The closed form is the integral of q log(q/p)."""
        q, p = stats.norm(mu, math.exp(logvar / 2)), stats.norm()
        low, high = q.ppf(1e-14), q.isf(1e-14)
        expected, _ = integrate.quad(
            lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), low, high, epsabs=1e-10
        )
        actual = kl_per_latent(torch.tensor([[mu]]), torch.tensor([[logvar]]))

        assert actual.item() == pytest.approx(expected, abs=1e-6)

    def test_collapsed_latent_is_exactly_zero(self) -> None:
        """A posterior equal to the prior costs nothing."""
        assert kl_per_latent(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [[0.0] * 3] * 2


class TestBetaVaeLoss:
    def test_is_recon_plus_beta_kl(self, pixels: Pair, posterior: Pair) -> None:
        """The loss is the batch mean of sums over pixels and latents, with β on the second."""
        (logits, x), (mu, logvar) = pixels, posterior
        recon = -distributions.Bernoulli(logits=logits).log_prob(x).numpy().reshape(8, 16).sum(1)
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).numpy().sum(1)

        losses = beta_vae_loss(x, logits, mu, logvar, beta=4.0)

        assert losses.recon.item() == pytest.approx(np.mean(recon), rel=1e-6)
        assert losses.kl.item() == pytest.approx(np.mean(kl), rel=1e-6)
        assert losses.loss.item() == pytest.approx(np.mean(recon + 4 * kl), rel=1e-6)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_kl_of_halves_is_that_of_floats(self, pixels: Pair, dtype: torch.dtype) -> None:
        """Means of 300, whose squares no float16 holds, have their KL also in mixed precision."""
        (logits, x), mu = pixels, torch.full((8, 5), 300.0)
        logvar = torch.full((8, 5), -0.75)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = beta_vae_loss(x, logits, mu.to(dtype), logvar.to(dtype), beta=4.0)
        expected = 5 * 0.5 * (300**2 + math.exp(-0.75) - 1 + 0.75)

        assert losses.kl.item() == pytest.approx(expected, rel=1e-6)

    def test_is_minus_elbo_at_beta_1(self, pixels: Pair, posterior: Pair) -> None:
        """At β = 1 the loss bounds -log p(x), estimated from a decoder that ignores z."""
        (logits, x), (mu, logvar) = pixels, posterior
        nll = bernoulli_nll(logits, x).mean()

        assert beta_vae_loss(x, logits, mu, logvar, beta=1.0).loss > nll
        prior = torch.zeros(8, 5)
        torch.testing.assert_close(beta_vae_loss(x, logits, prior, prior, beta=1.0).loss, nll)

    def test_batch_size_does_not_matter(self, pixels: Pair, posterior: Pair) -> None:
        """A batch repeated has the loss of the batch."""
        (logits, x), (mu, logvar) = pixels, posterior
        once = beta_vae_loss(x, logits, mu, logvar, beta=2.0)
        twice = beta_vae_loss(*(torch.cat([t, t]) for t in (x, logits, mu, logvar)), beta=2.0)

        torch.testing.assert_close(twice, once)
