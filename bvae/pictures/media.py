"""The pictures of a trial: reconstructions, traversals of all latents, and the factor map.

Shapes: M latents, S steps of a traversal, [C, H, W] one image.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from bvae.codes import Codes
from bvae.data.datasets import ImageDataset
from bvae.evaluate import decode, encode, images
from bvae.model import BetaVAE
from bvae.pictures import drawing
from bvae.trial import MediaFolder

RECONSTRUCTIONS = 24
"""Images reconstructed, evenly spread over those held out or, without any, over the scored ones."""

TRAVERSAL_RANGE = 3.0
"""A traversal goes from -3 to 3: where the prior has 99.7 % of its mass."""

TRAVERSAL_STEPS = 11


def draw(model: BetaVAE, dataset: ImageDataset, codes: Codes, *, folder: MediaFolder) -> None:
    """Draw reconstructions, traversals as a grid and as an animation, and the latent x factor map.

    Latents are ordered by KL; data without factors have no map of them.
    """
    frames, kl_nats = traverse(model, middle(codes)), codes.kl_nats
    _draw_images(model, dataset, codes, frames=frames, folder=folder)
    animation = drawing.traversal_gif(frames, kl_nats=kl_nats, labels=codes.assigned)
    drawing.save_gif(folder.traversal_gif, animation, fps=8)
    shares = codes.factor_map
    if shares is None:
        return
    table = drawing.factor_map(shares.information, factors=codes.mapped_factors, kl_nats=kl_nats)
    drawing.save_png(folder.factor_map, table)


def preview(model: BetaVAE, dataset: ImageDataset, codes: Codes, *, folder: MediaFolder) -> None:
    """Draw reconstructions and traversals: what is quick enough for a model in training."""
    _draw_images(model, dataset, codes, frames=traverse(model, middle(codes)), folder=folder)


def _draw_images(
    model: BetaVAE,
    dataset: ImageDataset,
    codes: Codes,
    *,
    frames: NDArray[np.float32],
    folder: MediaFolder,
) -> None:
    inputs, outputs = reconstruct(model, dataset, *_reconstructed(model, dataset, codes))
    drawing.save_png(folder.reconstructions, drawing.reconstruction_grid(inputs, outputs))
    grid = drawing.traversal_grid(frames, kl_nats=codes.kl_nats, labels=codes.assigned)
    drawing.save_png(folder.traversal, grid)


def _reconstructed(
    model: BetaVAE, dataset: ImageDataset, codes: Codes
) -> tuple[Codes, NDArray[np.int64]]:
    """Return codes, and which of them are reconstructed."""
    number = len(dataset.held_out)
    if not number:
        return codes, np.linspace(0, len(codes.rows) - 1, RECONSTRUCTIONS, dtype=np.int64)
    chosen = np.linspace(0, number - 1, min(RECONSTRUCTIONS, number), dtype=np.int64)
    unseen = encode(model, dataset, rows=dataset.held_out[chosen], labels=None)
    return unseen, np.arange(len(chosen))


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
