"""What holds for every loss that `conf/loss/` names."""

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from bvae import config
from bvae.losses import Loss, kl_nats, nll
from bvae.parts import build_named

NAMES = [name for name in config.groups()["loss"] if name != "own"]

DEFAULTS: dict[str, Any] = {"latent_dim": 5, "n_images": 100, "beta": 3.0, "variance": None}


def make(name: str, **offered: Any) -> Any:
    """Return a loss as its file has it."""
    torch.manual_seed(0)
    part = OmegaConf.to_container(OmegaConf.load(config.directory() / "loss" / f"{name}.yaml"))
    assert isinstance(part, dict)
    assert name == part["name"]
    return build_named("loss", part, **(DEFAULTS | offered))


def test_there_are_six() -> None:
    """The objectives of the field are choices of one group."""
    names = ["annealed_vae", "beta_tcvae", "beta_vae", "dip_vae_i", "dip_vae_ii", "factor_vae"]

    assert names == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestEveryLoss:
    def test_its_parts_are_scalars_with_recon_and_kl(self, name: str, batch: Any) -> None:
        """It is a module; recon and kl are those of `bvae.losses`."""
        loss = make(name).double()
        parts = loss(*batch, 10)

        assert isinstance(loss, Loss)
        assert isinstance(loss, nn.Module)
        assert {()} == {tuple(part.shape) for part in parts.values()}
        torch.testing.assert_close(nll(batch.logits, batch.x, variance=None).mean(), parts["recon"])
        torch.testing.assert_close(kl_nats(batch.mu, batch.logvar), parts["kl"])

    def test_beta_weighs_the_regulariser(self, name: str, batch: Any) -> None:
        """The loss is a line in β."""
        at = [make(name, beta=float(beta)).double()(*batch, 10)["loss"] for beta in (1, 2, 5)]

        assert at[0] != at[1]
        torch.testing.assert_close(at[2] - at[1], 3 * (at[1] - at[0]))

    def test_gaussian_pixels_change_recon_alone(self, name: str, batch: Any) -> None:
        """With a variance recon is a density; what is added to it is the same."""
        plain, gaussian = (
            make(name, variance=variance).double()(*batch, 10) for variance in (None, 0.1)
        )

        torch.testing.assert_close(
            gaussian["recon"], nll(batch.logits, batch.x, variance=0.1).mean()
        )
        torch.testing.assert_close(
            gaussian["loss"] - gaussian["recon"], plain["loss"] - plain["recon"]
        )

    def test_its_gradient_is_right(self, name: str, batch: Any) -> None:
        """Derivatives by logits, mu, logvar and z are those of small differences, in float64."""
        loss = make(name).double()

        def of(*parts: torch.Tensor) -> torch.Tensor:
            value: torch.Tensor = loss(batch.x, *parts, 10)["loss"]
            return value

        inputs = [part.clone().requires_grad_() for part in batch[1:]]
        assert torch.autograd.gradcheck(of, inputs)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_stays_finite(self, name: str, batch: Any, dtype: torch.dtype) -> None:
        """Means of 300, whose squares no float16 holds, have a finite loss and a float32 KL."""
        far = batch._replace(mu=batch.mu + 300, z=batch.z + 300)
        x, *rest = (part.float() for part in far)
        halves = [part.to(dtype) for part in rest]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            parts = make(name)(x, *halves, 10)

        assert all(part.isfinite() for part in parts.values())
        expected = kl_nats(*(part.double() for part in halves[1:3]))
        assert parts["kl"].item() == pytest.approx(expected.item(), rel=1e-5)

    def test_it_depends_on_the_step_and_not_on_the_calls_before(
        self, name: str, batch: Any
    ) -> None:
        """Validation calls it too, and must not carry a schedule on."""
        loss = make(name).double()
        first = loss(*batch, 10)
        for _ in range(3):
            loss.eval()(*batch, 500)

        assert first == loss.train()(*batch, 10)


def test_a_loss_says_what_it_gives() -> None:
    """The base class has no loss of its own."""
    nothing = torch.zeros(1, 1)

    with pytest.raises(NotImplementedError):
        Loss(beta=1.0)(nothing, nothing, nothing, nothing, nothing, 0)
