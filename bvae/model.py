"""The β-VAE as a LightningModule: what is trained, how, and what a checkpoint must hold.

Shapes: B images in the batch, M latents, [C, H, W] one image with pixels in 0..1.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from bvae.config import BETA_VAE, OPTIMIZERS, TARGET
from bvae.exceptions import ConfigError, NonFiniteLossError
from bvae.image_shape import ImageShape
from bvae.networks import build_networks
from bvae.part_sources import own_sources, targets
from bvae.parts import build_named

# Reading the loss makes a GPU wait for all queued work, so there it is read every so many steps.
# Nothing is missed: a weight that was NaN once stays NaN.
CHECK_EVERY_N_STEPS_ON_GPU = 50


class Outputs(NamedTuple):
    """What one pass gives: logits [B, C, H, W]; mu, logvar and the sample z, [B, M] each."""

    logits: Tensor
    mu: Tensor
    logvar: Tensor
    z: Tensor


class BetaVAE(pl.LightningModule):
    """A β-VAE, or one of another loss, with Gaussian latents and Bernoulli or Gaussian pixels.

    Args:
        network: a name among `bvae.networks.NETWORKS`, for what is not given as a part.
        image_shape: (C, H, W).
        latent_dim: the number M of latents.
        beta: weight of the KL term, or of what the loss has instead; `bvae.losses` says in which
            units.
        encoder: the `_target_` of an own one, and its arguments, plain values.
        decoder: the same.
        optimizer: a name among `OPTIMIZERS`, or a mapping with such a `name` or a `_target_`,
            arguments and, maybe, `schedule`: the `_target_` of a learning-rate schedule, which is
            called with the optimiser, and moves at each step.
        lr: learning rate.
        variance: of Gaussian pixels; None: they are Bernoulli. `bvae.losses` says what that does
            to β.
        loss: what `bvae.parts.build_named` makes a loss of, plain values; None: that of the β-VAE.
            `bvae.losses.loss.Loss` says what it may be.
        n_images: how many images are trained on, for the losses that need it.

    Attributes:
        loss: the module.
        own_sources: hashes of the sources of own parts when they were built, by path.
        trained_sources: the same of the checkpoint that was loaded.
        latest: the parts of the loss of the last training step by name, detached; None before the
            first. A callback reads them every so many steps, because logging each step costs a
            quarter of the time. With an optimiser of the loss's own, `own_loss` is among them.

    Raises:
        ConfigError: the network, image shape, latent size, optimiser or loss is not known.
    """

    latest: dict[str, Tensor] | None

    def __init__(
        self,
        *,
        network: str,
        image_shape: ImageShape,
        latent_dim: int,
        beta: float,
        encoder: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        optimizer: str | Mapping[str, Any] = "adam",
        lr: float = 1e-3,
        variance: float | None = None,
        loss: Mapping[str, Any] | None = None,
        n_images: int | None = None,
    ) -> None:
        super().__init__()
        # Not to the logger: it would overwrite the configuration of the tracked run.
        self.save_hyperparameters(logger=False)
        self.encoder, self.decoder = build_networks(
            network,
            image_shape=image_shape,
            latent_dim=latent_dim,
            encoder=encoder,
            decoder=decoder,
        )
        # Convolutions on the CPU take 10 % less with the channels innermost.
        self.to(memory_format=torch.channels_last)
        offered = {"latent_dim": latent_dim, "beta": beta, "variance": variance}
        if n_images is not None:
            offered["n_images"] = n_images
        self.loss: Any = build_named("loss", loss or BETA_VAE, **offered)
        self.latent_dim = latent_dim
        self.beta = beta
        self.variance = variance
        self.optimizer = {"name": optimizer} if isinstance(optimizer, str) else dict(optimizer)
        self.lr = lr
        self.latest = None
        # Lightning's own way to the same step goes through hooks that cost it 0.4 ms more.
        self.automatic_optimization = False
        self._generator_states: dict[str, Tensor] = {}
        self.own_sources = own_sources(targets(dict(self.hparams)), None)
        self.trained_sources: dict[str, str] = {}

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W] to the posterior's mu and logvar, float32 [B, M] each."""
        mu, logvar = self.encoder(x).float().chunk(2, dim=1)
        return mu, logvar

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Draw z = μ + σ · ε with ε ~ N(0, I), [B, M], from torch's global generator."""
        return mu + (0.5 * logvar).exp() * torch.randn_like(mu)

    def decode(self, z: Tensor) -> Tensor:
        """Latents [B, M] to logits [B, C, H, W], whose sigmoids are the means of the pixels."""
        logits: Tensor = self.decoder(z)
        return logits

    def forward(self, x: Tensor) -> Outputs:
        """Encode, draw once from the posterior, decode."""
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return Outputs(self.decode(z), mu, logvar, z)

    @property
    def second_batch(self) -> bool:
        """Whether a step needs a second batch, for the loss alone."""
        return bool(getattr(self.loss, "second_batch", False))

    def losses(self, x: Tensor, outputs: Outputs) -> Mapping[str, Tensor]:
        """Parts of the loss of images [B, C, H, W] in 0..1; kept in `latest`, detached.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        step = self.global_step
        parts: Mapping[str, Tensor] = self.loss(x=x, **outputs._asdict(), step=step)
        self.latest = {name: part.detach() for name, part in parts.items()}
        every = 1 if self.device.type == "cpu" else CHECK_EVERY_N_STEPS_ON_GPU
        if step % every == 0:
            self._check_finite(self.latest, step=step + 1)
        return parts

    def training_step(self, batches: list[Tensor], batch_idx: int) -> None:
        """Take one step of the optimiser on each of the batches [B, C, H, W] in 0..1.

        Where the loss needs a second batch, they are of 2B images, the second batch last.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        found = self.optimizers()
        optimizer, *own = found if isinstance(found, list) else [found]
        schedule: Any = self.lr_schedulers()
        for batch in batches:
            x, second = batch.chunk(2) if self.second_batch else (batch, None)
            outputs = self(x)
            loss = self.losses(x, outputs)["loss"]
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            if schedule is not None:
                schedule.step()
            for one in own:  # the raw one: Lightning would count its step as one more
                self.own_step(outputs.z.detach(), second, one.optimizer)

    def own_step(self, z: Tensor, second: Tensor | None, optimizer: Optimizer) -> None:
        """Take a step of the loss's own optimiser.

        In float32: nothing scales its gradients, as mixed precision scales the model's.

        Args:
            z: [B, M], the samples of the batch.
            second: [B, C, H, W], the second batch, if the loss needs one.
            optimizer: what its `configure_optimizer` made.
        """
        with torch.no_grad():
            z_second = z if second is None else self.reparameterize(*self.encode(second))
        with torch.autocast(self.device.type, enabled=False):
            loss = self.loss.own_loss(z, z_second)
        if self.latest is not None:
            self.latest["own_loss"] = loss.detach()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def on_train_end(self) -> None:
        """Check the last loss, which a GPU may not have been asked for."""
        if self.latest is not None:
            self._check_finite(self.latest, step=self.global_step)

    def _check_finite(self, parts: Mapping[str, Tensor], *, step: int) -> None:
        if not torch.isfinite(parts["loss"]):
            values = {name: part for name, part in parts.items() if name != "loss"}
            values.setdefault("beta", torch.tensor(self.beta))
            raise NonFiniteLossError(
                f"expected a finite training loss, got {parts['loss']:.6g} at step {step} "
                f"({', '.join(f'{name} {value:.6g}' for name, value in values.items())}); "
                f"lower optimizer.lr, now {self.lr:g}"
            )

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """The optimiser, that of the loss if it has one, and the schedule of the learning rate.

        Raises:
            ConfigError: one of them cannot be built.
        """
        own: list[Optimizer] = []
        if hasattr(self.loss, "configure_optimizer"):
            own = [self.loss.configure_optimizer()]
        theirs = {id(p) for one in own for group in one.param_groups for p in group["params"]}
        parameters = [p for p in self.parameters() if id(p) not in theirs]
        settings = dict(self.optimizer)
        schedule = settings.pop("schedule", None)
        optimizer = self._optimizer(settings, parameters)
        schedules = [] if schedule is None else [_schedule(schedule, optimizer)]
        return [optimizer, *own], schedules

    def _optimizer(self, settings: dict[str, Any], parameters: list[Parameter]) -> Optimizer:
        """Adam, Adagrad, or an own one. Fused, a step on the CPU takes up to 40 % less."""
        name = settings.get("name")
        if TARGET not in settings:
            if name not in OPTIMIZERS:
                known = ", ".join(OPTIMIZERS)
                raise ConfigError(f"expected an optimizer among {known}, got {name!r}")
            # torch 2.13 fuses Adagrad on CUDA too, which is not measured here, but not on MPS.
            fused = name == "adam" or self.device.type == "cpu"
            settings = {"fused": fused} | settings | {TARGET: OPTIMIZERS[name]}
        made = build_named("optimizer", settings | {"lr": self.lr}, parameters)
        if not isinstance(made, Optimizer):
            raise ConfigError(f"optimizer: expected one of torch's, but got {type(made).__name__}")
        return made

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the generators' states, so that a resumed fit draws the noise it would have drawn.

        And the hashes of the sources of own parts, so that `bvae.load` can tell others.
        """
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        if self.device.type == "mps":
            states["mps"] = torch.mps.get_rng_state()
        checkpoint["generator_states"] = states
        checkpoint["own_sources"] = self.own_sources

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the generators' states for `on_train_start`: merely loading a model sets nothing."""
        self._generator_states = checkpoint.get("generator_states", {})
        self.trained_sources = checkpoint.get("own_sources", {})

    def on_train_start(self) -> None:
        """Continue the generators of the checkpoint that is resumed, if one is."""
        if "cpu" in self._generator_states:
            torch.set_rng_state(self._generator_states["cpu"].cpu())
        if "cuda" in self._generator_states and self.device.type == "cuda":
            torch.cuda.set_rng_state(self._generator_states["cuda"].cpu(), self.device)
        if "mps" in self._generator_states and self.device.type == "mps":
            torch.mps.set_rng_state(self._generator_states["mps"].cpu())
        self._generator_states = {}


def _schedule(part: Mapping[str, Any], optimizer: Optimizer) -> LRScheduler:
    made = build_named("optimizer.schedule", part, optimizer)
    if not isinstance(made, LRScheduler) or isinstance(made, ReduceLROnPlateau):
        raise ConfigError(
            "optimizer.schedule: expected one of torch's that moves at every step, but got "
            f"{type(made).__name__}"
        )
    return made
