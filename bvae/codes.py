"""A table of codes of the scored images: stored, held against their factors, scored; without torch.

Shapes: n scored images, M latents, K factors.
"""

import functools
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bvae.data.labels import Classes, Labels, arrays_of, dropped, labels_of
from bvae.files import replace_atomically
from bvae.metrics.draws import FROM_TABLE
from bvae.metrics.families import ScoreValue
from bvae.metrics.latents import LatentMap, active_units, kl_per_latent, latent_map
from bvae.metrics.scoring import score_table
from bvae.parts import build

log = logging.getLogger("bvae")


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


NO_SCORES: Mapping[str, Mapping[str, Any]] = {}


@dataclass(frozen=True)
class Scored:
    """All scores of a model, flat by name, and the circumstances they were computed under."""

    values: Mapping[str, float]
    details: Mapping[str, object]


def score(
    codes: Codes,
    *,
    protocol: str,
    seed: int,
    own: Mapping[str, Mapping[str, Any]] = NO_SCORES,
    only: Sequence[str] | None = None,
) -> Scored:
    """Score a table of codes by a protocol; without factors there is nothing to score.

    Args:
        codes: with the labels of the images.
        protocol: name of a protocol.
        seed: of everything random.
        only: names of the scores to compute, instead of the protocol's; each comes out the same.
        own: the `_target_` and arguments of further scores, by name: functions of codes [n, M] and
            factors [n, K], NaN where a label is not known. One that raises is missing, with its
            reason.
    """
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
        only=only,
        drop=dropped(names),
    )
    asked = [names[k] for k in table.factors]
    details["factors"] = asked
    if table.lattice is None:
        details["draws"] = FROM_TABLE
        details["known"] = dict(zip(asked, table.n_known, strict=True))
    details["wall_time_s"] = round(time.perf_counter() - start, 3)
    values = dict(table.values())
    missing = dict(table.missing)
    for name, part in own.items():
        try:
            values[name] = own_score(build({**part, "_partial_": True}), codes.mu, factors)
        except Exception as error:  # whatever an own score raises
            missing[name] = f"{type(error).__name__}: {error}"
            log.warning("no %s: %s", name, missing[name])
    left_out = {f"factor {names[k]}": f"it has {why}" for k, why in table.left_out.items()}
    details["missing"] = left_out | missing
    details["scores"] = {name: _circumstances(value) for name, value in table.scores.items()}
    return Scored(values, details)


def own_score(function: Callable[..., Any], mu: NDArray[np.float32], factors: Classes) -> float:
    """Return what an own score says of codes [n, M] and factors [n, K].

    Raises:
        Exception: whatever it raises; ValueError where it says no finite number.
    """
    value = float(function(mu.copy(), factors.copy()))
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, but got {value}")
    return value


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
