"""A data set of 96 sprites, and models small enough to train within a test."""

import numpy as np
import pytest
import torch

from bvae.data import sprites
from bvae.data.datasets import DSPRITES, ImageDataset
from bvae.data.store import ImageStore
from bvae.model import BetaVAE


@pytest.fixture(scope="session")
def tiny() -> ImageDataset:
    """Sprites of 32 pixels over the lattice 3 x 2 x 4 x 2 x 2."""
    lattice, rows = DSPRITES.every((1, 3, 10, 16, 16))
    images = sprites.render(DSPRITES.factors(rows), 32)
    packed = np.packbits(images.reshape(len(images), -1), axis=1)
    return ImageDataset("tiny", ImageStore(packed, (1, 32, 32)), lattice)


@pytest.fixture
def model() -> BetaVAE:
    """An untrained model with three latents."""
    torch.manual_seed(0)
    return BetaVAE(network="mlp", image_shape=(1, 32, 32), latent_dim=3, beta=2.0)
