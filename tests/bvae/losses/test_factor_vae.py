import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from bvae.losses import FactorVAELoss
from bvae.losses.factor_vae import permute_latents


def gaussian_codes(rho: float, number: int, generator: torch.Generator) -> torch.Tensor:
    """Draw pairs [n, 2] of standard normals with correlation rho."""
    noise = torch.randn(number, 2, generator=generator)
    return torch.stack([noise[:, 0], rho * noise[:, 0] + (1 - rho**2) ** 0.5 * noise[:, 1]], 1)


class Ratio(torch.nn.Module):
    """The discriminator that none is better than: the log-ratio of the two densities."""

    def __init__(self, rho: float) -> None:
        super().__init__()
        self.rho = rho

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return log q(z) - log q(z_1) q(z_2) of z [n, 2]."""
        zero = torch.zeros(2)
        together = torch.distributions.MultivariateNormal(
            zero, torch.tensor([[1, self.rho], [self.rho, 1]])
        )
        apart = torch.distributions.MultivariateNormal(zero, torch.eye(2))
        return (together.log_prob(z) - apart.log_prob(z))[:, None]


class TestTotalCorrelation:
    def test_an_optimal_discriminator_gives_the_true_one(self, batch: Any) -> None:
        """Of two latents with correlation 0.8 it is -½ log(1 - 0.8²) = 0.51 nats."""
        z = gaussian_codes(0.8, 200_000, torch.Generator().manual_seed(0))
        loss = FactorVAELoss(latent_dim=2, beta=1.0, discriminator_width=2)
        loss.discriminator = torch.nn.Sequential(Ratio(0.8))

        tc = loss(*batch._replace(z=z), 0)["tc"].item()

        assert tc == pytest.approx(-0.5 * math.log(1 - 0.8**2), abs=0.01)

    def test_a_discriminator_learns_it(self, batch: Any) -> None:
        """Trained by its own loss and optimiser, it finds the 0.51 nats within a tenth."""
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(1)
        loss = FactorVAELoss(latent_dim=2, beta=1.0, discriminator_width=32, discriminator_lr=3e-3)
        optimizer = loss.configure_optimizer()
        for _ in range(1000):
            z, second = gaussian_codes(0.8, 2 * 256, generator).chunk(2)
            optimizer.zero_grad()
            loss.own_loss(z, second).backward()
            optimizer.step()
        z = gaussian_codes(0.8, 50_000, generator)
        tc = loss(*batch._replace(z=z), 0)["tc"].item()

        assert tc == pytest.approx(-0.5 * math.log(1 - 0.8**2), abs=0.1)

    def test_it_weighs_gamma_beside_the_whole_kl(self, batch: Any) -> None:
        """What is added to recon is KL + γ · TC."""
        parts = FactorVAELoss(latent_dim=5, beta=35.0, discriminator_width=8).double()(*batch, 0)

        torch.testing.assert_close(parts["recon"] + parts["kl"] + 35 * parts["tc"], parts["loss"])

    def test_a_new_discriminator_knows_nothing(self, batch: Any) -> None:
        """The total correlation begins near 0."""
        torch.manual_seed(0)

        assert abs(FactorVAELoss(latent_dim=5, beta=1.0).double()(*batch, 0)["tc"].item()) < 0.05

    def test_the_model_alone_learns_from_it(self, batch: Any) -> None:
        """The loss has a gradient by z, and none by the discriminator's weights."""
        loss = FactorVAELoss(latent_dim=5, beta=1.0, discriminator_width=8).double()
        z = batch.z.clone().requires_grad_()
        loss(*batch._replace(z=z), 0)["loss"].backward()

        assert z.grad.abs().sum() > 0
        assert [None] * 14 == [weight.grad for weight in loss.parameters()]


class TestDiscriminator:
    def test_is_the_papers(self) -> None:
        """Six hidden layers of 1000 with leaky ReLU (0.2); Adam of 1e-4, 0.5 and 0.9."""
        loss = FactorVAELoss(latent_dim=10, beta=1.0)
        layers = list(loss.discriminator)
        linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
        leaky = [layer for layer in layers if isinstance(layer, torch.nn.LeakyReLU)]
        optimizer = loss.configure_optimizer()

        assert [(10, 1000), *[(1000, 1000)] * 5, (1000, 1)] == [
            (layer.in_features, layer.out_features) for layer in linear
        ]
        assert [0.2] * 6 == [layer.negative_slope for layer in leaky]
        assert isinstance(optimizer, torch.optim.Adam)
        assert (1e-4, (0.5, 0.9)) == (optimizer.defaults["lr"], optimizer.defaults["betas"])
        assert FactorVAELoss.second_batch

    def test_its_loss_is_a_cross_entropy(self, batch: Any) -> None:
        """Half that of the codes as true, and half that of the second, permuted, as false."""
        loss = FactorVAELoss(latent_dim=5, beta=1.0, discriminator_width=8).double()
        second = batch.mu
        torch.manual_seed(3)
        found = loss.own_loss(batch.z, second)
        torch.manual_seed(3)
        logits = loss.discriminator(torch.cat([batch.z, permute_latents(second)]))
        labels = torch.cat([torch.ones(8, 1), torch.zeros(8, 1)]).double()

        torch.testing.assert_close(F.binary_cross_entropy_with_logits(logits, labels), found)

    def test_one_that_cannot_tell_has_log_2(self) -> None:
        """Independent codes are as their permutations: the loss of a constant is log 2."""
        loss = FactorVAELoss(latent_dim=5, beta=1.0, discriminator_width=8)
        for weight in loss.parameters():
            torch.nn.init.zeros_(weight)

        own = loss.own_loss(torch.randn(8, 5), torch.randn(8, 5)).item()
        assert own == pytest.approx(math.log(2))


class TestPermuteLatents:
    def test_each_latent_keeps_its_values(self) -> None:
        """Values move across the batch, each within its latent, never within their code."""
        z = torch.arange(40.0).reshape(8, 5)
        torch.manual_seed(0)
        permuted = permute_latents(z)

        assert not torch.equal(permuted, z)
        assert torch.equal(z, permuted.sort(0).values)

    def test_latents_move_apart(self) -> None:
        """Each has a permutation of its own: of equal latents correlation is gone."""
        z = torch.randn(5000, 1, generator=torch.Generator().manual_seed(0)).expand(5000, 3)
        torch.manual_seed(0)
        correlation = torch.corrcoef(permute_latents(z).T)

        assert (correlation - torch.eye(3)).abs().max() < 0.05

    def test_every_permutation_is_as_likely(self) -> None:
        """The six orders of three values come about equally often."""
        torch.manual_seed(0)
        columns = permute_latents(torch.arange(3.0)[:, None].expand(3, 6000)).T
        _, counts = columns.unique(dim=0, return_counts=True)

        assert 6 == len(counts)
        assert (counts - 1000).abs().max() < 120  # four standard deviations
