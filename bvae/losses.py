"""The loss of a β-VAE, and what β means.

    loss = recon + β · KL        (Higgins et al. 2017, eq. 4)

recon is the negative log-likelihood, summed over pixels and channels; KL is the divergence of the
posterior from N(0, I), summed over latents; both are means over the batch, in nats. β then means
what it means in the paper. A loss that averages over pixels scales β by the image size.

Pixels that are black or white are Bernoulli; grey ones and colours are Gaussian, with the sigmoid
of the decoder's logits as mean and one fixed variance σ². With it

    loss = (SE + 2 σ² β · KL) / (2 σ²) + N/2 · log(2 π σ²),

SE the squared error summed over pixels: only the product β σ² says where the optimum lies, so that
a β is one only together with its variance. σ² = ½ is the plain squared error. A variance that is
learned goes to SE/N, so that β would weigh less the better the images are drawn, and another thing
at each step; hence it is fixed.

Shapes: B images in the batch, M latents, [C, H, W] one image, N = C · H · W.
"""

from math import log, pi
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own usage


class Losses(NamedTuple):
    """Batch means in nats, three scalars."""

    loss: Tensor
    recon: Tensor
    kl: Tensor


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


def kl_per_latent(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² - 1 - log σ²) of each latent, in nats.

    Args:
        mu: [B, M], posterior means.
        logvar: [B, M], logarithms of the posterior variances.

    Returns:
        [B, M], never negative (Kingma & Welling 2014, appendix B).
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def beta_vae_loss(
    x: Tensor,
    logits: Tensor,
    mu: Tensor,
    logvar: Tensor,
    *,
    beta: float,
    variance: float | None = None,
) -> Losses:
    """The loss of one batch and its parts; see the module docstring for the convention.

    Args:
        x: [B, C, H, W], pixels in 0..1.
        logits: [B, C, H, W], what the decoder says of them.
        mu: [B, M], posterior means.
        logvar: [B, M], logarithms of the posterior variances.
        beta: weight of the KL.
        variance: σ² of Gaussian pixels; None: they are Bernoulli.
    """
    recon = nll(logits, x, variance=variance).mean()
    # in half precision, as autocast gives them, the square of 256 is infinite
    kl = kl_per_latent(mu.float(), logvar.float()).mean(0).sum()
    return Losses(recon + beta * kl, recon, kl)
