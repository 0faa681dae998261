"""Codes that need no training: what they score says whether metric and data are sound.

Ground truth, PCA, ICA, raw pixels and untrained encoders are the columns of Higgins et al. (2017),
figure 6, left, that are the same for everyone. Scores are β-VAE scores.

Shapes: n scored images, P pixels that are not the same in all of them, K factors, M latents.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from bvae import config
from bvae.config import ModelConfig
from bvae.data.datasets import open_dataset
from bvae.data.labels import Classes
from sweeps.scoring.untrained import ScoredImages, untrained_codes

# scikit-learn, LightGBM (with the scores) and torch take seconds to load, which the other
# subcommands, whose parser needs the module of this one, need not pay.
if TYPE_CHECKING:
    from bvae.metrics.protocols import Protocol

GROUND_TRUTH, PCA_10, ICA_10, RAW_PIXELS = "ground truth", "PCA-10", "ICA-10", "raw pixels"

N_COMPONENTS = 10
N_TURNS = 5  # seeds of FastICA: one would not show that it has two answers

NETWORK = "higgins"  # the paper's encoder, at 64 pixels

Codes = NDArray[np.float32]


def untrained(latent_dim: int) -> str:
    """Name the baseline of an untrained encoder.

    >>> untrained(10)
    'untrained, M = 10'
    """
    return f"untrained, M = {latent_dim}"


@dataclass(frozen=True)
class Baseline:
    """The β-VAE score (0 … 1) of one kind of codes.

    Attributes:
        name: what the codes are.
        score: mean over the draws.
        spread: standard deviation (ddof = 1) over the draws; None where there was one.
        n_draws: how many.
        draws: of what: evaluations of the same codes, or codes of other seeds.
        noise: standard deviation of a single draw; of a share of `n_eval` answers if unknown.
    """

    name: str
    score: float
    spread: float | None
    n_draws: int
    draws: str
    noise: float


def scored_images(name: str) -> ScoredImages:
    """Open a data set, and the part of its lattice that its configuration has scored."""
    file = config.directory() / "data" / f"{name}.yaml"
    every = OmegaConf.merge(OmegaConf.structured(config.DataConfig), OmegaConf.load(file))
    return ScoredImages.of(open_dataset(name), every.score_every)


def baselines(
    images: ScoredImages,
    *,
    protocol: "Protocol",
    latent_dims: Sequence[int],
    tell: Callable[[str], object] = str,
) -> Iterator[Baseline]:
    """Yield every baseline; `tell` hears what is being computed."""
    factors = images.factors
    tell(GROUND_TRUTH)
    yield _evaluated(GROUND_TRUTH, factors.astype(np.float32), factors, protocol)
    tell(f"{RAW_PIXELS}: reading them")
    pixels = changing_pixels(images)
    tell(PCA_10)
    components = principal(pixels)
    yield _evaluated(PCA_10, components, factors, protocol)
    tell(ICA_10)
    turns = [
        _beta_vae(independent(components, seed=seed), factors, protocol) for seed in range(N_TURNS)
    ]
    yield _over(ICA_10, turns, draws="FastICA seeds", protocol=protocol)
    tell(f"{RAW_PIXELS}: the longest")
    once = replace(protocol, n_evaluations=1)
    yield _evaluated(RAW_PIXELS, pixels, factors, once)
    del pixels
    for latent_dim in latent_dims:
        name = untrained(latent_dim)
        tell(name)
        encoders = untrained_codes(images, ModelConfig(NETWORK), latent_dim=latent_dim)
        scores = [
            _beta_vae(codes.mu, factors, protocol, seed=seed) for seed, codes in enumerate(encoders)
        ]
        yield _over(name, scores, draws="encoders", protocol=protocol)


def changing_pixels(images: ScoredImages) -> NDArray[np.uint8]:
    """Pixels [n, P] of 0 and 1; those that never change say nothing and only take memory."""
    drawn = images.dataset.store.images(images.rows).reshape(len(images.rows), -1)
    return drawn[:, np.ptp(drawn, axis=0) > 0]


def principal(pixels: NDArray[np.uint8]) -> Codes:
    """The first ten principal components [n, 10] of pixels [n, P]."""
    from sklearn.decomposition import PCA

    pca = PCA(N_COMPONENTS, svd_solver="randomized", random_state=0)
    components: Codes = pca.fit_transform(pixels.astype(np.float32))
    return components


def independent(components: Codes, *, seed: int) -> Codes:
    """FastICA of principal components [n, 10], of unit variance: it only turns them."""
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    ica = FastICA(N_COMPONENTS, whiten="unit-variance", random_state=seed, max_iter=2000)
    with warnings.catch_warnings():
        # one seed in twelve has not converged by then, and scores like those that have
        warnings.simplefilter("ignore", ConvergenceWarning)
        turned: Codes = ica.fit_transform(components).astype(np.float32)
    return turned


def _beta_vae(codes: Codes, factors: Classes, protocol: "Protocol", *, seed: int = 0) -> float:
    from bvae.metrics.scoring import score_table

    found = score_table(codes, factors, protocol=protocol, seed=seed, only=("beta_vae",))
    return found.values()["beta_vae"]


def _evaluated(
    name: str, codes: Codes | NDArray[np.uint8], factors: Classes, protocol: "Protocol"
) -> Baseline:
    from bvae.metrics.scoring import score_table

    found = score_table(codes, factors, protocol=protocol, only=("beta_vae",)).scores["beta_vae"]
    noise = _binomial(found.value, protocol) if found.spread is None else found.spread
    return Baseline(name, found.value, found.spread, found.n_evaluations, "evaluations", noise)


def _over(name: str, scores: Sequence[float], *, draws: str, protocol: "Protocol") -> Baseline:
    mean, spread = float(np.mean(scores)), float(np.std(scores, ddof=1))
    return Baseline(name, mean, spread, len(scores), draws, max(spread, _binomial(mean, protocol)))


def _binomial(score: float, protocol: "Protocol") -> float:
    return math.sqrt(score * (1 - score) / protocol.n_eval)
