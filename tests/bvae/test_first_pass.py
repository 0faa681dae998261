"""Own parts of every wrong kind, each refused with one sentence before anything is trained."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bvae import config
from bvae.first_pass import mistakes
from bvae.losses import Loss
from tests.bvae.test_train import VALUES

HERE = "tests.bvae.test_first_pass"


class Encoder(nn.Module):
    """An encoder [B, 1, 32, 32] to [B, 2M] whose result is spoilt in one way."""

    def __init__(self, latent_dim: int, spoilt: str = "", width: int | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(1024, width or 2 * latent_dim)
        self.spoilt = spoilt

    def forward(self, x: Tensor) -> Any:
        """Encode."""
        coded = self.layer(x.flatten(1))
        if self.spoilt == "raises":
            raise RuntimeError("my own message")
        spoilt = {"nan": coded * torch.nan, "tuple": (coded, coded), "detached": coded.detach()}
        return spoilt.get(self.spoilt, coded)


class Decoder(nn.Module):
    """A decoder [B, M] to [B, 1, 32, 32], or a flat or a squashed one."""

    def __init__(self, latent_dim: int, spoilt: str = "") -> None:
        super().__init__()
        self.layer = nn.Linear(latent_dim, 1024)
        self.spoilt = spoilt

    def forward(self, z: Tensor) -> Tensor:
        """Decode."""
        pixels = self.layer(z)
        if self.spoilt == "flat":
            return pixels
        logits = pixels.unflatten(1, (1, 32, 32))
        return logits.sigmoid() if self.spoilt == "probabilities" else logits


class Spoilt(nn.Module):
    """A loss that returns something else."""

    def __init__(self, returned: str) -> None:
        super().__init__()
        self.returned = returned

    def forward(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor, z: Tensor, step: int
    ) -> Any:
        """Return it."""
        of_images = (logits - x).square().mean((1, 2, 3))
        found: Mapping[str, Any] = {
            "tensor": of_images.mean(),
            "unnamed": {"recon": of_images.mean()},
            "images": {"loss": of_images},
            "nan": {"loss": of_images.mean(), "kl": of_images.mean() / 0 * 0},
            "detached": {"loss": of_images.mean().detach()},
        }
        return found[self.returned]


class Adversarial(Loss):
    """A loss with an optimiser of its own, spoilt in one way."""

    def __init__(self, *, beta: float, spoilt: str) -> None:
        super().__init__(beta=beta)
        self.weight = nn.Parameter(torch.ones(()))
        self.spoilt = spoilt

    def forward(
        self, x: Tensor, logits: Tensor, mu: Tensor, logvar: Tensor, z: Tensor, step: int
    ) -> Any:
        """That of the VAE."""
        recon, kl = self.recon_and_kl(x, logits, mu, logvar)
        return {"loss": recon + kl}

    def own_loss(self, z: Tensor, z_second: Tensor) -> Tensor:
        """Of other shapes than those of z."""
        return (self.weight * z @ z_second).sum()

    def configure_optimizer(self) -> Any:
        """Return it, or a list of it."""
        made = torch.optim.SGD([self.weight], lr=1.0)
        return [made] if self.spoilt == "list" else made


class Turned(nn.Module):
    """A loss whose forward names its arguments in another order."""

    def forward(
        self, step: int, z: Tensor, logvar: Tensor, mu: Tensor, logits: Tensor, x: Tensor
    ) -> Any:
        """What fails where one is taken for the other."""
        assert mu.shape == z.shape
        return {"loss": (logits - x).square().mean() + mu.square().mean() + logvar.mean()}


def score(codes: Any) -> float:
    """Take codes alone, where factors come too."""
    return float(codes.mean())


def unknown(codes: Any, factors: Any) -> float:
    """Say no number."""
    return float(codes.mean() + factors.mean()) * float("nan")


def raises(codes: Any, factors: Any) -> float:
    """Divide by zero."""
    return len(codes) / (len(factors) - len(codes))


def wrong_with(**changed: dict[str, Any]) -> str:
    """Return the mistakes of the tests' configuration with some parts changed."""
    values = {key: VALUES.get(key, {}) | value for key, value in changed.items()}
    return "\n".join(mistakes(config.parse(VALUES | values)))


def networks(encoder: str = "", decoder: str = "", **further: Any) -> dict[str, Any]:
    """Return own networks, spoilt in these ways."""
    return {
        "name": "own",
        "encoder": {"_target_": f"{HERE}.Encoder", "spoilt": encoder, **further},
        "decoder": {"_target_": f"{HERE}.Decoder", "spoilt": decoder},
    }


def test_right_parts_pass() -> None:
    """Own networks, an own optimiser and another loss have no mistakes."""
    assert "" == wrong_with(
        model=networks(),
        loss={"_target_": "bvae.losses.FactorVAELoss", "discriminator_width": 8},
        optimizer={"_target_": "torch.optim.SGD"},
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"width": 10}, "model.encoder: expected [4, 6], but got [4, 10]"),
        ({"encoder": "nan"}, "model.encoder: expected finite values"),
        ({"encoder": "tuple"}, "model.encoder: expected a tensor [4, 6], but got tuple"),
        ({"encoder": "raises"}, "raised RuntimeError: my own message"),
        ({"encoder": "detached"}, "model.encoder: the gradient of the loss does not reach it"),
        ({"decoder": "flat"}, "model.decoder: expected [4, 1, 32, 32], but got [4, 1024]"),
        ({"decoder": "probabilities"}, "model.decoder: expected logits"),
        ({"depth": 3}, "model.encoder: "),
    ],
)
def test_networks(parts: dict[str, Any], message: str) -> None:
    """Wrong shapes, values, types and arguments are told, with what was expected."""
    assert message in wrong_with(model=networks(**parts))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("tensor", "loss: expected named parts, `loss` among them, but got a tensor []"),
        ("unnamed", "loss: expected named parts, `loss` among them, but got recon"),
        ("images", "loss: expected loss to be a scalar tensor, but got a tensor [4]"),
        ("nan", "loss: expected finite parts, but kl is nan"),
        ("detached", "loss: expected a loss that can be derived"),
    ],
)
def test_losses(returned: str, message: str) -> None:
    """What a loss returns is looked at."""
    assert message in wrong_with(loss={"_target_": f"{HERE}.Spoilt", "returned": returned})


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ("list", "loss.configure_optimizer: one step of 4 images raised AttributeError"),
        ("shapes", "loss.own_loss: one step of 4 images raised RuntimeError"),
    ],
)
def test_own_optimizers(spoilt: str, message: str) -> None:
    """The optimiser of a loss takes a step, too."""
    assert message in wrong_with(loss={"_target_": f"{HERE}.Adversarial", "spoilt": spoilt})


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"_target_": "torch.optim.LBFGS"}, "optimizer: .* raised TypeError: .*'closure'"),
        (
            {"schedule": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau"}},
            "optimizer.schedule: .* got ReduceLROnPlateau",
        ),
    ],
)
def test_optimizers(optimizer: dict[str, Any], message: str) -> None:
    """What needs more for a step than it is given is told."""
    assert re.search(message, wrong_with(optimizer=optimizer))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (f"{HERE}.score", "scores.mine: it is called with codes and factors, but"),
        (f"{HERE}.nothing", "scores.mine: "),
        ("no_such_module.score", "no_such_module"),
        (f"{HERE}.unknown", "ValueError: expected a finite number, but got nan"),
        (f"{HERE}.raises", "ZeroDivisionError"),
    ],
)
def test_scores(target: str, message: str) -> None:
    """A score that cannot be imported or called is told."""
    assert message in wrong_with(scores={"mine": {"_target_": target}})


def test_all_at_once_and_the_generator_stays() -> None:
    """Mistakes of scores and networks come together; torch's generator is as it was."""
    before = torch.get_rng_state()
    found = wrong_with(model=networks(width=10), scores={"mine": {"_target_": f"{HERE}.nothing"}})

    assert "scores.mine" in found
    assert "model.encoder" in found
    assert torch.equal(before, torch.get_rng_state())
