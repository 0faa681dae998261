"""Batches that every loss is tested on."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor


class Batch(NamedTuple):
    """What a loss is called with, but for the step; [8, 1, 4, 4] and [8, 5]."""

    x: Tensor
    logits: Tensor
    mu: Tensor
    logvar: Tensor
    z: Tensor


@pytest.fixture
def pixels() -> tuple[Tensor, Tensor]:
    """Logits and binary images [8, 1, 4, 4]."""
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(8, 1, 4, 4, generator=generator)
    return logits, torch.bernoulli(torch.full((8, 1, 4, 4), 0.3), generator=generator)


@pytest.fixture
def posterior() -> tuple[Tensor, Tensor]:
    """Means and log-variances [8, 5] of some Gaussians."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 5, generator=generator), torch.randn(8, 5, generator=generator)


@pytest.fixture
def batch(pixels: tuple[Tensor, Tensor], posterior: tuple[Tensor, Tensor]) -> Batch:
    """A batch of eight images and their codes, in float64."""
    (logits, x), (mu, logvar) = pixels, posterior
    noise = torch.randn(8, 5, generator=torch.Generator().manual_seed(2))
    z = mu + (0.5 * logvar).exp() * noise
    return Batch(*(part.double() for part in (x, logits, mu, logvar, z)))
