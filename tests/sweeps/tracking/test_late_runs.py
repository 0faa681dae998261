"""Against wandb's own client and service, and a server on the loopback."""

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb
from omegaconf import OmegaConf
from PIL import Image

from bvae.history import History
from sweeps import __main__ as entry
from sweeps import load_study
from sweeps.analysis.summary import summarize
from sweeps.study.run_names import identity, report_identity
from sweeps.study.study import Study
from sweeps.tracking.study_run import track_report
from tests.doubles import wandb_server
from tests.doubles.studies import CONFIGURATION, make_study, trials, write_result
from tests.doubles.wandb_server import Server

pytestmark = [pytest.mark.slow, pytest.mark.covered]


def untracked(root: Path, **settings: object) -> Study:
    """Three trials that were made without W&B: two complete, one failed."""
    configuration = copy.deepcopy(CONFIGURATION)
    configuration["tracker"] |= {"name": "none"} | settings
    study = make_study(root, trials(beta=[1, 4, 16], seed=[0]), compositions={"": configuration})
    for trial in study.trials:
        folder = study.folder.trial(trial.slug)
        folder.config.parent.mkdir(parents=True)
        configuration["tracker"]["git_commit"] = "c" * 40
        OmegaConf.save({**configuration, **trial.values}, folder.config)
        history = History(folder.history, ["step", "train/loss"])
        history.start_at(0)
        for step in (5, 10):
            history.add(step, {"train/loss": 100.0 / step})
        write_result(study, trial, steps=10)
    folder = study.folder.trial(study.trials[1].slug)
    folder.media.root.mkdir()
    Image.new("L", (30, 20), 180).save(folder.media.traversal)
    write_result(study, study.trials[0], state="failed", attempt=3, error="ValueError: no")
    return load_study(root)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server, known to what the test runs."""
    with wandb_server.serving() as server:
        for name, value in {**server.environ(), "HOME": str(tmp_path / "home")}.items():
            monkeypatch.setenv(name, value)
        yield server
    wandb.teardown()


@pytest.fixture
def sync(capsys: pytest.CaptureFixture[str]) -> Callable[[Study], tuple[int, list[str]]]:
    """Type the command; returns its exit code and the lines it prints."""

    def sync(study: Study) -> tuple[int, list[str]]:
        typed = entry.parser(["sync"]).parse_args(["sync", str(study.folder.root), "--all"])
        code = typed.run(typed)
        return code, capsys.readouterr().out.splitlines()

    return sync


Sync = Callable[[Study], tuple[int, list[str]]]


def test_runs_as_they_would_have_been(tmp_path: Path, server: Server, sync: Sync) -> None:
    """With names, ids, configuration, rows, pictures and state; and the run of the study."""
    study = untracked(tmp_path / "quiet", tags=["pilot"])
    code, said = sync(study)
    failed, last, _ = (server.runs[identity(study.manifest, one).run_id] for one in study.trials)

    assert (0, "4 uploaded") == (code, said[-1])
    assert report_identity(study.manifest).run_id in server.runs
    assert ("tested", "train", "b16-m5-s0") == tuple(
        last.sent[key] for key in ("groupName", "jobType", "displayName")
    )
    assert ("c" * 40, "pilot") == (last.sent["commit"], last.sent["tags"][-1])
    assert (16, 5, 0, 0.01) == tuple(
        last.config[key] for key in ("beta", "latent_dim", "seed", "beta_norm")
    )
    assert 64 == last.config["trainer"]["batch_size"]
    rows = [(row["trainer/global_step"], row.get("train/loss")) for row in last.rows]
    assert [(5, 20.0), (10, 10.0), (10, None)] == rows[:3]
    assert 0.25 == last.summary["scores/mig"]
    assert any(path.endswith(".png") for path in last.files)
    assert ([0], [1]) == (last.exit_codes, failed.exit_codes)
    assert "scores/mig" not in failed.summary


class TestAgain:
    def test_nothing_is_there_twice(self, tmp_path: Path, server: Server, sync: Sync) -> None:
        """Neither when it is typed again nor once the runs on disk are gone."""
        study = untracked(tmp_path / "quiet")
        sync(study)
        assert (0, ["4 there already"]) == sync(study)
        shutil.rmtree(study.folder.wandb)
        code, said = sync(load_study(study.folder.root))

        assert (0, "no runs to upload") == (code, said[-1][:17])
        assert all(0 == run.overwritten for run in server.runs.values())

    def test_after_a_kill(self, tmp_path: Path, server: Server, sync: Sync) -> None:
        """What was made in part is made again."""
        study = untracked(tmp_path / "quiet")
        run_id = identity(study.manifest, study.trials[0]).run_id
        half = study.folder.wandb_unfinished / "wandb" / f"offline-run-20260101_000000-{run_id}"
        half.mkdir(parents=True)
        (half / f"run-{run_id}.wandb").write_bytes(b":W&B\xe1\xbe\x00")
        code, said = sync(study)

        assert (0, "4 uploaded") == (code, said[-1])
        assert not study.folder.wandb_unfinished.exists()


def test_what_cannot_be_made(tmp_path: Path, server: Server, sync: Sync) -> None:
    """It is said, and the others are uploaded."""
    study = untracked(tmp_path / "quiet")
    study.folder.trial(study.trials[1].slug).config.write_text("beta: none of them")
    code, said = sync(study)

    assert (1, "3 uploaded") == (code, said[-1])
    assert said[0].startswith(f"{study.trials[1].slug}: ")


def test_model_and_message_of_a_study_that_was_moved(
    tmp_path: Path, server: Server, sync: Sync
) -> None:
    """The weights are read from where the study is now; the message is sent by the upload."""
    study = untracked(tmp_path / "before", name="wandb", log_model="best", alert=True)
    for trial in study.trials:
        weights = study.folder.trial(trial.slug).last
        weights.parent.mkdir()
        weights.write_text(f"weights of {trial.slug}")
    assert track_report(summarize(study), study.folder.page) is None
    study.folder.root.rename(tmp_path / "after")
    code, said = sync(load_study(tmp_path / "after"))
    model = server.models["tested-model"]

    assert (0, "4 uploaded") == (code, said[-1]), said
    assert model["committed"]
    assert {"checkpoints/last.ckpt", "config.yaml"} == model["files"].keys()
    assert model["files"]["checkpoints/last.ckpt"].startswith(b"weights of beta=")
    assert [(report_identity(study.manifest).run_id, "tested: with failures")] == server.alerts
