from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bvae import media
from bvae.data.datasets import ImageDataset
from bvae.evaluate import encode, scored_part
from bvae.model import BetaVAE
from bvae.tracking import Tracker


def test_pictures_are_drawn(model: BetaVAE, tiny: ImageDataset, tmp_path: Path) -> None:
    """Reconstructions, traversals, their film and the factor map have something on them."""
    lattice, rows = scored_part(tiny, None)
    codes = encode(model, tiny, rows=rows, lattice=lattice)
    drawn = media.draw(model, tiny, codes, folder=tmp_path / "media")

    assert drawn.factor_map is not None
    for path in (drawn.reconstructions, drawn.traversal, drawn.factor_map):
        pixels = np.asarray(Image.open(path))
        assert (0, 255) == (pixels.min(), pixels.max()) or pixels.std() > 10
    with Image.open(drawn.traversal_gif) as film:
        assert 2 * media.TRAVERSAL_STEPS - 2 == getattr(film, "n_frames", 1)


def test_traversal_moves_one_latent_at_a_time(model: BetaVAE) -> None:
    """Row m, step s is decoded from the code with latent m alone set to step s of -3..3."""
    mu = np.array([0.5, -0.25, 1.0], np.float32)
    frames = media.traverse(model, mu)
    moved = torch.tensor([[0.5, -3.0, 1.0], [0.5, 3.0, 1.0]])
    with torch.no_grad():
        expected = model.decode(moved).sigmoid().numpy()

    assert (3, media.TRAVERSAL_STEPS, 1, 32, 32) == frames.shape
    np.testing.assert_allclose(frames[1, [0, -1]], expected, atol=1e-6)


def test_reconstructions_are_of_the_means(model: BetaVAE, tiny: ImageDataset) -> None:
    """Images come back with what is decoded from their posterior means."""
    lattice, rows = scored_part(tiny, None)
    codes = encode(model, tiny, rows=rows, lattice=lattice)
    inputs, outputs = media.reconstruct(model, tiny, codes, np.array([5, 50]))
    with torch.no_grad():
        expected = model.decode(torch.from_numpy(codes.mu[[5, 50]])).sigmoid().numpy()

    np.testing.assert_array_equal(tiny.store.images(np.array([5, 50])), inputs)
    assert outputs == pytest.approx(expected, abs=1e-6)


def test_data_without_factors_have_no_map(
    model: BetaVAE, tiny: ImageDataset, tmp_path: Path
) -> None:
    """The other pictures are drawn and logged."""
    codes = encode(model, tiny, rows=np.arange(30), lattice=None)
    drawn = media.draw(model, tiny, codes, folder=tmp_path)
    logged: list[str] = []

    class Notes(Tracker):
        def log_image(self, key: str, *_: object, **__: object) -> None:
            logged.append(key)

        def log_video(self, key: str, *_: object, **__: object) -> None:
            logged.append(key)

    drawn.track(Notes(), step=1)
    assert drawn.factor_map is None
    assert ["media/reconstructions", "media/traversal", "media/traversal_gif"] == logged
