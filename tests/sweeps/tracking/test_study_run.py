import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bvae import tracking
from sweeps import load_study
from sweeps.analysis.summary import summarize
from sweeps.study.study import Study
from sweeps.study.trials import Trial
from sweeps.tracking.offline_files import fragments
from sweeps.tracking.study_run import track_report
from tests.doubles import wandb_files
from tests.doubles.studies import CONFIGURATION, make_study, trials, write_result

pytestmark = [pytest.mark.slow, pytest.mark.covered]


def study_with(root: Path, tracker: str, beta: list[float], **settings: object) -> Study:
    """A complete study whose score is highest at β = 4."""
    configuration = copy.deepcopy(CONFIGURATION)
    configuration["tracker"] |= {"name": tracker} | settings
    made = make_study(root, trials(beta=beta), compositions={"": configuration})
    for trial in made.trials:
        at, seed = float(str(trial.values["beta"])), int(str(trial.values["seed"]))
        score = 0.5 - 0.1 * abs(np.log2(at / 4)) + 0.01 * seed
        write_result(made, trial, scores={"mig": float(score)}, active_latents=3)
    return load_study(root)


def reports(study: Study) -> list[Path]:
    """The files of the report's run."""
    return [fragment.path for fragment in fragments(study.folder.wandb)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def study(home: Path) -> Study:
    """A study, tracked once its report was written."""
    study = study_with(home / "runs" / "tested", "wandb", [1, 4, 16])
    assert track_report(summarize(study), study.folder.report / "index.html") is None
    return study


@pytest.fixture(scope="module")
def records(study: Study) -> list[dict[str, Any]]:
    """What is in the run's file."""
    (path,) = reports(study)
    return wandb_files.records(path)


class TestTheRun:
    def test_is_known_by_its_job(self, records: list[dict[str, Any]]) -> None:
        """In the group of the study, finished."""
        (run,) = wandb_files.of_type(records, "run")

        assert ("tested", "sweep-report") == (run["run_group"], run["job_type"])
        assert "mig" == run["config"]["update"]["objective"]
        assert [0] == wandb_files.exit_codes(records)

    def test_curve(self, study: Study, records: list[dict[str, Any]]) -> None:
        """A row per configuration and score."""
        (path,) = (row["curve.path"] for row in wandb_files.rows(records) if "curve.path" in row)
        table = json.loads((reports(study)[0].parent / "files" / path).read_text())
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]

        assert [1, 4, 16] == [row["beta"] for row in rows]
        assert 0.505 == pytest.approx(rows[1]["mean"])
        assert rows[1]["low"] < 0.505 < rows[1]["high"]

    @pytest.mark.parametrize("key", ["charts/curve", "charts/heat_map"])
    def test_charts(self, key: str, study: Study, records: list[dict[str, Any]]) -> None:
        """They are pictures with something on them."""
        rows = wandb_files.rows(records)
        (path,) = (row[f"{key}.path"] for row in rows if f"{key}.path" in row)
        with Image.open(reports(study)[0].parent / "files" / path) as image:
            pixels = np.asarray(image.convert("L"))

        assert pixels.max() > 200
        assert pixels.std() > 10

    def test_answer(self, records: list[dict[str, Any]]) -> None:
        """The best β of the latent size, with interval and verdict, and where the report is."""
        found = wandb_files.summary(records)

        assert 4 == found["best/m05/beta"]
        assert 0.505 == pytest.approx(found["best/m05/mean"])
        assert found["best/m05/low"] < 0.505 < found["best/m05/high"]
        assert "inverted U" == found["best/m05/verdict"]
        assert found["best/m05/text"]
        assert (6, 6) == (found["trials/expected"], found["trials/complete"])
        assert "~/runs/tested/report/index.html" == found["report"]


class TestAlert:
    @pytest.mark.parametrize(
        ("failed", "level", "title", "text"),
        [
            (0, "INFO", "complete", "4 of 4 trials complete"),
            (1, "ERROR", "with failures", "3 of 4 trials complete, 1 failed\nfailed beta=1,"),
            (4, "ERROR", "with failures", "0 of 4 trials complete, 4 failed\nfailed beta=1,"),
        ],
    )
    def test_at_the_end(
        self, failed: int, level: str, title: str, text: str, tmp_path: Path
    ) -> None:
        """How many trials are complete, how many failed, and why; also if none is complete."""
        study = study_with(tmp_path / "ended", "wandb", [1, 4], alert=True)
        for trial in study.trials[:failed]:
            write_result(study, trial, state="failed", attempt=3, error="ValueError: no", scores={})
        study = load_study(study.folder.root)
        assert track_report(summarize(study), study.folder.page) is None
        (path,) = reports(study)
        (alert,) = wandb_files.of_type(wandb_files.records(path), "alert")

        assert (level, f"{study.name}: {title}") == (alert["level"], alert["title"])
        assert alert["text"].startswith(text)


class TestModel:
    def test_of_the_best_trial(self, tmp_path: Path) -> None:
        """Its weights and configuration, noted by where they are in the study's folder."""
        study = study_with(tmp_path / "kept", "wandb", [1, 4, 16], log_model="best")
        best = study.folder.trial("beta=4,latent_dim=5,seed=1")
        for path in (best.last, best.config):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("of the best")
        assert track_report(summarize(study), study.folder.page) is None
        (path,) = reports(study)
        artifacts = wandb_files.of_type(wandb_files.records(path), "artifact")
        (model,) = (one for one in artifacts if one["type"] == "model")

        assert f"{study.name}-model" == model["name"]
        assert {"latest", "best"} == {*model["aliases"]}
        assert "beta=4,latent_dim=5,seed=1" == json.loads(model["metadata"])["trial"]
        files = {one["path"]: one["local_path"] for one in model["manifest"]["contents"]}
        where = f"trials/{best.root.name}"
        assert files == {
            "checkpoints/last.ckpt": f"{where}/checkpoints/last.ckpt",
            "config.yaml": f"{where}/config.yaml",
        }

    def test_without_weights(self, tmp_path: Path) -> None:
        """There is none, and nothing else is lost."""
        study = study_with(tmp_path / "kept", "wandb", [1, 4], log_model="best")
        assert track_report(summarize(study), study.folder.page) is None
        (path,) = reports(study)

        assert "model" not in {
            one["type"] for one in wandb_files.of_type(wandb_files.records(path), "artifact")
        }


def test_answer_so_far(home: Path) -> None:
    """Of a study in progress it goes by the seeds there are, as the report does."""
    study = study_with(home / "runs" / "going", "wandb", [1, 4, 16])
    study.folder.trial(Trial.of({"beta": 4, "latent_dim": 5, "seed": 1}).slug).result.unlink()
    study = load_study(study.folder.root)
    assert track_report(summarize(study), study.folder.report / "index.html") is None
    (path,) = reports(study)

    assert 4 == wandb_files.summary(wandb_files.records(path))["best/m05/beta"]


class TestUpdates:
    def test_only_when_there_is_news(self, home: Path) -> None:
        """A command that trains nothing adds nothing; further results go to the same run."""
        study = study_with(home / "runs" / "updated", "wandb", [1, 4])
        page = study.folder.report / "index.html"
        for _ in range(2):
            assert track_report(summarize(study), page) is None
        (first,) = reports(study)
        after = first.stat().st_mtime_ns + 1
        result = study.folder.trial(study.trials[0].slug).result
        os.utime(result, ns=(after, after))
        assert track_report(summarize(study), page) is None
        two = fragments(study.folder.wandb)

        assert 2 == len(two)
        assert 1 == len({fragment.run_id for fragment in two})

    @pytest.mark.parametrize(("tracker", "complete"), [("none", True), ("wandb", False)])
    def test_nothing_to_tell(self, tracker: str, tmp_path: Path, *, complete: bool) -> None:
        """Without a tracker, or with nothing complete, there is no run."""
        study = study_with(tmp_path / "tested", tracker, [1, 4])
        for slug in [] if complete else list(study.results):
            study.folder.trial(slug).result.unlink()
        study = load_study(study.folder.root)

        assert track_report(summarize(study), study.folder.report / "index.html") is None
        assert not study.folder.wandb.exists()

    def test_a_tracker_that_fails(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is told, and costs nothing."""

        def broken(*_: object, **__: object) -> object:
            raise ConnectionResetError("gone")

        monkeypatch.setattr(tracking, "_open_run", broken)
        study = study_with(home / "runs" / "broken", "wandb", [1, 4])

        found = track_report(summarize(study), study.folder.report / "index.html")
        assert "ConnectionResetError: gone" == found
