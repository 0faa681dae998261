"""One latent of a trained model over its range: what the decoder draws as it alone moves.

Shapes: n images to start from, M latents, S steps, [C, H, W] one image with pixels in 0..1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bvae import evaluate
from bvae.codes import Codes
from bvae.data.datasets import ImageDataset
from bvae.data.labels import Labels
from bvae.data.lattice import FactorLattice
from bvae.data.sprites import FACTOR_NAMES
from bvae.exceptions import ConfigError
from bvae.model import BetaVAE
from bvae.pictures import drawing
from bvae.pictures.media import TRAVERSAL_RANGE
from bvae.trial import MediaFolder

SHAPES = ("square", "ellipse", "heart")
SCALE = 4  # of 0 … 5: large enough to see the edges, small enough to grow
OWN_RANGE = (0.01, 0.99)
"""Quantiles of a latent's means over the scored images between which it is also moved."""

N_STARTS = 3
FPS = 8


@dataclass(frozen=True)
class Start:
    """An image to start from: its row in the data set, and what to call it."""

    name: str
    row: int


@dataclass(frozen=True)
class TraversalFiles:
    """Where the pictures are."""

    grid: Path
    animation: Path


def starts(labels: Labels | None, n_images: int, chosen: str | None = None) -> list[Start]:
    """Return the images to start from.

    Args:
        labels: the factors of the data set, if it has any.
        n_images: images in the data set.
        chosen: the row of an image or, with the factors of dSprites, a shape. None: the same
            upright square, ellipse and heart in the middle, whatever the model; without the
            factors of dSprites, three evenly spread images.

    Raises:
        ConfigError: there is no such image.
    """
    shapes = _sprites(labels)
    if chosen is None:
        return shapes or [_numbered(row) for row in _spread(n_images)]
    if named := [start for start in shapes if start.name == chosen]:
        return named
    if chosen.isdecimal() and int(chosen) < n_images:
        return [_numbered(int(chosen))]
    expected = f"a row from 0 to {n_images - 1}" + (f", or {', '.join(SHAPES)}" if shapes else "")
    raise ConfigError(f"image: expected {expected}, but got {chosen}")


def _sprites(labels: Labels | None) -> list[Start]:
    """One upright sprite of each shape in the middle, if the lattice is that of dSprites."""
    if not isinstance(labels, FactorLattice) or labels.names != FACTOR_NAMES:
        return []
    if labels.sizes[:2] != (3, 6):
        return []
    x, y = (size // 2 for size in labels.sizes[3:])
    classes = np.array([(shape, SCALE, 0, x, y) for shape in range(len(SHAPES))])
    rows = labels.index(classes)
    return [Start(name, int(row)) for name, row in zip(SHAPES, rows, strict=True)]


def _spread(n_images: int) -> list[int]:
    middles = (np.arange(N_STARTS) + 0.5) / N_STARTS
    return sorted({int(share * n_images) for share in middles})


def _numbered(row: int) -> Start:
    return Start(f"image {row}", row)


def traversal_values(codes: Codes, latent: int, *, steps: int) -> dict[str, NDArray[np.float64]]:
    """Return the values [S] of a latent in each range it is moved over, by the range's name."""
    low, high = np.quantile(codes.mu[:, latent], OWN_RANGE)
    span, (first, last) = TRAVERSAL_RANGE, OWN_RANGE
    return {
        f"-{span:g} to {span:g}": np.linspace(-span, span, steps),
        f"{first:.0%} to {last:.0%} of its means": np.linspace(low, high, steps),
    }


def decode_moved(
    model: BetaVAE, mu: torch.Tensor, latent: int, values: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Decode codes mu [n, M] with one latent at each of these values [S]: [n, S, C, H, W]."""
    z = mu[:, None, :].repeat(1, len(values), 1)  # [n, S, M]
    z[:, :, latent] = torch.from_numpy(values).to(z)
    decoded = evaluate.decode(model, z.flatten(0, 1))
    return decoded.reshape(*z.shape[:2], *decoded.shape[1:])


@torch.inference_mode()
def draw(
    model: BetaVAE,
    dataset: ImageDataset,
    codes: Codes,
    *,
    latent: int,
    begun: list[Start],
    steps: int,
    folder: MediaFolder,
) -> TraversalFiles:
    """Draw a latent over ±3 and over its own range, from each start: a picture and an animation.

    Raises:
        ConfigError: the model has no such latent.
    """
    n_latents = codes.mu.shape[1]
    if not 0 <= latent < n_latents:
        raise ConfigError(f"latent: expected 0 to {n_latents - 1}, but got {latent}")
    inputs = evaluate.images(dataset, np.array([start.row for start in begun]), model)
    mu, _ = model.encode(inputs)
    moved = [
        drawing.Traversal(name, values, decode_moved(model, mu, latent, values))
        for name, values in traversal_values(codes, latent, steps=steps).items()
    ]
    origins = drawing.Origins([start.name for start in begun], inputs.cpu().numpy())
    title = _title(codes, latent)
    drawn = TraversalFiles(folder.latent(latent, "png"), folder.latent(latent, "gif"))
    drawing.save_png(drawn.grid, drawing.latent_grid(origins, moved, title=title))
    drawing.save_gif(
        drawn.animation, drawing.latent_animation(origins, moved, title=title), fps=FPS
    )
    return drawn


def _title(codes: Codes, latent: int) -> str:
    follows = codes.assigned[latent]
    words = f"z{latent}   KL {codes.kl_nats[latent]:.2f} nats"
    if codes.labels is None:
        return words
    return f"{words}   follows {follows or 'no factor'}"
