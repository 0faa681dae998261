"""The β-VAE as a LightningModule: what is trained, how, and what a checkpoint must hold.

Shapes: B images in the batch, M latents, [C, H, W] one image with pixels in 0..1.
"""

from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Adagrad, Adam, Optimizer

from bvae.exceptions import ConfigError, NonFiniteLossError
from bvae.image_shape import ImageShape
from bvae.losses import Losses, beta_vae_loss
from bvae.networks import build_networks

OPTIMIZERS = ("adagrad", "adam")

# Reading the loss makes a GPU wait for all queued work, so there it is read every so many steps.
# Nothing is missed: a weight that was NaN once stays NaN.
CHECK_EVERY_N_STEPS_ON_GPU = 50


class Outputs(NamedTuple):
    """What one pass gives: logits [B, C, H, W], mu and logvar [B, M]."""

    logits: Tensor
    mu: Tensor
    logvar: Tensor


class BetaVAE(pl.LightningModule):
    """A β-VAE (Higgins et al. 2017) with Gaussian latents and Bernoulli or Gaussian pixels.

    Args:
        network: a name among `bvae.networks.NETWORKS`.
        image_shape: (C, H, W).
        latent_dim: the number M of latents.
        beta: weight of the KL term; `bvae.losses` says in which units.
        optimizer: a name among `OPTIMIZERS`.
        lr: learning rate.
        variance: of Gaussian pixels; None: they are Bernoulli. `bvae.losses` says what that does
            to β.

    Attributes:
        latest: the losses of the last training step, detached; None before the first. A callback
            reads them every so many steps, because logging each step costs a quarter of the time.

    Raises:
        ConfigError: the network, image shape, latent size or optimiser is not known.
    """

    latest: Losses | None

    def __init__(
        self,
        *,
        network: str,
        image_shape: ImageShape,
        latent_dim: int,
        beta: float,
        optimizer: str = "adam",
        lr: float = 1e-3,
        variance: float | None = None,
    ) -> None:
        super().__init__()
        if optimizer not in OPTIMIZERS:
            raise ConfigError(
                f"expected an optimizer among {', '.join(OPTIMIZERS)}, got {optimizer!r}"
            )
        # Not to the logger: it would overwrite the configuration of the tracked run.
        self.save_hyperparameters(logger=False)
        self.encoder, self.decoder = build_networks(
            network, image_shape=image_shape, latent_dim=latent_dim
        )
        # Convolutions on the CPU take 10 % less with the channels innermost.
        self.to(memory_format=torch.channels_last)
        self.beta = beta
        self.variance = variance
        self.optimizer = optimizer
        self.lr = lr
        self.latest = None
        # Lightning's own way to the same step goes through hooks that cost it 0.4 ms more.
        self.automatic_optimization = False
        self._generator_states: dict[str, Tensor] = {}

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
        return Outputs(self.decode(self.reparameterize(mu, logvar)), mu, logvar)

    def losses(self, batch: Tensor) -> Losses:
        """Losses of a batch [B, C, H, W] in 0..1; kept in `latest`, detached.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        losses = beta_vae_loss(batch, *self(batch), beta=self.beta, variance=self.variance)
        self.latest = Losses(*(part.detach() for part in losses))
        every = 1 if self.device.type == "cpu" else CHECK_EVERY_N_STEPS_ON_GPU
        if self.global_step % every == 0:
            self._check_finite(self.latest, step=self.global_step + 1)
        return losses

    def training_step(self, batches: list[Tensor], batch_idx: int) -> None:
        """Take one step of the optimiser on each of the batches [B, C, H, W] in 0..1.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        optimizer = self.optimizers()
        if isinstance(optimizer, list):  # Lightning's return type allows for several
            raise TypeError(f"expected one optimizer, but got {len(optimizer)}")
        for batch in batches:
            loss = self.losses(batch).loss
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def on_train_end(self) -> None:
        """Check the last loss, which a GPU may not have been asked for."""
        if self.latest is not None:
            self._check_finite(self.latest, step=self.global_step)

    def _check_finite(self, losses: Losses, *, step: int) -> None:
        if not torch.isfinite(losses.loss):
            raise NonFiniteLossError(
                f"expected a finite training loss, got {losses.loss:.6g} at step {step} "
                f"(recon {losses.recon:.6g}, kl {losses.kl:.6g}, beta {self.beta:g}); "
                f"lower optimizer.lr, now {self.lr:g}"
            )

    def configure_optimizers(self) -> Optimizer:
        """Adam or Adagrad; fused, a training step on the CPU takes up to 40 % less."""
        if self.optimizer == "adam":
            return Adam(self.parameters(), lr=self.lr, fused=True)
        # torch 2.13 fuses it on CUDA too, which is not measured here, but not on MPS.
        fused = self.device.type == "cpu"
        return Adagrad(self.parameters(), lr=self.lr, fused=fused)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the generators' states, so that a resumed fit draws the noise it would have drawn."""
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        if self.device.type == "mps":
            states["mps"] = torch.mps.get_rng_state()
        checkpoint["generator_states"] = states

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the generators' states for `on_train_start`: merely loading a model sets nothing."""
        self._generator_states = checkpoint.get("generator_states", {})

    def on_train_start(self) -> None:
        """Continue the generators of the checkpoint that is resumed, if one is."""
        if "cpu" in self._generator_states:
            torch.set_rng_state(self._generator_states["cpu"].cpu())
        if "cuda" in self._generator_states and self.device.type == "cuda":
            torch.cuda.set_rng_state(self._generator_states["cuda"].cpu(), self.device)
        if "mps" in self._generator_states and self.device.type == "mps":
            torch.mps.set_rng_state(self._generator_states["mps"].cpu())
        self._generator_states = {}
