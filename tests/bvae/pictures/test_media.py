from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bvae import evaluate
from bvae.codes import Codes
from bvae.data.datasets import ImageDataset
from bvae.evaluate import encode, scored_part
from bvae.model import BetaVAE
from bvae.pictures import drawing, media
from bvae.trial import MediaFolder
from tests.doubles.pages import MARGIN, STEP, TILE, line_of_tiles


class TestPictures:
    @pytest.fixture
    def codes(self, model: BetaVAE, tiny: ImageDataset) -> Codes:
        """Codes of every image, of a model whose pictures have contrasts."""
        with torch.no_grad():
            for weights in model.decoder.parameters():
                weights *= 3
        lattice, rows = scored_part(tiny, None)
        return encode(model, tiny, rows=rows, labels=lattice)

    @pytest.fixture
    def drawn(
        self, model: BetaVAE, tiny: ImageDataset, codes: Codes, tmp_path: Path
    ) -> MediaFolder:
        """All pictures of the model."""
        folder = MediaFolder(tmp_path / "media")
        media.draw(model, tiny, codes, folder=folder)
        return folder

    def test_reconstructions(
        self, model: BetaVAE, tiny: ImageDataset, codes: Codes, drawn: MediaFolder
    ) -> None:
        """Of 24 images from the first to the last, eight to a line, each above its output."""
        chosen = np.linspace(0, 95, 24, dtype=np.int64)
        pairs = media.reconstruct(model, tiny, codes, chosen)

        for line in range(3):
            y = MARGIN + line * (2 * STEP - 2 + MARGIN)
            for row, expected in enumerate(pairs):
                found = line_of_tiles(drawn.reconstructions, y=y + row * STEP, number=8)
                np.testing.assert_allclose(
                    found, expected[8 * line : 8 * line + 8, 0], atol=0.5 / 255 + 1e-6
                )

    @pytest.mark.parametrize("number", [2, 30])
    def test_images_held_out_are_reconstructed(
        self, model: BetaVAE, tiny: ImageDataset, codes: Codes, tmp_path: Path, number: int
    ) -> None:
        """Each once where they are few, no matter which images are scored."""
        held_out = np.arange(number) * 3 + 1
        dataset = replace(tiny, held_out=held_out)
        media.draw(model, dataset, codes, folder=MediaFolder(tmp_path))
        shown = held_out if number == 2 else held_out[np.linspace(0, 29, 24, dtype=np.int64)][:8]
        pairs = media.reconstruct(model, tiny, codes, shown)  # row i has the code of image i

        for row, expected in enumerate(pairs):
            found = line_of_tiles(
                MediaFolder(tmp_path).reconstructions, y=MARGIN + row * STEP, number=len(shown)
            )
            np.testing.assert_allclose(found, expected[:, 0], atol=0.5 / 255 + 1e-6)

    def test_traversal(self, model: BetaVAE, codes: Codes, drawn: MediaFolder) -> None:
        """A row for each latent, that of the highest KL first, from the code in the middle."""
        frames = media.traverse(model, codes.mu[48])
        assert np.ptp(frames[:, :, 0], axis=1).max() > 0.2

        for row, latent in enumerate(np.argsort(-codes.kl_nats)):
            found = line_of_tiles(drawn.traversal, y=MARGIN + row * STEP, number=11)
            np.testing.assert_allclose(found, frames[latent, :, 0], atol=0.5 / 255 + 1e-6)

    def test_animation(self, model: BetaVAE, codes: Codes, drawn: MediaFolder) -> None:
        """All latents move forth and back, in 16 greys."""
        frames = media.traverse(model, codes.mu[48])[np.argsort(-codes.kl_nats)]

        with Image.open(drawn.traversal_gif) as animation:
            assert 2 * media.TRAVERSAL_STEPS - 2 == getattr(animation, "n_frames", 1)
            for picture, step in ((0, 0), (7, 7), (12, 8)):
                animation.seek(picture)
                page = np.asarray(animation.convert("L")) / 255
                y = len(page) - MARGIN - TILE
                for i in range(3):
                    x = MARGIN + i * (TILE + MARGIN)
                    found = page[y + 1 : y + TILE : 3, x + 1 : x + TILE : 3]
                    np.testing.assert_allclose(found, frames[i, step, 0], atol=9 / 255)

    def test_factor_map(self, codes: Codes, drawn: MediaFolder) -> None:
        """Normalised mutual information of latents and factors, under the factors' names."""
        assert codes.factor_map is not None
        assert codes.labels is not None
        expected = drawing.factor_map(
            codes.factor_map.information, factors=codes.labels.names, kl_nats=codes.kl_nats
        )

        with Image.open(drawn.factor_map) as picture:
            np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), expected)


def test_many_latents_are_decoded_in_parts(model: BetaVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traversal takes no more memory than a pass of the encoder."""
    sizes: list[int] = []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z: sizes.append(len(z)) or decode(z))
    monkeypatch.setattr(evaluate, "ENCODE_BATCH", 8)
    frames = media.traverse(model, np.zeros(3, np.float32))

    assert [8, 8, 8, 8, 1] == sizes
    assert (3, 11, 1, 32, 32) == frames.shape


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
    codes = encode(model, tiny, rows=rows, labels=lattice)
    inputs, outputs = media.reconstruct(model, tiny, codes, np.array([5, 50]))
    with torch.no_grad():
        expected = model.decode(torch.from_numpy(codes.mu[[5, 50]])).sigmoid().numpy()

    np.testing.assert_array_equal(tiny.store.images(np.array([5, 50])), inputs)
    assert outputs == pytest.approx(expected, abs=1e-6)


def test_data_without_factors_have_no_map(
    model: BetaVAE, tiny: ImageDataset, tmp_path: Path
) -> None:
    """The other pictures are drawn."""
    codes = encode(model, tiny, rows=np.arange(30), labels=None)
    drawn = MediaFolder(tmp_path)
    media.draw(model, tiny, codes, folder=drawn)

    names = ["reconstructions.png", "traversal.gif", "traversal.png"]
    assert names == sorted(path.name for path in drawn.root.iterdir())
