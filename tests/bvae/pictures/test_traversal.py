from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bvae.codes import Codes
from bvae.data.datasets import DSPRITES, ImageDataset
from bvae.data.lattice import FactorLattice
from bvae.evaluate import encode, scored_part
from bvae.exceptions import ConfigError
from bvae.model import BetaVAE
from bvae.pictures import drawing
from bvae.pictures.traversal import (
    Start,
    TraversalFiles,
    decode_moved,
    draw,
    starts,
    traversal_values,
)
from bvae.trial import MediaFolder


class TestStarts:
    def test_a_fixed_square_ellipse_and_heart(self) -> None:
        """They differ in shape alone: upright, in the middle."""
        found = starts(DSPRITES, len(DSPRITES))
        classes = DSPRITES.factors([start.row for start in found])

        assert ["square", "ellipse", "heart"] == [start.name for start in found]
        assert [[shape, 4, 0, 16, 16] for shape in range(3)] == classes.tolist()

    @pytest.mark.parametrize(
        "lattice", [None, FactorLattice(("shape", "hue"), (3, 20)), FactorLattice(("a",), (60,))]
    )
    def test_other_data_starts_from_images_spread_evenly(
        self, lattice: FactorLattice | None
    ) -> None:
        """Three images, the middles of the thirds."""
        assert [10, 30, 50] == [start.row for start in starts(lattice, 60)]

    def test_fewer_images_than_starts(self) -> None:
        """No image is shown twice."""
        assert [0, 1] == [start.row for start in starts(None, 2)]

    def test_one_shape(self) -> None:
        """A shape is chosen by its name."""
        assert starts(DSPRITES, len(DSPRITES))[2:] == starts(DSPRITES, len(DSPRITES), "heart")

    def test_a_row(self) -> None:
        """A row of the data is chosen by its number."""
        assert [Start("image 59", 59)] == starts(None, 60, "59")

    @pytest.mark.parametrize("chosen", ["60", "-1", "heart", ""])
    def test_no_such_image(self, chosen: str) -> None:
        """What could be chosen is said."""
        with pytest.raises(ConfigError, match=r"expected a row from 0 to 59, but got"):
            starts(None, 60, chosen)

    def test_no_such_shape(self) -> None:
        """With the factors of dSprites the shapes are offered."""
        with pytest.raises(ConfigError, match="or square, ellipse, heart, but got circle"):
            starts(DSPRITES, len(DSPRITES), "circle")


def test_ranges_are_the_prior_and_the_latents_own() -> None:
    """-3 to 3, and from the first to the last percentile of the latent's means."""
    mu = np.stack([np.zeros(101), np.arange(101.0) / 10], axis=1).astype(np.float32)
    codes = Codes(mu, np.zeros_like(mu), np.arange(101), None)
    found = traversal_values(codes, 1, steps=3)

    assert ["-3 to 3", "1% to 99% of its means"] == list(found)
    assert [-3, 0, 3] == next(iter(found.values())).tolist()
    assert [0.1, 5.0, 9.9] == pytest.approx(found["1% to 99% of its means"].tolist())


def test_one_latent_moves_alone(model: BetaVAE) -> None:
    """Image i at step s is decoded from code i with the one latent at value s."""
    mu = torch.tensor([[0.5, -0.25, 1.0], [0.0, 2.0, -1.0]])
    frames = decode_moved(model, mu, 1, np.array([-3.0, 0.0, 3.0]))
    with torch.no_grad():
        expected = model.decode(torch.tensor([[0.0, 3.0, -1.0]])).sigmoid().numpy()

    assert (2, 3, 1, 32, 32) == frames.shape
    np.testing.assert_allclose(frames[1, 2], expected[0], atol=1e-6)
    assert [0.0, 2.0, -1.0] == mu[1].tolist()


def test_many_images_are_decoded_in_parts(model: BetaVAE, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many steps are asked for, a pass of the decoder takes as many as one of encoding."""
    sizes: list[int] = []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z: sizes.append(len(z)) or decode(z))
    frames = decode_moved(model, torch.zeros(3, 3), 1, np.linspace(-3, 3, 50))

    assert (3, 50, 1, 32, 32) == frames.shape
    assert [64, 64, 22] == sizes


class TestDraw:
    @pytest.fixture
    def codes(self, model: BetaVAE, tiny: ImageDataset) -> Codes:
        """Codes of every image."""
        lattice, rows = scored_part(tiny, None)
        return encode(model, tiny, rows=rows, labels=lattice)

    @staticmethod
    def drawn(
        model: BetaVAE, tiny: ImageDataset, codes: Codes, folder: Path, *, latent: int = 2
    ) -> TraversalFiles:
        """Draw from two images in four steps."""
        begun = [Start("one", 5), Start("two", 50)]
        return draw(
            model, tiny, codes, latent=latent, begun=begun, steps=4, folder=MediaFolder(folder)
        )

    def test_a_picture_and_a_film(
        self, model: BetaVAE, tiny: ImageDataset, codes: Codes, tmp_path: Path
    ) -> None:
        """They are named after the latent; the animation goes forth and back."""
        found = self.drawn(model, tiny, codes, tmp_path / "media")

        assert ("traversal-z2.png", "traversal-z2.gif") == (found.grid.name, found.animation.name)
        assert np.asarray(Image.open(found.grid)).std() > 10
        with Image.open(found.animation) as animation:
            assert 2 * 4 - 2 == getattr(animation, "n_frames", 1)

    def test_starts_from_the_codes_of_the_images(
        self,
        model: BetaVAE,
        tiny: ImageDataset,
        codes: Codes,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """At the value the latent has, an image's own reconstruction is drawn."""
        seen: list[drawing.Traversal] = []
        row = 50
        value = float(codes.mu[row, 2])
        monkeypatch.setattr(
            "bvae.pictures.traversal.traversal_values",
            lambda *_, **__: {"own": np.array([value, 3.0])},
        )
        monkeypatch.setattr(drawing, "save_png", lambda *_: None)
        monkeypatch.setattr(drawing, "save_gif", lambda *_, **__: None)
        monkeypatch.setattr(drawing, "latent_grid", lambda _, moved, title: seen.extend(moved))
        self.drawn(model, tiny, codes, tmp_path)
        with torch.no_grad():
            image = torch.from_numpy(tiny.store.images(np.array([row]))).float()
            expected = model.decode(model.encode(image)[0]).sigmoid().numpy()

        np.testing.assert_allclose(seen[0].frames[1, 0], expected[0], atol=1e-3)
        assert np.abs(seen[0].frames[1, 1] - expected[0]).max() > 1e-3

    @pytest.mark.parametrize("latent", [-1, 3])
    def test_no_such_latent(
        self, model: BetaVAE, tiny: ImageDataset, codes: Codes, tmp_path: Path, latent: int
    ) -> None:
        """Latents count from 0."""
        with pytest.raises(ConfigError, match=f"expected 0 to 2, but got {latent}"):
            self.drawn(model, tiny, codes, tmp_path, latent=latent)

    @pytest.mark.parametrize(
        ("factors", "title"),
        [(True, "z0   KL 0.50 nats   follows a"), (False, "z0   KL 0.50 nats")],
    )
    def test_the_title_says_what_the_latent_carries(
        self,
        model: BetaVAE,
        tiny: ImageDataset,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        factors: bool,
        title: str,
    ) -> None:
        """KL, and the factor that it follows where there are factors."""
        titles: list[str] = []
        lattice = FactorLattice(("a", "b"), (2, 48))
        mu = np.zeros((96, 3), np.float32)
        mu[:, 0] = np.repeat([-1, 1], 48)
        codes = Codes(mu, np.zeros_like(mu), np.arange(96), lattice if factors else None)
        monkeypatch.setattr(
            drawing,
            "latent_grid",
            lambda _, __, title: titles.append(title) or np.zeros((2, 2, 3), np.uint8),
        )
        self.drawn(model, tiny, codes, tmp_path, latent=0)
        assert [title] == titles
