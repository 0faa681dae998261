from pathlib import Path

import numpy as np
import pytest

from bvae.data.datasets import open_dataset
from bvae.data.lattice import FactorLattice
from bvae.data.sprites import FACTOR_NAMES, render


@pytest.fixture
def small() -> FactorLattice:
    """A lattice of 24 sprites: each shape, and the first two classes of three factors."""
    return FactorLattice(FACTOR_NAMES, (3, 1, 2, 2, 2))


@pytest.fixture
def npz_arrays(small: FactorLattice) -> dict[str, np.ndarray]:
    """The arrays of a small file that is laid out as the official one."""
    factors = small.factors(np.arange(len(small)))
    return {
        "metadata": np.array({"title": "pickled, as in the official file"}, dtype=object),
        "imgs": render(factors),
        "latents_classes": np.pad(factors, ((0, 0), (1, 0))),  # the colour comes first
    }


@pytest.fixture
def npz(tmp_path: Path, npz_arrays: dict[str, np.ndarray]) -> Path:
    """That file."""
    path = tmp_path / "dsprites.npz"
    np.savez_compressed(path, **npz_arrays)
    return path


@pytest.fixture(scope="session")
def filled_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds dsprites32, for tests that only read it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BVAE_CACHE", str(folder))
        open_dataset("dsprites32")
    return folder
