"""The divergence of the posterior from the prior N(0, I), which every loss presses down.

Shapes: B images in the batch, M latents.
"""

import torch
from torch import Tensor


def kl_per_latent(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² - 1 - log σ²) of each latent, in nats.

    Args:
        mu: [B, M], posterior means.
        logvar: [B, M], logarithms of the posterior variances.

    Returns:
        [B, M], never negative (Kingma & Welling 2014, appendix B).
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def kl_nats(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL in nats, summed over latents, mean over the batch: a scalar, at least in float32."""
    # in half precision, as autocast gives them, the square of 256 is infinite
    return kl_per_latent(widened(mu), widened(logvar)).mean(0).sum()


def widened(values: Tensor) -> Tensor:
    """Values in float32 where they come in half precision; as they are otherwise."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
