"""How many pairs does a data point of the Higgins score average? Where L of `higgins2017` is from.

Run: OMP_NUM_THREADS=1 python -m benchmarks.scan_higgins_pairs docs/higgins2017_pairs.csv

Scores raw pixels, PCA-10, ICA-10 and an untrained encoder by `higgins2017` at each L, on 46,080
dSprites images of 64 x 64 pixels (every fourth position on both axes), then tries what could have
made the paper's ICA column. Some 10 minutes on one core and 4 GB of memory;
`docs/higgins2017_pairs.md` says what came out.
"""

import csv
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import ortho_group
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning

from bvae.data.sprites import render
from bvae.metrics.beta_vae import pair_differences
from bvae.metrics.protocols import HIGGINS_2017
from bvae.metrics.scoring import score_table
from bvae.metrics.table import code_table
from bvae.networks import build_networks

N_PAIRS = (1, 2, 4, 8, 10, 11, 12, 13, 14, 16, 24, 32, 64)
SIZES = (3, 6, 40, 8, 8)
STEPS = (1, 1, 1, 4, 4)
FACTORS = np.indices(SIZES).reshape(5, -1).T
Codes = NDArray[np.float32]
Row = tuple[str, str, int, str, str, int]


def main(path: Path) -> None:
    """Write a row for each representation, classifier and L."""
    pixels = render(FACTORS * STEPS).reshape(len(FACTORS), -1).astype(np.float32)
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(
            ["representation", "classifier", "n_pairs", "score", "spread", "n_evaluations"]
        )
        for row in scan(pixels):
            rows.writerow(row)
            file.flush()


def scan(pixels: Codes) -> Iterator[Row]:
    """The rows, raw pixels last: they take longest."""
    principal = PCA(10, svd_solver="randomized", random_state=0).fit_transform(pixels)
    yield from by_protocol("PCA-10", principal)
    for seed in range(5):
        yield from by_protocol(f"ICA-10 seed {seed}", independent(principal, seed))
    for seed in range(3):
        yield from by_protocol(f"untrained encoder seed {seed}", untrained(pixels, seed))
    for seed in range(2):
        stopped = independent(principal, seed, max_iter=5)
        yield from by_protocol(f"ICA-10 after 5 steps seed {seed}", stopped)
        yield from by_protocol(f"PCA-10 rotated seed {seed}", rotated(principal, seed))
    components = independent(principal, seed=0)
    for name, codes in {
        "PCA-10": principal,
        "ICA-10 seed 0": components,
        "ICA-10 seed 0 of std 1/sqrt(737280)": components / np.sqrt(737_280),
    }.items():
        yield by_adagrad(name, codes)
    yield from by_protocol("raw pixels", pixels, n_evaluations=1)


def by_protocol(name: str, codes: Codes, *, n_evaluations: int = 3) -> Iterator[Row]:
    """The score by `higgins2017` at each L."""
    for n_pairs in N_PAIRS:
        protocol = replace(HIGGINS_2017, n_pairs=n_pairs, n_evaluations=n_evaluations)
        found = score_table(codes, FACTORS, protocol=protocol, only=["beta_vae"])
        score = found.scores["beta_vae"]
        spread = "" if score.spread is None else f"{score.spread:.4f}"
        yield name, "higgins2017", n_pairs, f"{score.value:.4f}", spread, n_evaluations


def by_adagrad(name: str, codes: Codes, *, n_evaluations: int = 6) -> Row:
    """The score at the protocol's L by Adagrad on codes as they are, not standardised."""
    scores = [adagrad_score(codes, seed) for seed in range(n_evaluations)]
    spread = f"{np.std(scores, ddof=1):.4f}"
    score = f"{np.mean(scores):.4f}"
    return name, "Adagrad", HIGGINS_2017.n_pairs, score, spread, n_evaluations


def adagrad_score(codes: Codes, seed: int) -> float:
    """Accuracy after 10,000 steps of ten data points, learning rate .01."""
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=15_000)
    table = code_table(codes, FACTORS).without_factors((0,))
    z_diff = pair_differences(table, y, n_pairs=HIGGINS_2017.n_pairs, rng=rng)
    inputs = np.hstack([z_diff, np.ones((len(y), 1))])
    weights, squares = np.zeros((11, 4)), np.full((11, 4), 1e-10)
    for _ in range(10_000):
        batch = rng.integers(10_000, size=10)
        excess = softmax(inputs[batch] @ weights, axis=1) - np.eye(4)[y[batch]]
        gradient = inputs[batch].T @ excess / 10
        squares += gradient**2
        weights -= 0.01 * gradient / np.sqrt(squares)
    answers = (inputs[10_000:] @ weights).argmax(axis=1)
    return float((answers == y[10_000:]).mean())


def independent(principal: Codes, seed: int, *, max_iter: int = 2000) -> Codes:
    """FastICA of the principal components, of unit variance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ica = FastICA(10, whiten="unit-variance", random_state=seed, max_iter=max_iter)
        return ica.fit_transform(principal).astype(np.float32)


def rotated(principal: Codes, seed: int) -> Codes:
    """The principal components, whitened and turned at random: what FastICA starts from."""
    turn = ortho_group.rvs(10, random_state=seed)
    return (principal / principal.std(axis=0) @ turn).astype(np.float32)


def untrained(pixels: Codes, seed: int) -> Codes:
    """Means [n, 10] of the paper's encoder with torch's initial weights."""
    torch.manual_seed(seed)
    encoder = build_networks("higgins", image_shape=(1, 64, 64), latent_dim=10).encoder
    images = torch.from_numpy(pixels).reshape(-1, 1, 64, 64)
    with torch.inference_mode():
        codes = torch.cat([encoder(batch)[:, :10] for batch in images.split(1024)])
    return codes.numpy()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
