"""What is computed with a trained model: codes of every scored image, encoded once; losses; scores.

Shapes: n scored images, M latents, K factors, [C, H, W] one image.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bvae.data.datamodule import tensor
from bvae.data.datasets import ImageDataset
from bvae.data.lattice import FactorLattice
from bvae.data.sprites import FACTOR_NAMES
from bvae.files import replace_atomically
from bvae.losses import BetaVAE as BetaVAELoss
from bvae.losses import nll
from bvae.metrics.families import ScoreValue
from bvae.metrics.latents import LatentMap, active_units, kl_per_latent, latent_map
from bvae.metrics.scoring import score_table
from bvae.model import BetaVAE, Outputs

ENCODE_BATCH = 64
"""Images a forward pass. The maps of larger passes of `conv` are given back to the system and asked
for anew each time, which halves its speed on a CPU (`make bench ONLY=encode`)."""

CODED_IMAGES = 20_000
"""At most so many images without factors are coded, evenly spread."""

LOSS_IMAGES = 4096
"""Images, evenly spread over the scored ones, that the losses are averaged over."""

VALIDATION_IMAGES = 2048
"""Scored images, drawn once, that a model in training is validated with."""


@dataclass(frozen=True)
class Codes:
    """Posterior means and log-variances [n, M] of the scored images, and what is known of these.

    Values are rounded to float16, as they are stored, so that scores can be computed again from
    the file and come out the same.
    """

    mu: NDArray[np.float32]
    logvar: NDArray[np.float32]
    rows: NDArray[np.int64]
    lattice: FactorLattice | None

    @property
    def factors(self) -> NDArray[np.int64] | None:
        """Factor classes [n, K], if the data set has factors."""
        return None if self.lattice is None else self.lattice.factors(np.arange(len(self.rows)))

    @property
    def kl_nats(self) -> NDArray[np.float64]:
        """KL of each latent in nats, [M], mean over the images."""
        return kl_per_latent(self.mu, self.logvar)

    @property
    def active_latents(self) -> int:
        """How many latents have Var(mu) > 0.01."""
        return int(active_units(self.mu).sum())

    @functools.cached_property
    def factor_map(self) -> LatentMap | None:
        """Normalised mutual information of latents and factors, if the data set has factors."""
        factors = self.factors
        return None if factors is None else latent_map(self.mu, factors, logvar=self.logvar)

    @property
    def assigned(self) -> list[str]:
        """The name of the factor each latent follows; empty for a latent that follows none."""
        if self.factor_map is None or self.lattice is None:
            return [""] * self.mu.shape[1]
        names = self.lattice.names
        return ["" if factor is None else names[factor] for factor in self.factor_map.assigned]

    def write(self, path: Path) -> None:
        """Write `codes.npz`: mu, logvar as float16, rows of the data, the lattice."""
        names = self.lattice.names if self.lattice else ()
        sizes = self.lattice.sizes if self.lattice else ()
        replace_atomically(
            path,
            lambda temporary: np.savez_compressed(
                temporary,
                mu=self.mu.astype(np.float16),
                logvar=self.logvar.astype(np.float16),
                rows=self.rows,
                factor_names=np.array(names, dtype=str),
                factor_sizes=np.array(sizes, dtype=np.int64),
            ),
        )

    @classmethod
    def read(cls, path: Path) -> "Codes":
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as file:
            sizes = tuple(int(size) for size in file["factor_sizes"])
            names = tuple(str(name) for name in file["factor_names"])
            return cls(
                mu=file["mu"].astype(np.float32),
                logvar=file["logvar"].astype(np.float32),
                rows=file["rows"],
                lattice=FactorLattice(names, sizes) if sizes else None,
            )


def scored_part(
    dataset: ImageDataset, every: Sequence[int] | None
) -> tuple[FactorLattice | None, NDArray[np.int64]]:
    """Return the scored sub-lattice and its rows: every k-th class of each factor.

    Images without factors are coded up to `CODED_IMAGES` of them, evenly spread: all seeds code the
    same ones, which is what UDR compares.
    """
    if dataset.lattice is None:
        most = min(CODED_IMAGES, len(dataset))
        return None, np.linspace(0, len(dataset) - 1, most).astype(np.int64)
    if every is None:
        return dataset.lattice, np.arange(len(dataset))
    return dataset.lattice.every(every)


def images(dataset: ImageDataset, rows: NDArray[np.int64], model: BetaVAE) -> torch.Tensor:
    """Return images [b, C, H, W] in 0..1 on the model's device."""
    return tensor(dataset.store, rows).to(model.device)


@torch.inference_mode()
def encode(
    model: BetaVAE, dataset: ImageDataset, *, rows: NDArray[np.int64], lattice: FactorLattice | None
) -> Codes:
    """Encode the images of these rows, once."""
    means, logvars = [], []
    for start in range(0, len(rows), ENCODE_BATCH):
        mu, logvar = model.encode(images(dataset, rows[start : start + ENCODE_BATCH], model))
        means.append(mu.half().float().cpu())
        logvars.append(logvar.half().float().cpu())
    return Codes(torch.cat(means).numpy(), torch.cat(logvars).numpy(), rows, lattice)


@torch.inference_mode()
def decode(model: BetaVAE, z: torch.Tensor) -> NDArray[np.float32]:
    """Decode codes [b, M] to the means of the pixels, [b, C, H, W] in 0..1."""
    pictures = []
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
    noise = torch.Generator().manual_seed(0)
    recon = 0.0
    own: dict[str, float] = {}
    is_beta_vae = isinstance(model.loss, BetaVAELoss) and model.loss.schedule == "constant"
    for part in np.array_split(chosen, max(1, len(chosen) // ENCODE_BATCH)):
        mu, logvar = torch.from_numpy(codes.mu[part]), torch.from_numpy(codes.logvar[part])
        z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=noise)
        logits = model.decode(z.to(model.device))
        x = images(dataset, codes.rows[part], model)
        recon += nll(logits, x, variance=model.variance).sum().item()
        if not is_beta_vae:
            outputs = Outputs(logits, *(t.to(model.device) for t in (mu, logvar, z)))
            for name, value in _own_parts(model, x, outputs).items():
                own[name] = own.get(name, 0.0) + value * len(part)
    recon /= len(chosen)
    kl = float(codes.kl_nats.sum())
    own = {name: total / len(chosen) for name, total in own.items()}
    loss = recon + model.beta * kl if is_beta_vae else own["loss"]
    return own | {"recon": recon, "kl": kl, "loss": loss}


def _own_parts(model: BetaVAE, x: torch.Tensor, outputs: Outputs) -> dict[str, float]:
    """Return the parts of the model's loss of a batch.

    It is in evaluation mode, and torch's generators, which training goes on with, stay as they are.
    """
    devices = [model.device] if model.device.type == "cuda" else []
    training = model.loss.training
    with torch.random.fork_rng(devices):
        parts = model.loss.eval()(x, *outputs, model.global_step)
    model.loss.train(training)
    return {name: part.item() for name, part in parts.items()}


@dataclass(frozen=True)
class Validation:
    """A fixed sample of the scored images that a model in training is validated with."""

    dataset: ImageDataset
    rows: NDArray[np.int64]
    factors: NDArray[np.int64] | None

    @classmethod
    def of(cls, dataset: ImageDataset, every: Sequence[int] | None) -> "Validation":
        """Draw the sample, the same one at every call."""
        lattice, rows = scored_part(dataset, every)
        size = min(VALIDATION_IMAGES, len(rows))
        chosen = np.sort(np.random.default_rng(0).choice(len(rows), size, replace=False))
        return cls(dataset, rows[chosen], None if lattice is None else lattice.factors(chosen))

    def run(self, model: BetaVAE) -> dict[str, float]:
        """Return losses, KL of each latent, active units, and MIG where there are factors."""
        codes = encode(model, self.dataset, rows=self.rows, lattice=None)
        found = {f"val/{name}": value for name, value in losses(model, self.dataset, codes).items()}
        found |= {f"kl/z{m:02d}": float(kl) for m, kl in enumerate(codes.kl_nats)}
        found["kl/active_units"] = codes.active_latents
        if self.factors is not None:
            table = score_table(codes.mu, self.factors, protocol="fast", only=("mig",))
            found |= {f"scores/{name}": value for name, value in table.values().items()}
        return found


@dataclass(frozen=True)
class Scored:
    """All scores of a model, flat by name, and the circumstances they were computed under."""

    values: Mapping[str, float]
    details: Mapping[str, object]


def score(codes: Codes, *, protocol: str, seed: int) -> Scored:
    """Score a table of codes by a protocol; without factors there is nothing to score."""
    details: dict[str, object] = {
        "protocol": protocol,
        "lattice": codes.lattice.name if codes.lattice else None,
        "representation": "mean",
        "seed": seed,
    }
    factors = codes.factors
    if factors is None or codes.lattice is None:
        return Scored({}, details)
    start = time.perf_counter()
    table = score_table(
        codes.mu,
        factors,
        logvar=codes.logvar,
        protocol=protocol,
        seed=seed,
        drop=dropped(codes.lattice),
    )
    details["factors"] = [codes.lattice.names[k] for k in table.factors]
    details["wall_time_s"] = round(time.perf_counter() - start, 3)
    details["missing"] = dict(table.missing)
    details["scores"] = {name: _circumstances(value) for name, value in table.scores.items()}
    return Scored(table.values(), details)


def dropped(lattice: FactorLattice) -> tuple[int, ...] | None:
    """Return the factors left out of the scores: of dSprites those of the protocol, else none.

    None leaves it to the protocol; the shape that Higgins et al. leave out is dSprites' alone.
    """
    return None if lattice.names == FACTOR_NAMES else ()


def _circumstances(score: ScoreValue) -> dict[str, object]:
    return {
        "spread": score.spread,
        "evaluations": score.n_evaluations,
        "values": list(score.evaluations),
        "pairs": score.n_pairs,
        "factors": score.n_factors,
        "chance": score.chance,
        "chance_corrected": score.chance_corrected,
        "per_factor": list(score.per_factor),
    }


def factor_record(codes: Codes) -> dict[str, object] | None:
    """Return the latent x factor map as the result holds it; None without factors."""
    if codes.factor_map is None or codes.lattice is None:
        return None
    return {
        "factors": list(codes.lattice.names),
        "information": [
            [round(x, 4) for x in row] for row in codes.factor_map.information.tolist()
        ],
        "assigned": [name or None for name in codes.assigned],
    }
