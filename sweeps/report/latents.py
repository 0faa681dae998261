"""What single latents hold, in the best model of every latent size: their KL, and which factor."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from bvae.data.labels import labels_of
from bvae.exceptions import DataError
from bvae.metrics.latents import MIN_SHARE, latent_map
from sweeps.analysis.summary import ConfigurationEntry, Summary, TrialEntry
from sweeps.report.drawings import title

UNREADABLE = (OSError, ValueError, KeyError, zipfile.BadZipFile, DataError)


class FactorMap(NamedTuple):
    """Names of K factors, and each latent's share of their entropy: shares [M, K], 0 to 1."""

    factors: list[str]
    shares: NDArray[np.float64]


NO_MAP = FactorMap([], np.empty((0, 0)))


class LatentRow(NamedTuple):
    """An active latent: its KL (nats), that in percent of the highest, its share of each factor."""

    latent: int
    kl_nats: float
    bar: float
    shares: Sequence[float]


@dataclass(frozen=True)
class LatentView:
    """The active latents of one model by KL, and what they share with the factors.

    `factors` is empty where the codes are not there or have no factors.
    """

    title: str
    seed: int
    factors: Sequence[str]
    rows: Sequence[LatentRow]
    inactive: int
    inactive_names: str


def latent_views(read: Summary) -> list[LatentView] | None:
    """Return the latents of the best model of every latent size; None if none has a KL."""
    return [view for configuration in read.best if (view := _view(read, configuration))] or None


def _view(read: Summary, configuration: ConfigurationEntry) -> LatentView | None:
    trial = read.best_trial(configuration)
    result = read.study.results.get(trial.slug)
    if result is None or not result.kl_per_latent:
        return None
    kl_nats = result.kl_per_latent
    by_kl = [int(j) for j in np.argsort(kl_nats)[::-1]]
    active, inactive = by_kl[: result.active_latents or 0], by_kl[result.active_latents or 0 :]
    found = factor_map(read.study.folder.trial(trial.slug).codes)
    return LatentView(
        title=title(configuration),
        seed=trial.seed,
        factors=found.factors,
        rows=[
            LatentRow(
                latent=j,
                kl_nats=kl_nats[j],
                bar=round(100 * kl_nats[j] / max(kl_nats), 1),
                shares=found.shares[j].tolist() if found.factors else [],
            )
            for j in active
        ],
        inactive=len(inactive),
        inactive_names=", ".join(f"z{j}" for j in sorted(inactive)),
    )


def latent_table(read: Summary) -> DataFrame | None:
    """Return a row for every latent of every trial of the best configurations, if any.

    A latent is informative if a sample of it has a twentieth of some factor's entropy; its mean
    would not do, since that of an inactive latent still moves, if only by a thousandth. Best
    configurations only: reading the codes of all trials would take minutes.
    """
    trials = [
        (configuration, trial)
        for configuration in read.best
        for trial in read.trials_of(configuration)
    ]
    rows = [
        row for configuration, trial in trials for row in _latent_rows(read, configuration, trial)
    ]
    return DataFrame(rows) if rows else None


def _latent_rows(
    read: Summary, configuration: ConfigurationEntry, trial: TrialEntry
) -> list[dict[str, Any]]:
    result = read.study.results.get(trial.slug)
    codes = read.study.folder.trial(trial.slug).codes
    shares = factor_map(codes, sampled=True).shares
    if trial.state != "complete" or result is None or len(shares) != len(result.kl_per_latent):
        return []
    shared = {
        "beta": configuration.beta,
        "latent_dim": configuration.latent_dim,
        "seed": trial.seed,
    }
    values = read.study.trial(trial.slug).values
    axes = {axis: values[axis] for axis in read.study.manifest.axes}
    return [
        {**shared, **axes, "kl_nats": kl, "informative": bool(own.max() >= MIN_SHARE)}
        for kl, own in zip(result.kl_per_latent, shares, strict=True)
    ]


def factor_map(path: Path, *, sampled: bool = False) -> FactorMap:
    """Return the shares I(z_j; v_k) / H(v_k) from a trial's codes.

    z is the mean, or a sample of N(mu, exp(logvar)), always the same one. A factor that cannot be
    scored is left out. Nothing comes of a file that is not there, cannot be read or
    has no factors.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            labels, z = labels_of(file), file["mu"].astype(np.float32)
            if sampled:
                noise = np.random.default_rng(0).standard_normal(z.shape, dtype=np.float32)
                z += np.exp(file["logvar"].astype(np.float32) / 2) * noise
        if labels is None:
            return NO_MAP
        found = latent_map(z, labels.factors(np.arange(len(z))))
    except UNREADABLE:
        return NO_MAP
    return FactorMap([labels.names[k] for k in found.columns], found.information)
