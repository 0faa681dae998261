"""What is computed with a trained model: codes of every scored image, encoded once; losses; scores.

Shapes: n scored images, M latents, K factors, [C, H, W] one image.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bvae.data.datamodule import tensor
from bvae.data.datasets import ImageDataset
from bvae.data.labels import Classes, FactorTable, Labels, arrays_of, dropped, labels_of, scored
from bvae.files import replace_atomically
from bvae.losses import nll
from bvae.metrics.draws import FROM_TABLE
from bvae.metrics.families import ScoreValue
from bvae.metrics.latents import LatentMap, active_units, kl_per_latent, latent_map
from bvae.metrics.scoring import score_table
from bvae.model import BetaVAE

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
    labels: Labels | None

    @property
    def factors(self) -> Classes | None:
        """Factor classes [n, K], NaN where none is known, if the data set has factors."""
        return None if self.labels is None else self.labels.factors(np.arange(len(self.rows)))

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
        if self.factor_map is None or self.labels is None:
            return [""] * self.mu.shape[1]
        names = self.labels.names
        return ["" if factor is None else names[factor] for factor in self.factor_map.assigned]

    @property
    def mapped_factors(self) -> list[str]:
        """The names of the columns of the factor map."""
        if self.factor_map is None or self.labels is None:
            return []
        return [self.labels.names[k] for k in self.factor_map.columns]

    def write(self, path: Path) -> None:
        """Write `codes.npz`: mu, logvar as float16, rows of the data, the lattice or factors."""
        arrays: dict[str, Any] = {
            "mu": self.mu.astype(np.float16),
            "logvar": self.logvar.astype(np.float16),
            "rows": self.rows,
            **arrays_of(self.labels),
        }
        replace_atomically(path, lambda temporary: np.savez_compressed(temporary, **arrays))

    @classmethod
    def read(cls, path: Path) -> "Codes":
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(
                mu=file["mu"].astype(np.float32),
                logvar=file["logvar"].astype(np.float32),
                rows=file["rows"],
                labels=labels_of(file),
            )


def scored_part(
    dataset: ImageDataset, every: Sequence[int] | None
) -> tuple[Labels | None, NDArray[np.int64]]:
    """Return the labels of the scored images, and their rows; see `bvae.data.labels.scored`.

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


@torch.inference_mode()
def encode(
    model: BetaVAE, dataset: ImageDataset, *, rows: NDArray[np.int64], labels: Labels | None
) -> Codes:
    """Encode the images of these rows, once."""
    means, logvars = [], []
    for start in range(0, len(rows), ENCODE_BATCH):
        mu, logvar = model.encode(images(dataset, rows[start : start + ENCODE_BATCH], model))
        means.append(mu.half().float().cpu())
        logvars.append(logvar.half().float().cpu())
    return Codes(torch.cat(means).numpy(), torch.cat(logvars).numpy(), rows, labels)


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
    """Return recon, kl and loss = recon + β · kl in nats, means over the coded images.

    kl is that of all of them; recon that of at most `LOSS_IMAGES`, each decoded from one draw. The
    noise comes from a generator of its own: validation does not change the training.
    """
    chosen = np.unique(np.linspace(0, len(codes.rows) - 1, LOSS_IMAGES, dtype=np.int64))
    noise = torch.Generator().manual_seed(0)
    recon = 0.0
    for part in np.array_split(chosen, max(1, len(chosen) // ENCODE_BATCH)):
        mu, logvar = torch.from_numpy(codes.mu[part]), torch.from_numpy(codes.logvar[part])
        z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=noise)
        logits = model.decode(z.to(model.device))
        x = images(dataset, codes.rows[part], model)
        recon += nll(logits, x, variance=model.variance).sum().item()
    recon /= len(chosen)
    kl = float(codes.kl_nats.sum())
    return {"recon": recon, "kl": kl, "loss": recon + model.beta * kl}


@dataclass(frozen=True)
class Validation:
    """A fixed sample of the scored images that a model in training is validated with."""

    dataset: ImageDataset
    rows: NDArray[np.int64]
    factors: Classes | None

    @classmethod
    def of(cls, dataset: ImageDataset, every: Sequence[int] | None) -> "Validation":
        """Draw the sample, the same one at every call."""
        labels, rows = scored_part(dataset, every)
        size = min(VALIDATION_IMAGES, len(rows))
        chosen = np.sort(np.random.default_rng(0).choice(len(rows), size, replace=False))
        factors = None if labels is None else labels.factors(chosen)
        if isinstance(labels, FactorTable) and labels.part(chosen).is_unscored:
            factors = None  # classes too rare for so few images
        return cls(dataset, rows[chosen], factors)

    def run(self, model: BetaVAE) -> dict[str, float]:
        """Return losses, KL of each latent, active units, and MIG where there are factors."""
        codes = encode(model, self.dataset, rows=self.rows, labels=None)
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
        "lattice": codes.labels.name if codes.labels else None,
        "representation": "mean",
        "seed": seed,
    }
    factors = codes.factors
    if factors is None or codes.labels is None:
        return Scored({}, details)
    start = time.perf_counter()
    names = codes.labels.names
    table = score_table(
        codes.mu,
        factors,
        logvar=codes.logvar,
        protocol=protocol,
        seed=seed,
        drop=dropped(names),
    )
    asked = [names[k] for k in table.factors]
    details["factors"] = asked
    if table.lattice is None:
        details["draws"] = FROM_TABLE
        details["known"] = dict(zip(asked, table.n_known, strict=True))
    details["wall_time_s"] = round(time.perf_counter() - start, 3)
    left_out = {f"factor {names[k]}": f"it has {why}" for k, why in table.left_out.items()}
    details["missing"] = left_out | table.missing
    details["scores"] = {name: _circumstances(value) for name, value in table.scores.items()}
    return Scored(table.values(), details)


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
    if codes.factor_map is None:
        return None
    return {
        "factors": codes.mapped_factors,
        "information": [
            [round(x, 4) for x in row] for row in codes.factor_map.information.tolist()
        ],
        "assigned": [name or None for name in codes.assigned],
    }
