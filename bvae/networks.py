"""Encoders and decoders: ours by name, and own ones by their `_target_`.

An encoder maps images [B, C, H, W] in 0..1 to [B, 2M]: the means, then the log-variances, of M
latents. A decoder maps latents [B, M] to logits [B, C, H, W], whose sigmoids are the means of the
pixels: no activation follows its last layer. Both are `nn.Module`s; own ones are built from what
their signature names of `image_shape` (C, H, W) and `latent_dim`, and from the further keys of
`model.encoder` or `model.decoder`. They are scored and validated in evaluation mode: without
dropout, and with the statistics that batch normalisation has learnt.

Ours take square images of 32, 64, 128 or 256 pixels with 1 or 3 channels; N = C * H * W.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

from torch import nn

from bvae import parts
from bvae.config import NETWORKS, nearest
from bvae.exceptions import ConfigError
from bvae.image_shape import CHANNELS, RESOLUTIONS, ImageShape


class Networks(NamedTuple):
    """The two halves of an auto-encoder."""

    encoder: nn.Module
    decoder: nn.Module


def build_networks(
    name: str,
    *,
    image_shape: ImageShape,
    latent_dim: int,
    encoder: Mapping[str, Any] | None = None,
    decoder: Mapping[str, Any] | None = None,
) -> Networks:
    """Build an encoder and a decoder, ours with torch's default initialisation.

    Args:
        name: of ours, for each that is not given as a part.
        image_shape: (C, H, W).
        latent_dim: M.
        encoder: the `_target_` of an own one, and its arguments.
        decoder: the same.

    Raises:
        ConfigError: the name, the image shape or the latent size cannot be built.
    """
    mistakes = [] if latent_dim >= 1 else [f"expected latent_dim >= 1, got {latent_dim}"]
    if encoder is None or decoder is None:
        mistakes += _mistakes(name, image_shape)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    ours = _BUILDERS[name](image_shape, latent_dim) if None in (encoder, decoder) else None
    return Networks(
        *(
            ours[k] if ours and own is None else _own(key, own or {}, image_shape, latent_dim)
            for k, (key, own) in enumerate({"encoder": encoder, "decoder": decoder}.items())
        )
    )


def _own(key: str, part: Mapping[str, Any], image_shape: ImageShape, latent_dim: int) -> nn.Module:
    built = parts.build_named(f"model.{key}", part, image_shape=image_shape, latent_dim=latent_dim)
    if not isinstance(built, nn.Module):
        raise ConfigError(f"model.{key}: expected an nn.Module, but got {type(built).__name__}")
    return built


def _mistakes(name: str, image_shape: ImageShape) -> list[str]:
    mistakes = []
    if name not in NETWORKS:
        mistakes.append(f"no such network: {name!r}; {nearest(name, NETWORKS)}")
    channels, height, width = image_shape
    if channels not in CHANNELS or height != width or height not in RESOLUTIONS:
        mistakes.append(
            "expected images of 1 or 3 channels and 32x32, 64x64, 128x128 or 256x256 pixels, "
            f"got (channels, height, width) = {tuple(image_shape)}; resize the images"
        )
    return mistakes


def _mlp(image_shape: ImageShape, latent_dim: int) -> Networks:
    """N-128-128 at 32 pixels, N-512-256 above, and its mirror image; ReLU."""
    hidden = (128, 128) if image_shape[1] == 32 else (512, 256)
    N = prod(image_shape)
    encoder = [nn.Flatten(), *_dense((N, *hidden, 2 * latent_dim), nn.ReLU)]
    decoder = [*_dense((latent_dim, *hidden[::-1], N), nn.ReLU), nn.Unflatten(1, image_shape)]
    return Networks(nn.Sequential(*encoder), nn.Sequential(*decoder))


def _higgins(image_shape: ImageShape, latent_dim: int) -> Networks:
    """N-1200-1200 with ReLU, and back through three tanh layers (Higgins et al. 2017, table 1)."""
    N = prod(image_shape)
    encoder = [nn.Flatten(), *_dense((N, 1200, 1200, 2 * latent_dim), nn.ReLU)]
    decoder = [*_dense((latent_dim, 1200, 1200, 1200, N), nn.Tanh), nn.Unflatten(1, image_shape)]
    return Networks(nn.Sequential(*encoder), nn.Sequential(*decoder))


def _conv(image_shape: ImageShape, latent_dim: int) -> Networks:
    """Four 4x4 convolutions of 32 channels and stride 2, two layers of 256; ReLU.

    Burgess et al. (2018, appendix) use 64 pixels. At 32 pixels there are three convolutions, at
    256 six, so that the dense layers see 32 maps of 4x4 at any size.
    """
    channels, height, _ = image_shape
    depth = {32: 3, 64: 4, 128: 5, 256: 6}[height]
    maps = (32, 4, 4)
    encoder = [
        *_convolutions((channels, *[32] * depth), nn.Conv2d),
        nn.ReLU(),
        nn.Flatten(),
        *_dense((prod(maps), 256, 256, 2 * latent_dim), nn.ReLU),
    ]
    decoder = [
        *_dense((latent_dim, 256, 256, prod(maps)), nn.ReLU),
        nn.ReLU(),
        nn.Unflatten(1, maps),
        *_convolutions((*[32] * depth, channels), nn.ConvTranspose2d),
    ]
    return Networks(nn.Sequential(*encoder), nn.Sequential(*decoder))


def _dense(widths: Sequence[int], activation: type[nn.Module]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), activation()]
    return layers[:-1]


def _convolutions(
    channels: Sequence[int], layer: type[nn.Conv2d] | type[nn.ConvTranspose2d]
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(channels):
        layers += [layer(n_in, n_out, kernel_size=4, stride=2, padding=1), nn.ReLU()]
    return layers[:-1]


_BUILDERS: dict[str, Callable[[ImageShape, int], Networks]] = {
    "conv": _conv,
    "higgins": _higgins,
    "mlp": _mlp,
}
