import math
from dataclasses import replace

import numpy as np
import pytest

from bvae.data import sprites
from bvae.data.datasets import DSPRITES, ImageDataset
from bvae.data.store import ImageStore
from bvae.metrics.protocols import HIGGINS_2017
from sweeps.scoring.baselines import (
    Baseline,
    baselines,
    changing_pixels,
    independent,
    principal,
    scored_images,
)
from sweeps.scoring.untrained import ScoredImages

QUICK = replace(HIGGINS_2017, name="quick", n_train=1000, n_eval=500)


@pytest.fixture(scope="module")
def images() -> ScoredImages:
    """Sprites of 32 pixels, 3 x 3 x 8 x 4 x 4 of them, behind one row that is not scored."""
    lattice, rows = DSPRITES.every((1, 2, 5, 8, 8))
    drawn = sprites.render(DSPRITES.factors(np.concatenate([[0], rows])), 32)
    packed = np.packbits(drawn.reshape(len(drawn), -1), axis=1)
    dataset = ImageDataset("small", ImageStore(packed, (1, 32, 32)), None)
    return ScoredImages(dataset, np.arange(1, len(drawn)), lattice)


def test_pixels_are_those_that_change(images: ScoredImages) -> None:
    """The others are left out, and nothing else: every image is still told from all others."""
    pixels = changing_pixels(images)
    whole = sprites.render(DSPRITES.factors(DSPRITES.every((1, 2, 5, 8, 8))[1]), 32)

    assert (whole.reshape(len(whole), -1).std(axis=0) > 0).sum() == pixels.shape[1]
    assert whole.sum() == pixels.sum() + len(whole) * (whole.min(axis=0) == 1).sum()
    assert np.uint8 == pixels.dtype


def test_principal_components(images: ScoredImages) -> None:
    """They are those of the singular value decomposition, up to sign."""
    pixels = changing_pixels(images)
    centred = pixels - pixels.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :10] * values[:10]
    found = principal(pixels)

    assert found.shape == expected.shape
    np.testing.assert_allclose(np.abs(found[:, :4]), np.abs(expected[:, :4]), atol=0.02)


def test_independent_components_are_turned_and_of_unit_variance(images: ScoredImages) -> None:
    """Whitened components, turned: uncorrelated, spanning the same space, other for each seed."""
    components = principal(changing_pixels(images))
    found = [independent(components, seed=seed) for seed in (0, 1)]
    explained = np.linalg.lstsq(components, found[0], rcond=None)[1]

    np.testing.assert_allclose(np.cov(found[0].T), np.eye(10), atol=0.01)
    assert 0 == pytest.approx(explained, abs=0.1)
    assert not np.allclose(found[0], found[1], atol=0.1)


class TestBaselines:
    @pytest.fixture(scope="class")
    @classmethod
    def found(cls, images: ScoredImages) -> dict[str, Baseline]:
        """Every baseline, by name."""
        return {b.name: b for b in baselines(images, protocol=QUICK, latent_dims=[3, 5])}

    def test_names(self, found: dict[str, Baseline]) -> None:
        """The columns of the paper that need no training, an encoder for each latent size."""
        expected = ["ground truth", "PCA-10", "ICA-10", "raw pixels"]
        assert [*expected, "untrained, M = 3", "untrained, M = 5"] == list(found)

    def test_order(self, found: dict[str, Baseline]) -> None:
        """Ground truth is at the ceiling, and nothing below chance."""
        scores = {name: one.score for name, one in found.items()}
        assert 1.0 == scores["ground truth"]
        assert scores["ground truth"] > scores["PCA-10"] > scores["raw pixels"]
        assert all(0.2 < value <= 1 for value in scores.values())

    def test_what_the_spread_is_over(self, found: dict[str, Baseline]) -> None:
        """Evaluations of the same codes, or codes of other seeds; raw pixels are scored once."""
        draws = {name: (one.n_draws, one.draws) for name, one in found.items()}
        assert (3, "evaluations") == draws["PCA-10"]
        assert (5, "FastICA seeds") == draws["ICA-10"]
        assert (1, "evaluations") == draws["raw pixels"]
        assert (3, "encoders") == draws["untrained, M = 3"]
        assert found["raw pixels"].spread is None

    def test_noise_of_a_single_evaluation(self, found: dict[str, Baseline]) -> None:
        """Where one draw shows no spread, it is that of a share of so many answers."""
        p = found["raw pixels"].score
        assert math.sqrt(p * (1 - p) / QUICK.n_eval) == pytest.approx(found["raw pixels"].noise)
        assert found["PCA-10"].spread == found["PCA-10"].noise

    def test_says_what_is_computed(self, images: ScoredImages) -> None:
        """A name is told before its baseline comes."""
        heard: list[str] = []
        found = baselines(images, protocol=QUICK, latent_dims=[], tell=heard.append)
        next(found)
        next(found)
        assert ["ground truth", "raw pixels: reading them", "PCA-10"] == heard


def test_the_part_that_trials_are_scored_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lattice is the one of the data set's configuration."""
    store = ImageStore(np.zeros((184_320, 128), np.uint8), (1, 32, 32))
    lattice = replace(DSPRITES, sizes=(3, 6, 40, 16, 16))
    dataset = ImageDataset("dsprites32", store, lattice)
    monkeypatch.setattr("sweeps.scoring.baselines.open_dataset", lambda name: dataset)
    images = scored_images("dsprites32")

    assert "3x6x40x8x8" == images.labels.name
    assert 46_080 == len(images.rows)
    assert [0, 0, 0, 0, 2] == lattice.factors(images.rows[[1]])[0].tolist()
