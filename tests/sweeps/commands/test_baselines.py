import argparse
import json

import numpy as np
import pytest

from bvae.data.datasets import DSPRITES, ImageDataset
from bvae.data.store import ImageStore
from bvae.exceptions import ConfigError
from sweeps.commands import baselines
from sweeps.commands.baselines import order, reason
from sweeps.scoring.baselines import Baseline
from sweeps.scoring.untrained import ScoredImages


def baseline(name: str, score: float, *, spread: float | None = 0.01) -> Baseline:
    """Return a baseline; its noise is its spread, or .007 where there is none."""
    return Baseline(name, score, spread, 3, "encoders", 0.007 if spread is None else spread)


FOUND = [
    baseline("ground truth", 1.0, spread=0.0),
    baseline("PCA-10", 0.862),
    baseline("ICA-10", 0.7, spread=0.12),
    baseline("raw pixels", 0.438, spread=None),
    baseline("untrained, M = 5", 0.38),
    baseline("untrained, M = 10", 0.444, spread=0.02),
]


class TestReason:
    @pytest.mark.parametrize(
        ("name", "score", "expected"),
        [
            ("ground truth", 1.0, ""),
            ("ground truth", 0.99, "unexplained"),
            ("untrained, M = 5", 0.38, ""),
            ("untrained, M = 10", 0.444, "within the paper's own ± 2.5"),
            ("untrained, M = 10", 0.5, "unexplained"),
            ("PCA-10", 0.862, "how many pairs L"),
            ("PCA-10", 0.95, "unexplained"),
            ("ICA-10", 0.7, "FastICA has two answers"),
            ("raw pixels", 0.438, "the penalty"),
            ("raw pixels", 0.455, "within the paper's own ± 0.8"),
            ("raw pixels", 0.6, "unexplained"),
        ],
    )
    def test_every_difference_has_one(self, name: str, score: float, expected: str) -> None:
        """None where the paper has the same; a known one only where the score lies as it lay."""
        found = reason(baseline(name, score))
        assert expected in found
        assert bool(expected) == bool(found)


class TestOrder:
    def test_what_holds_and_what_cannot_be_told(self) -> None:
        """Pairs nearer than twice their noise are not told apart, whichever is higher."""
        words = [line.partition(": ")[2].partition(" (")[0] for line in order(FOUND)]
        assert ["holds", "holds", "holds", "not told apart"] == words

    def test_figures(self) -> None:
        """The distance, and the noise of both draws together, in points."""
        line = order(FOUND)[3]
        assert "raw pixels > untrained, M = 10: not told apart (-0.6 points, noise 2.1)" == line

    def test_a_broken_order_is_loud(self) -> None:
        """PCA below raw pixels says that something is wrong."""
        found = [*FOUND[:1], baseline("PCA-10", 0.3), *FOUND[2:]]
        assert "PCA-10 > raw pixels: DOES NOT HOLD (-13.8 points, noise 1.2)" == order(found)[1]


class TestCommand:
    @pytest.fixture(autouse=True)
    def _without_computing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in for images and scores."""
        store = ImageStore(np.zeros((1, 128), np.uint8), (1, 32, 32))
        images = ScoredImages(ImageDataset("none", store, None), np.zeros(1, np.int64), DSPRITES)
        monkeypatch.setattr(baselines, "scored_images", lambda name: images)
        monkeypatch.setattr(baselines, "baselines", lambda *_, **__: iter(FOUND))

    @staticmethod
    def run(*words: str) -> int:
        """Run `sweeps baselines …`."""
        parser = argparse.ArgumentParser()
        baselines.add_arguments(parser)
        return baselines.run(parser.parse_args(words))

    def test_table_beside_the_paper(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ours, the paper's, the difference; the order; a reason for each difference."""
        monkeypatch.setenv("COLUMNS", "200")
        assert 0 == self.run("--data", "dsprites")
        out = capsys.readouterr().out
        rows = {line.split("  ")[0]: line.split() for line in out.splitlines()}

        assert ["86.2", "1.0", "84.90", "0.4", "+1.3", "3", "encoders"] == rows["PCA-10"][1:]
        assert ["43.8", "45.75", "0.8", "-2.0"] == rows["raw pixels"][2:]
        assert ["38.0", "1.0", "3", "encoders"] == rows["untrained, M = 5"][4:]
        assert "ground truth > PCA-10: holds" in out
        assert "PCA-10: the paper does not say how many pairs" in out
        assert "No comparison" not in out

    @pytest.mark.parametrize("words", [[], ["--data", "dsprites", "--protocol", "fast"]])
    def test_other_data_or_protocol(
        self,
        words: list[str],
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The paper's numbers are shown, and no difference or reason is claimed."""
        monkeypatch.setenv("COLUMNS", "200")
        self.run(*words)
        out = capsys.readouterr().out

        assert "No comparison is claimed: the paper's figure is of dsprites by higgins2017." in out
        assert "84.90" in out
        assert "difference" not in out
        assert "does not say" not in out

    def test_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """One object; scores from 0 to 1, the paper's too."""
        self.run("--data", "dsprites", "--json")
        found = json.loads(capsys.readouterr().out)
        rows = {row["name"]: row for row in found["baselines"]}

        assert ("dsprites", "higgins2017", "beta_vae") == tuple(
            found[key] for key in ("data", "protocol", "score")
        )
        assert 0.4575 == pytest.approx(rows["raw pixels"]["paper"])
        assert 0.438 == rows["raw pixels"]["score"]
        assert rows["untrained, M = 5"]["paper"] is None
        assert 4 == len(found["order"])

    def test_unknown_protocol(self) -> None:
        """The known ones are listed."""
        with pytest.raises(ConfigError, match="Expected a protocol among higgins2017"):
            self.run("--protocol", "quick")

    @pytest.mark.parametrize("words", [["--latent-dims", "5,x"], ["--latent-dims", "0"]])
    def test_latent_sizes(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """They are whole numbers above 0."""
        with pytest.raises(SystemExit, match="2"):
            self.run(*words)
        assert "expected latent sizes like 5,10, but got" in capsys.readouterr().err

    def test_files_are_not_offered(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The official file has the images that are drawn."""
        with pytest.raises(SystemExit, match="2"):
            self.run("--data", "dsprites_npz")
        assert "invalid choice" in capsys.readouterr().err
