"""What single latents hold, in the best model of every latent size: their KL, and which factor."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from pandas import DataFrame

from bvae.data.lattice import FactorLattice
from bvae.exceptions import DataError
from bvae.metrics.latents import MIN_SHARE, latent_map
from sweeps.analysis.summary import Cell, Summary, Trial
from sweeps.labels import number
from sweeps.report.canvas import to_svg
from sweeps.report.charts import kl_figure

UNREADABLE = (OSError, ValueError, KeyError, zipfile.BadZipFile, DataError)


class FactorMap(NamedTuple):
    """Names of K factors, and what each of M latents knows of them: shares [M, K], 0 to 1."""

    factors: list[str]
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class MapRow:
    """A latent's share of each factor's entropy, 0 to 1."""

    latent: int
    shares: list[float]


@dataclass(frozen=True)
class LatentView:
    """The latents of one model; no rows where its codes are not there or have no factors."""

    facet: str
    beta: str
    latent_dim: int
    seed: int
    kl: Markup
    factors: list[str]
    rows: list[MapRow]


def latent_views(read: Summary) -> list[LatentView]:
    """Look into the best model of the best cell of every latent size."""
    return [view for cell in read.best if (view := _view(read, cell))]


def _view(read: Summary, cell: Cell) -> LatentView | None:
    trial = read.best_trial(cell)
    result = read.study.result(trial.slug)
    if result is None or not result.kl_per_latent:
        return None
    title = f"{cell.latent_dim} latents, β = {number(cell.beta)}"
    figure = kl_figure(result.kl_per_latent, n_active=result.active_latents or 0, title=title)
    by_kl = np.argsort(result.kl_per_latent)[::-1][: result.active_latents or 0]
    found = factor_map(read.study.folder.trial(trial.slug).codes)
    return LatentView(
        facet=cell.facet,
        beta=number(cell.beta),
        latent_dim=cell.latent_dim,
        seed=trial.seed,
        kl=Markup(to_svg(figure, name=f"kl-{cell.number}")),
        factors=found.factors,
        rows=[MapRow(int(j), found.shares[j].tolist()) for j in by_kl] if found.factors else [],
    )


def latent_table(read: Summary) -> DataFrame | None:
    """Return a row for every latent of every trial of the best cells, None if none has codes.

    A latent is informative if a sample of it knows a twentieth of some factor's entropy; its mean
    would not do, since that of a passive latent still moves, if only by a thousandth. Best cells
    only: reading the codes of all trials would take minutes.
    """
    trials = [(cell, trial) for cell in read.best for trial in read.trials_of(cell)]
    rows = [row for cell, trial in trials for row in _latent_rows(read, cell, trial)]
    return DataFrame(rows) if rows else None


def _latent_rows(read: Summary, cell: Cell, trial: Trial) -> list[dict[str, Any]]:
    result = read.study.result(trial.slug)
    codes = read.study.folder.trial(trial.slug).codes
    shares = factor_map(codes, sampled=True).shares
    if trial.state != "complete" or result is None or len(shares) != len(result.kl_per_latent):
        return []
    shared = {"beta": cell.beta, "latent_dim": cell.latent_dim, "seed": trial.seed}
    values = read.study.trial(trial.slug).values
    axes = {axis: values[axis] for axis in read.study.manifest.axes}
    return [
        {**shared, **axes, "kl_nats": kl, "informative": bool(own.max() >= MIN_SHARE)}
        for kl, own in zip(result.kl_per_latent, shares, strict=True)
    ]


def factor_map(path: Path, *, sampled: bool = False) -> FactorMap:
    """Return the shares I(z_j; v_k) / H(v_k) from a trial's codes.

    z is the mean, or a sample of N(mu, exp(logvar)), always the same one. A factor of one class
    has no entropy, and is left out. Nothing comes of a file that is not there, cannot be read or
    has no factors.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            mu, names, sizes = (file[name] for name in ("mu", "factor_names", "factor_sizes"))
            z = mu.astype(np.float32)
            if sampled:
                noise = np.random.default_rng(0).standard_normal(z.shape, dtype=np.float32)
                z += np.exp(file["logvar"].astype(np.float32) / 2) * noise
        kept = np.flatnonzero(sizes > 1)
        lattice = FactorLattice(tuple(map(str, names)), tuple(map(int, sizes)))
        factors = lattice.factors(np.arange(len(mu)))[:, kept]
        shares = latent_map(z, factors).information
    except UNREADABLE:
        return FactorMap([], np.empty((0, 0)))
    return FactorMap([str(names[k]) for k in kept], shares)
