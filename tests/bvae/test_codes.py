"""Tables of codes: as files, held against factors, and scored."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from bvae.codes import Codes, factor_record, score
from bvae.data.datasets import ImageDataset
from bvae.data.labels import FactorTable
from bvae.data.lattice import FactorLattice
from bvae.data.sprites import FACTOR_NAMES
from bvae.evaluate import encode, scored_part
from bvae.model import BetaVAE


@pytest.fixture
def codes(model: BetaVAE, tiny: ImageDataset) -> Codes:
    """Codes of every image of the tiny data set."""
    lattice, rows = scored_part(tiny, None)
    return encode(model, tiny, rows=rows, labels=lattice)


class TestCodes:
    def test_file_holds_what_was_encoded(self, codes: Codes, tmp_path: Path) -> None:
        """Scores can be computed again from the file: the very same numbers come back."""
        codes.write(tmp_path / "codes.npz")
        again = Codes.read(tmp_path / "codes.npz")

        np.testing.assert_array_equal(codes.mu, again.mu)
        np.testing.assert_array_equal(codes.logvar, again.logvar)
        np.testing.assert_array_equal(codes.rows, again.rows)
        assert codes.labels == again.labels

    def test_file_without_factors(self, codes: Codes, tmp_path: Path) -> None:
        """A data set without factors leaves a table without a lattice."""
        replace(codes, labels=None).write(tmp_path / "codes.npz")

        assert Codes.read(tmp_path / "codes.npz").factors is None

    def test_kl_is_torchs(self, codes: Codes) -> None:
        """KL of each latent is torch.distributions' closed form, averaged over the images."""
        mu, logvar = torch.from_numpy(codes.mu), torch.from_numpy(codes.logvar)
        expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).mean(0)

        np.testing.assert_allclose(codes.kl_nats, expected.numpy(), rtol=1e-4)

    def test_active_latents_vary(self) -> None:
        """A latent whose mean stays within a variance of 0.01 is not active."""
        spread = np.random.default_rng(0).standard_normal((1000, 3)) * [0.05, 0.2, 1.0]
        mu = spread.astype(np.float32)

        assert 2 == Codes(mu, np.zeros_like(mu), np.arange(1000), None).active_latents


class TestTables:
    @pytest.fixture
    def table(self, tiny: ImageDataset) -> ImageDataset:
        """The tiny images, of which the label of some is not known, and one column is constant."""
        assert tiny.labels is not None
        classes = tiny.labels.factors(np.arange(96)) * 1.0
        classes[:8, 0], classes[:, 1] = np.nan, 2
        return replace(tiny, labels=FactorTable(("hue", "size", "angle", "x", "y"), classes))

    def test_codes_keep_the_factors(
        self, model: BetaVAE, table: ImageDataset, tmp_path: Path
    ) -> None:
        """Scores can be computed again from the file: the very same ones."""
        labels, rows = scored_part(table, None)
        codes = encode(model, table, rows=rows, labels=labels)
        codes.write(tmp_path / "codes.npz")
        again = Codes.read(tmp_path / "codes.npz")

        assert codes.factors is not None
        np.testing.assert_array_equal(codes.factors, again.factors)
        found, anew = (score(one, protocol="fast", seed=0) for one in (codes, again))
        assert found.values == anew.values
        assert {"beta_vae", "factor_vae", "mig", "sap"} < set(found.values)

    def test_details_say_what_is_not_as_usual(self, model: BetaVAE, table: ImageDataset) -> None:
        """How pairs were drawn, of how many images a label is known, which factor is left out."""
        labels, rows = scored_part(table, None)
        codes = encode(model, table, rows=rows, labels=labels)
        details = score(codes, protocol="higgins2017", seed=0).details

        assert ["hue", "angle", "x", "y"] == details["factors"] == codes.mapped_factors
        assert {"hue": 88, "angle": 96, "x": 96, "y": 96} == details["known"]
        assert "the other factors follow the data's own" in str(details["draws"])
        assert {"factor size": "it has a single class"} == details["missing"]
        record = factor_record(codes)
        assert record is not None
        assert codes.mapped_factors == record["factors"]
        assert set(record["assigned"]) <= {*codes.mapped_factors, None}  # type: ignore[call-overload]


class TestScore:
    def test_perfect_codes_score_one(self, codes: Codes) -> None:
        """Codes that are the factors get a Higgins score of 1; details say by which protocol."""
        assert codes.factors is not None
        ideal = codes.factors.astype(np.float32)
        sharp = replace(codes, mu=ideal, logvar=np.full_like(ideal, -4.0))
        found = score(sharp, protocol="fast", seed=0)

        assert found.values["beta_vae"] == pytest.approx(1.0, abs=0.01)
        assert ("fast", "3x2x4x2x2") == (found.details["protocol"], found.details["lattice"])
        values = found.details["scores"]["beta_vae"]["values"]  # type: ignore[index]
        assert pytest.approx(np.mean(values)) == found.values["beta_vae"]

    @pytest.mark.parametrize(
        ("names", "asked"),
        [
            (FACTOR_NAMES, ["scale", "orientation", "x", "y"]),
            (("hue", "size", "angle", "x", "y"), ["hue", "size", "angle", "x", "y"]),
        ],
    )
    def test_only_the_shape_of_dsprites_is_not_asked_for(
        self, codes: Codes, names: tuple[str, ...], asked: list[str]
    ) -> None:
        """Higgins et al. leave it out; the first of five other factors is scored like the rest."""
        own = replace(codes, labels=FactorLattice(names, (3, 2, 4, 2, 2)))
        found = score(own, protocol="higgins2017", seed=0)

        assert asked == found.details["factors"]
        mig = found.details["scores"]["mig"]  # type: ignore[index]
        assert len(asked) == mig["factors"] == len(mig["per_factor"])

    def test_without_factors_there_is_no_score(self, codes: Codes) -> None:
        """Codes without factors get no score, and no error."""
        assert {} == score(replace(codes, labels=None), protocol="fast", seed=0).values


def test_no_torch_is_needed() -> None:
    """Who scores stored codes again need not wait seconds for it."""
    code = "import sys, bvae.codes; sys.exit('torch' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
