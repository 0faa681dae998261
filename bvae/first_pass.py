"""One training step of the own parts of a configuration, before anything starts.

Images are made up: noise in 0..1. What is found here would otherwise end every trial.

Shapes: B images, M latents, [C, H, W] one image.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bvae import parts
from bvae.checks import described
from bvae.codes import own_score
from bvae.config import Config
from bvae.data.datasets import Description, ImageDataset
from bvae.data.labels import scored
from bvae.exceptions import BvaeError, ConfigError
from bvae.model import BetaVAE
from bvae.train import build_model

B = 4


def mistakes(config: Config) -> list[str]:
    """Return what is wrong with networks, loss, optimiser and scores, as far as one pass shows."""
    data = described(config)
    found = [*_score_mistakes(config, data)]
    with torch.random.fork_rng(devices=[]):
        try:
            model = build_model(config, data.image_shape, n_images=data.number)
            found += _pass_mistakes(model, torch.rand(B, *data.image_shape))
        except BvaeError as error:
            return [*found, *str(error).splitlines()]
    found += _batch_mistakes(model, config, data.number)
    return found


def check_batches(config: Config, dataset: ImageDataset) -> None:
    """Check that there are images enough for each step of the loss, once it is known how many.

    Raises:
        ConfigError: there are too few.
    """
    number = len(dataset.trained_on)
    with torch.random.fork_rng(devices=[]):
        model = build_model(config, dataset.store.image_shape, n_images=number)
    for mistake in _batch_mistakes(model, config, number):
        raise ConfigError(mistake)


def _batch_mistakes(model: BetaVAE, config: Config, number: int) -> Iterator[str]:
    """Yield that so many images are too few, of all at first, then of those not held out."""
    if model.second_batch and 2 * config.trainer.batch_size > number:
        yield (
            f"trainer.batch_size: the loss takes two batches a step, so expected at most half of "
            f"the {number} images of {config.data.name} that are trained on, but got "
            f"{config.trainer.batch_size}"
        )


def _score_mistakes(config: Config, data: Description) -> Iterator[str]:
    """Yield what is wrong with own scores, tried on codes that are noise, and the real factors."""
    if data.labels is None:
        return
    labels, rows = scored(data.labels, config.data.score_every)
    factors = labels.factors(np.arange(len(rows)))
    codes = np.random.default_rng(0).normal(size=(len(rows), config.latent_dim))
    own: Mapping[str, Any] = config.scores
    for name, part in own.items():
        if not isinstance(part, Mapping):
            yield f"scores.{name}: give scores.{name}._target_={part}"
            continue
        try:
            score = parts.build_named(f"scores.{name}", {**part, "_partial_": True})
            inspect.signature(score).bind(None, None)
            own_score(score, codes.astype(np.float32), factors)
        except ConfigError as error:
            yield str(error)
        except TypeError as error:
            yield f"scores.{name}: it is called with codes and factors, but {error}"
        except Exception as error:  # whatever own code raises is a mistake in it
            tried = f"codes {list(codes.shape)} of noise and factors {list(factors.shape)}"
            yield f"scores.{name}: of {tried}: {parts.in_a_line(error)}"


def _pass_mistakes(model: BetaVAE, x: Tensor) -> Iterator[str]:
    """Yield the first thing that is wrong along the way of a batch [B, C, H, W]."""
    M, way = model.latent_dim, "loss.configure_optimizer"
    try:
        (optimizer, *own), schedules = model.configure_optimizers()
        way = "model.encoder"
        coded = model.encoder(x)
        if wrong := _tensor_mistake(coded, (B, 2 * M)):
            yield f"{way}: {wrong}: means, then log-variances, of {M} latents for {B} images"
            return
        mu, logvar = model.encode(x)
        z = model.reparameterize(mu, logvar)
        way = "model.decoder"
        logits = model.decode(z)
        if wrong := _tensor_mistake(logits, tuple(x.shape)):
            yield f"{way}: {wrong}: the logits of {B} images"
            return
        if _are_probabilities(model, M):
            yield (
                f"{way}: expected logits, but all values lie in 0..1 as probabilities do; leave "
                "the last sigmoid out"
            )
            return
        way = "loss"
        named = model.loss(x=x, logits=logits, mu=mu, logvar=logvar, z=z, step=0)
        if wrong := _loss_mistake(named):
            yield f"{way}: {wrong}"
            return
        named["loss"].backward()
        yield from _gradient_mistakes(model)
        way = "optimizer"
        optimizer.step()
        way = "optimizer.schedule"
        for schedule in schedules:
            schedule.step()
        way = "loss.own_loss"
        for one in own:
            model.own_step(z.detach(), x if model.second_batch else None, one)
    except ConfigError:
        raise
    except Exception as error:  # whatever own code raises is a mistake in it
        yield f"{way}: one step of {B} images raised {parts.in_a_line(error)}"


def _gradient_mistakes(model: BetaVAE) -> Iterator[str]:
    for name, network in (("encoder", model.encoder), ("decoder", model.decoder)):
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        if weights and all(weight.grad is None for weight in weights):
            yield f"model.{name}: the gradient of the loss does not reach it; is a result detached?"


def _tensor_mistake(value: object, shape: tuple[int, ...]) -> str:
    if not isinstance(value, Tensor):
        return f"expected a tensor {list(shape)}, but got {type(value).__name__}"
    if tuple(value.shape) != shape:
        return f"expected {list(shape)}, but got {list(value.shape)}"
    if not value.isfinite().all():
        return f"expected finite values {list(shape)}, but got NaN or infinite ones"
    return ""


@torch.no_grad()
def _are_probabilities(model: BetaVAE, M: int) -> bool:
    """Whether what is decoded from far-off codes stays in 0..1; logits go beyond."""
    decoded = model.decode(10 * torch.randn(16, M))
    return bool((decoded >= 0).all() and (decoded <= 1).all())


def _loss_mistake(named: object) -> str:
    if not isinstance(named, Mapping) or "loss" not in named:
        return f"expected named parts, `loss` among them, but got {_listed(named)}"
    for name, value in named.items():
        if not isinstance(value, Tensor) or value.ndim:
            return f"expected {name} to be a scalar tensor, but got {_listed(value)}"
        if not value.isfinite():
            return f"expected finite parts, but {name} is {value.item()}"
    if not named["loss"].requires_grad:
        return "expected a loss that can be derived, but it has no gradient"
    return ""


def _listed(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(map(str, value)) or "none"
    return f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
