"""Images encoded in a second: `bvae.evaluate.encode` beside the loop one would write without it.

Run: make bench ONLY=encode

The plain loop takes batches of 64 through the encoder, gradients off, as a validation loop does.
Both run turn by turn on one thread of the CPU, so that what else the machine does weighs on both;
the ratio is what counts.
"""

import functools
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from bvae import evaluate
from bvae.codes import Codes
from bvae.data.datasets import ImageDataset, open_dataset
from bvae.model import BetaVAE

Row = tuple[str, str, str]

ROUNDS = 5
PLAIN_BATCH = 64
CASES = (("mlp", "dsprites32", 18_432), ("conv", "dsprites", 4_096))
"""Network, data set, and images a turn."""


def rows() -> Iterator[Row]:
    """Yield images a second of both, and how many times as fast encoding once is."""
    torch.set_num_threads(1)
    for network, name, n_images in CASES:
        dataset = open_dataset(name)
        shape = dataset.store.image_shape
        model = BetaVAE(network=network, image_shape=shape, latent_dim=10, beta=1.0)
        chosen = np.linspace(0, len(dataset) - 1, n_images, dtype=np.int64)
        once = functools.partial(encoded, model, dataset, chosen)
        loop = functools.partial(plain, model, dataset, chosen)
        pairs = [(n_images / seconds(once), n_images / seconds(loop)) for _ in range(ROUNDS)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios = [one / other for one, other in pairs]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        yield f"{network}, {name}: encode, images/s", f"{ours:,.0f}", ""
        yield f"{network}, {name}: plain loop, images/s", f"{theirs:,.0f}", ""
        yield f"{network}, {name}: encode / plain loop", spread, ""


def seconds(run: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def encoded(model: BetaVAE, dataset: ImageDataset, chosen: NDArray[np.int64]) -> Codes:
    """What a trial does, once."""
    return evaluate.encode(model, dataset, rows=chosen, labels=None)


def plain(model: BetaVAE, dataset: ImageDataset, chosen: NDArray[np.int64]) -> torch.Tensor:
    """Means [n, M] from a loop over small batches."""
    means = []
    with torch.no_grad():
        for start in range(0, len(chosen), PLAIN_BATCH):
            images = dataset.store.images(chosen[start : start + PLAIN_BATCH])
            means.append(model.encode(torch.from_numpy(images).float())[0])
    return torch.cat(means)
