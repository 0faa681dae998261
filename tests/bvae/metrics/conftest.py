"""Small lattices, and codes of known quality on them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import hadamard

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@pytest.fixture(scope="session")
def factors() -> Ints:
    """Every combination of 3, 4, 5 and 8 classes, in lattice order [480, 4]."""
    return np.indices((3, 4, 5, 8)).reshape(4, -1).T


@pytest.fixture(scope="session")
def identity(factors: Ints) -> Floats:
    """A perfect code: every factor is a latent, centred, with a range of 3."""
    return (factors / factors.max(axis=0) - 0.5) * 3


@pytest.fixture(scope="session")
def entangled(identity: Floats) -> Floats:
    """A middling code: six latents that mix the factors smoothly, with some noise [480, 6]."""
    rng = np.random.default_rng(1)
    mixed = identity @ rng.normal(size=(4, 6))
    return mixed + 0.7 * np.tanh(mixed) + 0.1 * rng.normal(size=mixed.shape)


@pytest.fixture(scope="session")
def rotated(identity: Floats) -> Floats:
    """A perfect code turned so that every factor is spread evenly over all latents."""
    return identity @ hadamard(4) / 2
