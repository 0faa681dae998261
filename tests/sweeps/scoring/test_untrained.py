from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bvae import checks
from bvae.data.datasets import DSPRITES, ImageDataset
from bvae.data.store import ImageStore
from bvae.exceptions import DataError
from bvae.metrics import score, scoring
from bvae.networks import build_networks
from sweeps.scoring import untrained
from sweeps.scoring.untrained import (
    Level,
    UntrainedBaseline,
    add_untrained,
    place_of,
    read_untrained,
    write_untrained,
)
from sweeps.study.manifest import RUN_TRIAL
from sweeps.study.study import Study
from sweeps.study.trials import grid
from tests.doubles.studies import CONFIGURATION, make_study, trials

PLACE = (("latent_dim", 5),)
BASELINE = UntrainedBaseline(PLACE, "fast", "3x6x40x8x8", 3, {"mig": Level(0.01, 0.002)})


@pytest.fixture
def sprites(monkeypatch: pytest.MonkeyPatch) -> ImageDataset:
    """Sprites whose lattice is small enough to be encoded at once, in place of any data set."""
    from bvae.data import sprites as drawing

    lattice, rows = DSPRITES.every((1, 2, 5, 8, 8))
    drawn = drawing.render(DSPRITES.factors(rows), 32)
    store = ImageStore(np.packbits(drawn.reshape(len(drawn), -1), axis=1), (1, 32, 32))
    dataset = ImageDataset("small", store, lattice)
    monkeypatch.setattr(checks, "prepare", lambda config: dataset)
    return dataset


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Latent size and network of what is computed, without computing it."""
    seen: list[tuple[int, str]] = []

    def noted(line: Any, dataset: Any) -> dict[str, Level]:
        del dataset
        seen.append((line.latent_dim, line.model.name))
        return {"mig": Level(0.01 * line.latent_dim, 0.002)}

    monkeypatch.setattr(untrained, "untrained_scores", noted)
    monkeypatch.setattr(checks, "prepare", lambda config: None)
    return seen


def study_of(root: Path, **axes: list[object]) -> Study:
    """A study of real trainings over these axes."""
    listed, _ = grid({"beta": [1, 4], "latent_dim": [5], "seed": [0], **axes})
    further = [axis for axis in axes if axis != "latent_dim"]
    configurations = {
        f"model={name}": CONFIGURATION | {"model": {"name": name}} for name in ("mlp", "conv")
    }
    changes: dict[str, Any] = {"compositions": configurations, "groups": ["model"]}
    return make_study(
        root, listed, trial=RUN_TRIAL, axes=further, **(changes if "model" in axes else {})
    )


class TestUntrainedScores:
    def test_are_those_of_first_weights(self, sprites: ImageDataset, tmp_path: Path) -> None:
        """Mean and spread over seeds 0, 1, 2 of networks that torch has just initialised."""
        configuration = CONFIGURATION | {"data": {**CONFIGURATION["data"], "score_every": None}}
        made = make_study(tmp_path / "a", trial=RUN_TRIAL, compositions={"": configuration})
        line = dict(untrained._wanted(made))[PLACE]
        found = untrained.untrained_scores(line, sprites)

        drawn = torch.from_numpy(sprites.store.images(np.arange(len(sprites)))).float()
        assert sprites.labels is not None
        factors = sprites.labels.factors(np.arange(len(sprites)))
        expected = []
        for seed in range(3):
            torch.manual_seed(seed)
            encoder = build_networks("mlp", image_shape=(1, 32, 32), latent_dim=5).encoder
            with torch.no_grad():
                mu, logvar = encoder(drawn).half().float().chunk(2, dim=1)
            options = {"logvar": logvar.numpy(), "protocol": "fast", "seed": seed}
            expected.append(score(mu.numpy(), factors, **options))
        for name in ("mig", "beta_vae_sampled", "sap_active"):
            of_seeds = [values[name] for values in expected]
            assert found[name].mean == pytest.approx(np.mean(of_seeds), abs=0.01)
            assert found[name].spread == pytest.approx(np.std(of_seeds, ddof=1), abs=0.01)
        assert found["mig"].spread > 0

    def test_leave_dci_out(self, sprites: ImageDataset, tmp_path: Path) -> None:
        """It would take minutes."""
        changed = CONFIGURATION | {
            "protocol": "locatello2019",
            "data": {**CONFIGURATION["data"], "score_every": None},
        }
        made = make_study(tmp_path / "a", trial=RUN_TRIAL, compositions={"": changed})
        found = untrained.untrained_scores(dict(untrained._wanted(made))[PLACE], sprites)

        assert {"mig", "sap", "explicitness"} < set(found)
        assert not [name for name in found if "dci" in name]

    def test_ask_for_the_first_of_five_factors(
        self, sprites: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the scores of trainings do, unless it is the shape of dSprites."""
        asked: list[Any] = []
        table = SimpleNamespace(values=lambda: {"mig": 0.1})
        monkeypatch.setattr(
            scoring,
            "score_table",
            lambda *_, **options: asked.append(options["drop"]) or table,
        )
        assert sprites.labels is not None
        own = replace(sprites.labels, names=("hue", "size", "angle", "x", "y"))
        line = dict(untrained._wanted(study_of(tmp_path / "a")))[PLACE]
        line.data.score_every = None
        for lattice in (own, sprites.labels):
            untrained.untrained_scores(line, replace(sprites, labels=lattice))

        assert [()] * 3 + [None] * 3 == asked

    def test_of_data_without_factors(self, sprites: ImageDataset, tmp_path: Path) -> None:
        """There are none, and why is said."""
        made = study_of(tmp_path / "a")
        line = dict(untrained._wanted(made))[PLACE]
        with pytest.raises(DataError, match="small has no factors"):
            untrained.untrained_scores(line, replace(sprites, labels=None))


class TestAddUntrained:
    def test_one_for_each_latent_size_and_network(
        self, tmp_path: Path, counted: list[tuple[int, str]]
    ) -> None:
        """Every line of the study, whatever its β and seeds."""
        made = study_of(tmp_path / "a", latent_dim=[5, 10], model=["mlp", "conv"])
        add_untrained(made)

        assert {(5, "mlp"), (10, "mlp"), (5, "conv"), (10, "conv")} == set(counted)
        found = read_untrained(made.folder.untrained)
        expected = {"mig": Level(0.1, 0.002)}
        assert found[(("latent_dim", 10), ("model", "conv"))].scores == expected
        assert {("fast", "3x6x40x8x8")} == {(f.protocol, f.lattice) for f in found.values()}

    def test_lines_of_one_encoder_share_their_baseline(
        self, tmp_path: Path, counted: list[tuple[int, str]]
    ) -> None:
        """A learning rate changes nothing before training."""
        made = study_of(tmp_path / "a", **{"optimizer.lr": [1e-3, 1e-4]})
        add_untrained(made)

        assert [(5, "mlp")] == counted
        assert 2 == len(read_untrained(made.folder.untrained))

    def test_only_what_is_missing(self, tmp_path: Path, counted: list[tuple[int, str]]) -> None:
        """Typed again nothing is computed, of a larger grid the new latent size only."""
        said: list[str] = []
        add_untrained(study_of(tmp_path / "a"), tell=said.append)
        add_untrained(study_of(tmp_path / "a"), tell=said.append)
        assert ([(5, "mlp")], 1) == (counted, len(said))

        add_untrained(study_of(tmp_path / "a", latent_dim=[5, 10]))
        assert [(5, "mlp"), (10, "mlp")] == counted

    def test_another_protocol_has_other_untrained(
        self, tmp_path: Path, counted: list[tuple[int, str]]
    ) -> None:
        """After a rescore they are computed anew."""
        made = study_of(tmp_path / "a")
        add_untrained(made)
        rescored = {"": CONFIGURATION | {"protocol": "kim2018"}}
        add_untrained(replace(made, manifest=replace(made.manifest, compositions=rescored)))

        assert 2 == len(counted)
        assert "kim2018" == read_untrained(made.folder.untrained)[PLACE].protocol

    @pytest.mark.parametrize("case", ["not a training", "one trial"])
    def test_not_for(self, tmp_path: Path, counted: list[tuple[int, str]], case: str) -> None:
        """What is no training has no networks, and one training makes no curve."""
        listed = trials([1], [0]) if case == "one trial" else trials()
        trial = RUN_TRIAL if case == "one trial" else "tests.doubles.fakes.instant"
        made = make_study(tmp_path / "a", listed, trial=trial)
        add_untrained(made)

        assert [] == counted
        assert not made.folder.untrained.exists()


class TestReadUntrained:
    def test_what_was_written(self, tmp_path: Path) -> None:
        """Places come back as trials have them, lists as tuples."""
        place = (("latent_dim", 5), ("data.score_every", (1, 2)), ("optimizer.lr", 0.001))
        baseline = replace(BASELINE, place=place)
        write_untrained(tmp_path / "floors.json", [BASELINE, baseline])

        assert read_untrained(tmp_path / "floors.json") == {PLACE: BASELINE, place: baseline}

    @pytest.mark.parametrize(
        "content",
        [
            *("", "[]", "[" * 100_000, '{"schema": 1, "floors": [{}]}'),
            '{"schema": 2, "floors": []}',
            '{"schema": 1, "floors": [{"place": {"latent_dim": 2}, "protocol": "fast", '
            '"lattice": "3x6", "n_encoders": 3, "scores": {"mig": {"mean": "a", "spread": 0}}}]}',
            '{"schema": 1, "floors": [{"place": {"latent_dim": [2]}, "protocol": "fast", '
            '"lattice": "3x6", "n_encoders": 3, "scores": {}}]}',
        ],
    )
    def test_what_cannot_be_read_is_not_there(self, tmp_path: Path, content: str) -> None:
        """No report is lost for its baseline."""
        path = tmp_path / "floors.json"
        path.write_text(content)

        assert {} == read_untrained(path)
        assert {} == read_untrained(tmp_path / "other.json")

    def test_whole_or_not_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is killed while it writes leaves the old baselines."""
        path = tmp_path / "floors.json"
        write_untrained(path, [BASELINE])
        before = path.read_bytes()

        def torn(temporary: Path, data: bytes) -> None:
            temporary.write_bytes(data[:10])
            raise KeyboardInterrupt("killed")

        monkeypatch.setattr("bvae.files._write", torn)
        with pytest.raises(KeyboardInterrupt, match="killed"):
            write_untrained(path, [BASELINE, BASELINE])

        assert before == path.read_bytes()
        assert ["floors.json"] == [entry.name for entry in tmp_path.iterdir()]


def test_place_leaves_out_beta_and_seed(tmp_path: Path) -> None:
    """The trials of a line share theirs."""
    assert {PLACE} == {place_of(trial) for trial in trials()}
