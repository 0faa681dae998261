"""The pictures of a trial: reconstructions, traversals of all latents, and the factor map.

Shapes: M latents, S steps of a traversal, [C, H, W] one image.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bvae.data.datasets import ImageDataset
from bvae.evaluate import Codes, decode, images
from bvae.model import BetaVAE
from bvae.pictures import drawing
from bvae.tracking import Tracker

RECONSTRUCTIONS = 24
"""Images reconstructed, evenly spread over the scored ones."""

TRAVERSAL_RANGE = 3.0
"""A traversal goes from -3 to 3: where the prior has 99.7 % of its mass."""

TRAVERSAL_STEPS = 11


@dataclass(frozen=True)
class MediaFiles:
    """Where the pictures are.

    A model in training has no animation yet, and data without factors have no map of them.
    """

    reconstructions: Path
    traversal: Path
    traversal_gif: Path | None = None
    factor_map: Path | None = None

    def track(self, tracker: Tracker, *, step: int) -> None:
        """Log every picture."""
        tracker.log_image("media/reconstructions", self.reconstructions, step=step)
        tracker.log_image("media/traversal", self.traversal, step=step)
        if self.traversal_gif is not None:
            tracker.log_video("media/traversal_gif", self.traversal_gif, step=step)
        if self.factor_map is not None:
            tracker.log_image("media/factor_map", self.factor_map, step=step)


def draw(model: BetaVAE, dataset: ImageDataset, codes: Codes, *, folder: Path) -> MediaFiles:
    """Draw reconstructions, traversals as a grid and as an animation, and the latent x factor map.

    Latents are ordered by KL.
    """
    frames, kl_nats = traverse(model, middle(codes)), codes.kl_nats
    drawn = _draw_images(model, dataset, codes, frames=frames, kl_nats=kl_nats, folder=folder)
    animation = drawing.traversal_gif(frames, kl_nats=kl_nats, labels=codes.assigned)
    drawing.save_gif(folder / "traversal.gif", animation, fps=8)
    drawn = replace(drawn, traversal_gif=folder / "traversal.gif")
    shares = codes.factor_map
    if shares is None or codes.lattice is None:
        return drawn
    table = drawing.factor_map(shares.information, factors=codes.lattice.names, kl_nats=kl_nats)
    drawing.save_png(folder / "factor_map.png", table)
    return replace(drawn, factor_map=folder / "factor_map.png")


def preview(model: BetaVAE, dataset: ImageDataset, codes: Codes, *, folder: Path) -> MediaFiles:
    """Draw reconstructions and traversals: what is quick enough for a model in training."""
    frames = traverse(model, middle(codes))
    return _draw_images(model, dataset, codes, frames=frames, kl_nats=codes.kl_nats, folder=folder)


def _draw_images(
    model: BetaVAE,
    dataset: ImageDataset,
    codes: Codes,
    *,
    frames: NDArray[np.float32],
    kl_nats: NDArray[np.float64],
    folder: Path,
) -> MediaFiles:
    drawn = MediaFiles(folder / "reconstructions.png", folder / "traversal.png")
    chosen = np.linspace(0, len(codes.rows) - 1, RECONSTRUCTIONS, dtype=np.int64)
    inputs, outputs = reconstruct(model, dataset, codes, chosen)
    drawing.save_png(drawn.reconstructions, drawing.reconstruction_grid(inputs, outputs))
    grid = drawing.traversal_grid(frames, kl_nats=kl_nats, labels=codes.assigned)
    drawing.save_png(drawn.traversal, grid)
    return drawn


def middle(codes: Codes) -> NDArray[np.float32]:
    """Return the code [M] that traversals start from: that of the image in the middle."""
    code: NDArray[np.float32] = codes.mu[len(codes.mu) // 2]
    return code


def reconstruct(
    model: BetaVAE, dataset: ImageDataset, codes: Codes, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return images and what is decoded from their means, [b, C, H, W] in 0..1 each."""
    inputs = images(dataset, codes.rows[chosen], model)
    return inputs.cpu().numpy(), decode(model, torch.from_numpy(codes.mu[chosen]))


def traverse(model: BetaVAE, mu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decode one code with each latent in turn moved over its range, [M, S, C, H, W] in 0..1."""
    steps = torch.linspace(-TRAVERSAL_RANGE, TRAVERSAL_RANGE, TRAVERSAL_STEPS)
    latents = torch.eye(len(mu), dtype=torch.bool)[:, None, :]  # [M, 1, M]
    z = torch.where(latents, steps[None, :, None], torch.from_numpy(mu))  # [M, S, M]
    decoded = decode(model, z.flatten(0, 1))
    return decoded.reshape(*z.shape[:2], *decoded.shape[1:])
