import math

import pytest
import torch
from torch import distributions

from bvae.losses import bernoulli_nll, gaussian_nll, least_nll, nll

Pair = tuple[torch.Tensor, torch.Tensor]


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
