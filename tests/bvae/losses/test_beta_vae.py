from typing import Any

import numpy as np
import pytest
import torch
from torch import distributions

from bvae.exceptions import ConfigError
from bvae.losses import BetaVAELoss, bernoulli_nll, kl_per_latent, nll

Pair = tuple[torch.Tensor, torch.Tensor]


def of(
    x: torch.Tensor,
    logits: torch.Tensor,
    mu: torch.Tensor,
    logvar: torch.Tensor,
    *,
    step: int = 0,
    **given: Any,
) -> dict[str, torch.Tensor]:
    """Return the parts of a β-VAE's loss."""
    return dict(BetaVAELoss(**given)(x, logits, mu, logvar, mu, step))


class TestConstant:
    def test_is_recon_plus_beta_kl(self, pixels: Pair, posterior: Pair) -> None:
        """The loss is the batch mean of sums over pixels and latents, with β on the second."""
        (logits, x), (mu, logvar) = pixels, posterior
        recon = -distributions.Bernoulli(logits=logits).log_prob(x).numpy().reshape(8, 16).sum(1)
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).numpy().sum(1)

        losses = of(x, logits, mu, logvar, beta=4.0)

        assert {"loss", "recon", "kl"} == losses.keys()
        assert losses["recon"].item() == pytest.approx(np.mean(recon), rel=1e-6)
        assert losses["kl"].item() == pytest.approx(np.mean(kl), rel=1e-6)
        assert losses["loss"].item() == pytest.approx(np.mean(recon + 4 * kl), rel=1e-6)

    @pytest.mark.parametrize("variance", [None, 0.1])
    def test_bit_for_bit(self, pixels: Pair, posterior: Pair, variance: float | None) -> None:
        """Studies go on with the very numbers: the order of the sums is fixed."""
        (logits, x), (mu, logvar) = pixels, posterior
        recon = nll(logits, x, variance=variance).mean()
        kl = kl_per_latent(mu, logvar).mean(0).sum()

        assert torch.equal(
            recon + 4.0 * kl, of(x, logits, mu, logvar, beta=4.0, variance=variance)["loss"]
        )

    def test_is_minus_elbo_at_beta_1(self, pixels: Pair, posterior: Pair) -> None:
        """At β = 1 the loss bounds -log p(x), estimated from a decoder that ignores z."""
        (logits, x), (mu, logvar) = pixels, posterior
        nats = bernoulli_nll(logits, x).mean()

        assert of(x, logits, mu, logvar, beta=1.0)["loss"] > nats
        prior = torch.zeros(8, 5)
        torch.testing.assert_close(of(x, logits, prior, prior, beta=1.0)["loss"], nats)

    def test_batch_size_does_not_matter(self, pixels: Pair, posterior: Pair) -> None:
        """A batch repeated has the loss of the batch."""
        (logits, x), (mu, logvar) = pixels, posterior
        once = of(x, logits, mu, logvar, beta=2.0)
        twice = of(*(torch.cat([t, t]) for t in (x, logits, mu, logvar)), beta=2.0)

        torch.testing.assert_close(twice, once)

    @pytest.mark.parametrize("factor", [0.1, 4.0])
    def test_only_beta_times_variance_matters(self, posterior: Pair, factor: float) -> None:
        """β with σ² and β/c with c σ² pull in the same direction, the second c times less hard."""
        generator = torch.Generator().manual_seed(2)
        decoder = torch.randn(5, 16, generator=generator, requires_grad=True)
        x, (mu, logvar) = torch.rand(8, 1, 4, 4, generator=generator), posterior

        def pull(beta: float, variance: float) -> torch.Tensor:
            mean = mu.clone().requires_grad_()
            logits = (mean @ decoder).reshape(8, 1, 4, 4)
            losses = of(x, logits, mean, logvar, beta=beta, variance=variance)
            grad = torch.autograd.grad(losses["loss"], [mean, decoder])
            return torch.cat([part.flatten() for part in grad])

        torch.testing.assert_close(pull(4.0, 0.1), factor * pull(4.0 / factor, 0.1 * factor))


class TestSchedule:
    @pytest.mark.parametrize(
        ("schedule", "step", "expected"),
        [
            ("constant", 0, 4.0),
            ("linear", 0, 0.0),
            ("linear", 30, 1.2),
            ("linear", 100, 4.0),
            ("linear", 1000, 4.0),
            ("cyclical", 0, 0.0),
            ("cyclical", 4, 1.6),
            ("cyclical", 10, 4.0),
            ("cyclical", 19, 4.0),
            ("cyclical", 20, 0.0),
            ("cyclical", 24, 1.6),
            ("cyclical", 99, 4.0),
            ("cyclical", 100, 4.0),
            ("cyclical", 104, 4.0),
        ],
    )
    def test_beta_at_a_step(self, schedule: str, step: int, expected: float) -> None:
        """Over 100 steps, in one rise or in five cycles of which half is a rise; then β."""
        loss = BetaVAELoss(beta=4.0, schedule=schedule, schedule_steps=100, cycles=5)  # type: ignore[arg-type]

        assert loss.beta_at(step) == pytest.approx(expected)

    def test_the_beta_in_force_weighs_the_kl(self, pixels: Pair, posterior: Pair) -> None:
        """A quarter of the way it is a quarter of β, and is among the parts."""
        (logits, x), (mu, logvar) = pixels, posterior
        given = {"beta": 4.0, "schedule": "linear", "schedule_steps": 100}
        parts = of(x, logits, mu, logvar, step=25, **given)

        assert 1.0 == parts["beta"].item()
        torch.testing.assert_close(parts["recon"] + parts["kl"], parts["loss"])

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"schedule": "cosine"}, "loss.schedule: expected one of constant, linear, cyclical"),
            ({"schedule_steps": 0}, "at least 1, but got 0 and 4"),
            ({"cycles": 0}, "at least 1, but got 1000 and 0"),
        ],
    )
    def test_what_no_schedule_can_be(self, given: dict[str, Any], message: str) -> None:
        """A mistake is found when the loss is built."""
        with pytest.raises(ConfigError, match=message):
            BetaVAELoss(beta=1.0, **given)
