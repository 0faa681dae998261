"""What is computed with a trained model: codes of every scored image, encoded once; losses.

Shapes: n scored images, M latents, K factors, [C, H, W] one image.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bvae.codes import Codes
from bvae.data.datamodule import tensor
from bvae.data.datasets import ImageDataset
from bvae.data.labels import CODED_IMAGES, Classes, FactorTable, Labels, scored
from bvae.losses import BetaVAELoss, least_nll, nll
from bvae.metrics.scoring import score_table
from bvae.model import BetaVAE, Outputs

ENCODE_BATCH = 64
"""Images a forward pass. The maps of larger passes of `conv` are given back to the system and asked
for anew each time, which halves its speed on a CPU (`make bench ONLY=encode`)."""

LOSS_IMAGES = 4096
"""Images, evenly spread over the scored ones, that the losses are averaged over."""

VALIDATION_IMAGES = 2048
"""Images of a sample, drawn once, that a model in training is validated with."""


def scored_part(
    dataset: ImageDataset, every: Sequence[int] | None
) -> tuple[Labels | None, NDArray[np.int64]]:
    """Return the labels of the scored images, and their rows; see `bvae.data.labels.scored`.

    Images held out are among them: a score is of all combinations of the factors, and of as many
    images as there are; `val/recon` and the result's `recon_excess` tell images held out apart.
    Images without factors are coded up to `CODED_IMAGES` of them, evenly spread: all seeds code the
    same ones, which is what UDR compares.
    """
    if dataset.labels is None:
        most = min(CODED_IMAGES, len(dataset))
        return None, np.linspace(0, len(dataset) - 1, most).astype(np.int64)
    return scored(dataset.labels, every)


def images(dataset: ImageDataset, rows: NDArray[np.int64], model: BetaVAE) -> torch.Tensor:
    """Return images [b, C, H, W] in 0..1 on the model's device."""
    return tensor(dataset.store, rows).to(model.device)


@contextlib.contextmanager
def _in_evaluation(model: BetaVAE) -> Iterator[None]:
    """Have own networks without dropout and with the batch statistics they have learnt.

    Each module is afterwards as it was: some may be frozen.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@torch.inference_mode()
def encode(
    model: BetaVAE, dataset: ImageDataset, *, rows: NDArray[np.int64], labels: Labels | None
) -> Codes:
    """Encode the images of these rows, once."""
    means, logvars = [], []
    with _in_evaluation(model):
        for start in range(0, len(rows), ENCODE_BATCH):
            mu, logvar = model.encode(images(dataset, rows[start : start + ENCODE_BATCH], model))
            means.append(mu.half().float().cpu())
            logvars.append(logvar.half().float().cpu())
    return Codes(torch.cat(means).numpy(), torch.cat(logvars).numpy(), rows, labels)


@torch.inference_mode()
def decode(model: BetaVAE, z: torch.Tensor) -> NDArray[np.float32]:
    """Decode codes [b, M] to the means of the pixels, [b, C, H, W] in 0..1."""
    pictures = []
    with _in_evaluation(model):
        for start in range(0, len(z), ENCODE_BATCH):
            logits = model.decode(z[start : start + ENCODE_BATCH].to(model.device))
            pictures.append(logits.sigmoid().float().cpu())
    decoded: NDArray[np.float32] = torch.cat(pictures).numpy()
    return decoded


@torch.inference_mode()
def losses(model: BetaVAE, dataset: ImageDataset, codes: Codes) -> dict[str, float]:
    """Return recon, kl, loss and the loss's own parts in nats, means over the coded images.

    kl is that of all of them; recon that of at most `LOSS_IMAGES`, each decoded from one draw. The
    noise comes from a generator of its own: validation does not change the training.

    The loss is recon + β · kl where it is that of a β-VAE of constant β. Else it and its own parts
    are means over batches of the images of recon, `ENCODE_BATCH` or more in each: a regulariser
    that compares the images of a batch depends on how many these are.
    """
    chosen = np.unique(np.linspace(0, len(codes.rows) - 1, LOSS_IMAGES, dtype=np.int64))
    is_beta_vae = isinstance(model.loss, BetaVAELoss) and model.loss.schedule == "constant"
    recon = 0.0
    own: dict[str, float] = {}
    with _in_evaluation(model):
        for x, outputs in _passes(model, dataset, codes, chosen):
            recon += nll(outputs.logits, x, variance=model.variance).sum().item()
            parts = {} if is_beta_vae else _own_parts(model, x, outputs)
            for name, value in parts.items():
                own[name] = own.get(name, 0.0) + value * len(x)
    recon /= len(chosen)
    kl = float(codes.kl_nats.sum())
    own = {name: total / len(chosen) for name, total in own.items()}
    loss = recon + model.beta * kl if is_beta_vae else own["loss"]
    return own | {"recon": recon, "kl": kl, "loss": loss}


def _own_parts(model: BetaVAE, x: torch.Tensor, outputs: Outputs) -> dict[str, float]:
    """Return the parts of the loss of a batch; training goes on with the generators as they are."""
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        parts = model.loss(x=x, **outputs._asdict(), step=model.global_step)
    return {name: part.item() for name, part in parts.items()}


def _passes(
    model: BetaVAE, dataset: ImageDataset, codes: Codes, chosen: NDArray[np.int64]
) -> Iterator[tuple[torch.Tensor, Outputs]]:
    """The images [b, C, H, W] of the chosen codes, and what is decoded from a draw of each."""
    noise = torch.Generator().manual_seed(0)
    for part in np.array_split(chosen, max(1, len(chosen) // ENCODE_BATCH)):
        mu, logvar = torch.from_numpy(codes.mu[part]), torch.from_numpy(codes.logvar[part])
        z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=noise)
        coded = (one.to(model.device) for one in (mu, logvar, z))
        outputs = Outputs(model.decode(z.to(model.device)), *coded)
        yield images(dataset, codes.rows[part], model), outputs


@torch.inference_mode()
def recon_excess(model: BetaVAE, dataset: ImageDataset) -> dict[str, float]:
    """Return how much worse images held out are reconstructed than those trained on.

    `relative` is the difference of their mean recon over that of the images trained on, counted
    from the least that is possible; `standard_error`, that of `relative`, as if both were drawn
    from images that vary alike. Empty where none are held out.
    """
    if not len(dataset.held_out):
        return {}
    unseen, seen = (
        _sample_recons(model, dataset, rows) for rows in (dataset.held_out, dataset.trained_on)
    )
    least = least_nll(math.prod(dataset.store.image_shape), variance=model.variance)
    above = seen.mean() - least
    if above <= 0:
        return {}
    squares = sum(float(((x - x.mean()) ** 2).sum()) for x in (unseen, seen))
    variance = squares / max(1, len(unseen) + len(seen) - 2)
    error = math.sqrt(variance * (1 / len(unseen) + 1 / len(seen)))
    found = {"relative": (unseen.mean() - seen.mean()) / above, "standard_error": error / above}
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def _sample_recons(
    model: BetaVAE, dataset: ImageDataset, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    codes = encode(model, dataset, rows=rows[_sample(len(rows))], labels=None)
    passes = _passes(model, dataset, codes, np.arange(len(codes.rows)))
    with _in_evaluation(model):
        parts = [nll(outputs.logits, x, variance=model.variance) for x, outputs in passes]
    recons: NDArray[np.float64] = torch.cat(parts).double().cpu().numpy()
    return recons


def _sample(number: int) -> NDArray[np.int64]:
    """Up to `VALIDATION_IMAGES` of so many, ascending, the same ones at every call."""
    size = min(VALIDATION_IMAGES, number)
    return np.sort(np.random.default_rng(0).choice(number, size, replace=False))


@dataclass(frozen=True)
class Validation:
    """What a model in training is validated with: fixed samples of the images.

    Losses are of images held out, where there are any. KL of each latent, active units and MIG are
    of scored images, as they are at the end.
    """

    dataset: ImageDataset
    rows: NDArray[np.int64]
    factors: Classes | None
    unseen: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: ImageDataset, every: Sequence[int] | None) -> "Validation":
        """Draw the samples, the same ones at every call."""
        labels, rows = scored_part(dataset, every)
        chosen = _sample(len(rows))
        factors = None if labels is None else labels.factors(chosen)
        if isinstance(labels, FactorTable) and labels.part(chosen).is_unscored:
            factors = None  # classes too rare for so few images
        unseen = dataset.held_out[_sample(len(dataset.held_out))]
        return cls(dataset, rows[chosen], factors, unseen)

    def run(self, model: BetaVAE) -> dict[str, float]:
        """Return losses, KL of each latent, active units, and MIG where there are factors."""
        codes = encode(model, self.dataset, rows=self.rows, labels=None)
        unseen = codes
        if len(self.unseen):
            unseen = encode(model, self.dataset, rows=self.unseen, labels=None)
        of_losses = losses(model, self.dataset, unseen)
        found = {f"val/{name}": value for name, value in of_losses.items()}
        found |= {f"kl/z{m:02d}": float(kl) for m, kl in enumerate(codes.kl_nats)}
        found["kl/active_units"] = codes.active_latents
        if self.factors is not None:
            table = score_table(codes.mu, self.factors, protocol="fast", only=("mig",))
            found |= {f"scores/{name}": value for name, value in table.values().items()}
        return found
