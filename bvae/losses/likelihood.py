"""The first term of every loss: what an image costs that is drawn from its code.

Shapes: B images in the batch, [C, H, W] one image, N = C · H · W.
"""

from math import log, pi

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own usage


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """Negative log-likelihood -log p(x|z) of each image in nats, summed over pixels.

    Args:
        logits: [B, C, H, W], log-odds of a white pixel.
        x: [B, C, H, W], pixels in 0..1.

    Returns:
        [B]; computed from logits, so that it stays finite for any finite logit.
    """
    pixels = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return pixels.flatten(1).sum(1)


def gaussian_nll(logits: Tensor, x: Tensor, *, variance: float) -> Tensor:
    """Negative log-density -log N(x; sigmoid(logits), σ²) of each image in nats, over pixels.

    Args:
        logits: [B, C, H, W].
        x: [B, C, H, W], pixels in 0..1.
        variance: σ² above 0, in the units of x.

    Returns:
        [B]; a density, so that it is below 0 where a small variance fits well.
    """
    errors = (torch.sigmoid(logits) - x).square().flatten(1).sum(1)
    return errors / (2 * variance) + least_nll(x[0].numel(), variance=variance)


def nll(logits: Tensor, x: Tensor, *, variance: float | None) -> Tensor:
    """Negative log-likelihood of each image in nats, [B]; Bernoulli without a variance."""
    if variance is None:
        return bernoulli_nll(logits, x)
    return gaussian_nll(logits, x, variance=variance)


def least_nll(image_size: int, *, variance: float | None) -> float:
    """Negative log-likelihood of a perfect image of N values in nats, which none falls below.

    0 of Bernoulli pixels; N/2 · log(2πσ²) of Gaussian ones, below 0 for a small variance.
    """
    return 0.0 if variance is None else 0.5 * image_size * log(2 * pi * variance)
