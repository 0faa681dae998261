import math

import pytest
import torch
from scipy import integrate, stats
from torch import distributions

from bvae.losses import kl_nats, kl_per_latent

Pair = tuple[torch.Tensor, torch.Tensor]


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


class TestKlNats:
    def test_against_torch_distributions(self, posterior: Pair) -> None:
        """Latents are summed; images are averaged over."""
        mu, logvar = posterior
        q = distributions.Normal(mu, (0.5 * logvar).exp())
        expected = distributions.kl_divergence(q, distributions.Normal(0.0, 1.0)).sum(1).mean()

        torch.testing.assert_close(kl_nats(mu, logvar), expected)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_kl_of_halves_is_that_of_floats(self, dtype: torch.dtype) -> None:
        """Means of 300, whose squares no float16 holds, have their KL also in half precision."""
        mu, logvar = torch.full((8, 5), 300.0), torch.full((8, 5), -0.75)
        expected = 5 * 0.5 * (300**2 + math.exp(-0.75) - 1 + 0.75)

        assert kl_nats(mu.to(dtype), logvar.to(dtype)).item() == pytest.approx(expected, rel=1e-6)

    def test_doubles_stay_doubles(self) -> None:
        """Only half precision is widened."""
        assert torch.float64 == kl_nats(*torch.zeros(2, 3, 4, dtype=torch.float64)).dtype
