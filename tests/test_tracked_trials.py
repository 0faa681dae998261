"""A real trial, tracked offline: what is in its run, read back from disk."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from bvae import config, tracking, train
from bvae.assignment import Assignment
from bvae.trial import RunIdentity, TrialFolder, TrialResult
from sweeps.plan.settings import register
from tests.doubles import wandb_files

pytestmark = pytest.mark.slow

SETTINGS = (
    "experiment=quick",
    "latent_dim=6",
    "trainer.max_steps=60",
    "trainer.log_every_n_steps=10",
    "trainer.val_every_n_steps=20",
    "trainer.accelerator=cpu",
    "tracker=wandb",
)


class Tracked:
    """The trial, its result, and the records of its run."""

    def __init__(self, root: Path) -> None:
        register()
        with initialize_config_dir(str(config.directory()), version_base="1.3"):
            settings = config.parse(compose("config", [*SETTINGS]))
        self.folder = TrialFolder(root / "trials" / "one")
        task = Assignment(
            config=settings,
            folder=self.folder,
            point={"beta": 4.0, "latent_dim": 6, "seed": 0},
            attempt=1,
            identity=RunIdentity(study="quick", run_id="one", name="b4-m6-s0"),
            tracker_folder=root,
        )
        self.result: TrialResult = train.run_trial(task)
        (run_file,) = root.glob("wandb/offline-run-*/run-one.wandb")
        self.run = run_file.parent
        self.records = wandb_files.records(run_file)
        self.rows = wandb_files.rows(self.records)

    def over_time(self, key: str) -> dict[int, float]:
        """The values of a key by step."""
        return {row[tracking.STEP]: row[key] for row in self.rows if key in row}

    def media(self, key: str, step: int = 60) -> Path:
        """The file logged under a key at a step."""
        return self.run / "files" / str(self.over_time(f"{key}.path")[step])


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """A trial of the quick study, but shorter."""
    made = Tracked(tmp_path_factory.mktemp("study"))
    assert ("complete", None) == (made.result.state, made.result.tracking), made.result.error
    return made


class TestRows:
    def test_losses_and_kl_over_time(self, tracked: Tracked) -> None:
        """Losses every tenth step; validation, KL of each latent and MIG at every look."""
        for key in ("train/loss", "train/recon", "train/kl"):
            assert [10, 20, 30, 40, 50, 60] == sorted(tracked.over_time(key))
        looked = ["val/loss", "val/recon", "val/kl", "kl/active_units", "scores/mig"]
        for key in [*looked, *(f"kl/z0{m}" for m in range(6))]:
            assert {20, 40, 60} <= set(tracked.over_time(key))

    def test_are_those_of_the_history(self, tracked: Tracked) -> None:
        """Without a tracker nothing of them would be missing."""
        with tracked.folder.history.open(newline="") as file:
            history = list(csv.DictReader(file))
        for key in ("train/loss", "kl/z03", "val/recon"):
            kept = {int(row["step"]): float(row[key]) for row in history if row[key]}
            assert tracked.over_time(key) == pytest.approx(kept, rel=1e-5)

    def test_scores(self, tracked: Tracked) -> None:
        """Every score of the result, in the summary too."""
        summary = wandb_files.summary(tracked.records)

        assert tracked.result.scores
        for name, value in tracked.result.scores.items():
            assert value == pytest.approx(summary[f"scores/{name}"])
        assert tracked.result.active_latents == summary["active_latents"]

    def test_bar_of_each_latent(self, tracked: Tracked) -> None:
        """As high as its KL."""
        assert {60} == set(tracked.over_time("kl/per_latent.values")), tracked.rows[-8:]
        bars = tracked.over_time("kl/per_latent.values")[60]

        assert tracked.result.kl_per_latent == pytest.approx(bars, rel=1e-4)


class TestRun:
    def test_configuration(self, tracked: Tracked) -> None:
        """All of it, once, as the command had it; nothing of the tracker."""
        (run,) = wandb_files.of_type(tracked.records, "run")
        found: dict[str, Any] = run["config"]["update"]
        expected = {"beta": 4, "latent_dim": 6, "seed": 0, "study": "quick"}

        assert expected == {key: found[key] for key in expected}
        assert tracked.result.beta_norm == pytest.approx(found["beta_norm"])
        assert 60 == found["trainer"]["max_steps"]
        assert ("dsprites32", "mlp") == (found["data"]["name"], found["model"]["name"])
        assert not {"full", "tracker"} & found.keys()
        assert [0] == wandb_files.exit_codes(tracked.records)

    @pytest.mark.parametrize("name", ["reconstructions", "traversal", "factor_map"])
    def test_pictures(self, name: str, tracked: Tracked) -> None:
        """The pixels are those of the file in the trial's folder, neither black nor blank."""
        with Image.open(tracked.media(f"media/{name}")) as logged:
            pixels = np.asarray(logged)
        with Image.open(tracked.folder.media.root / f"{name}.png") as own:
            assert np.array_equal(pixels, np.asarray(own))
        assert pixels.max() > 200
        assert pixels.min() < 150

    @pytest.mark.parametrize("name", ["reconstructions", "traversal"])
    def test_pictures_on_the_way(self, name: str, tracked: Tracked) -> None:
        """At the first look of each quarter; the trial's folder has the same."""
        assert [20, 40, 60] == sorted(tracked.over_time(f"media/{name}.path"))
        for step in (20, 40):
            own = tracked.folder.media.root / f"step-{step}" / f"{name}.png"
            assert own.read_bytes() == tracked.media(f"media/{name}", step).read_bytes()

    def test_film(self, tracked: Tracked) -> None:
        """It has the frames of the file in the trial's folder."""
        with (
            Image.open(tracked.media("media/traversal_gif")) as logged,
            Image.open(tracked.folder.media.root / "traversal.gif") as own,
        ):
            assert own.n_frames == logged.n_frames > 10

    def test_is_small(self, tracked: Tracked) -> None:
        """A run takes less than 3 MB."""
        size = sum(path.lstat().st_size for path in tracked.run.rglob("*") if path.is_file())

        assert 50_000 < size < 3_000_000
