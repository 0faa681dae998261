"""The page docs/extending.md, typed as it stands, and what becomes of own parts afterwards."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bvae import load
from bvae.trial import TrialResult
from sweeps import load_study

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
SMALL = ("trainer.max_steps=20", "seed=0", "tracker=none")
SWEPT = (*SMALL, "hydra/launcher=basic")  # one torch for command and worker
FEW_SCORED = "data.score_every=[1,3,8,4,4]"
"""Of the sprites: 1 x 2 x 5 x 4 x 4 of their factors' classes."""

Run = Callable[..., tuple[int, str]]

# One group: the fixtures below are made once, by one process.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("extending")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page in a folder of one's own."""
    made = tmp_path_factory.mktemp("mine")
    for name, content in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(content, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run one of our commands in a folder; return its exit code and all it says."""
    cache = tmp_path_factory.mktemp("cache")

    def run(command: str, *arguments: str, cwd: Path) -> tuple[int, str]:
        found = subprocess.run(
            [sys.executable, "-P", "-m", command, *arguments],
            cwd=cwd,
            env=os.environ | {"BVAE_CACHE": str(cache), "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return found.returncode, found.stdout + found.stderr

    return run


def typed() -> list[str]:
    """Return the arguments of the page's long command, one trial of each configuration."""
    command = re.search(r"```sh\nbvae (.*?)```", PAGE, re.DOTALL)
    assert command is not None
    words = command[1].replace("\\\n", " ").split()
    return [word for word in words if not word.startswith(("seed=", "trainer."))]


@pytest.fixture(scope="module")
def root(folder: Path, run: Run) -> Path:
    """The study of the page's long command; beside it `said.txt`, what the command said."""
    code, said = run("bvae", *typed(), *SMALL, "hydra.sweeper.n_workers=1", cwd=folder)
    assert 0 == code, said
    (folder / "said.txt").write_text(said, encoding="utf-8")
    return folder / "runs" / "mine"


def test_the_page_runs(root: Path, folder: Path) -> None:
    """Own images, networks, loss, optimiser and score: one study, judged by that score."""
    study = load_study(root)
    frame = study.frame()

    assert {32, 128} == set(frame["model.encoder.width"])
    assert frame["best_correlation"].notna().all()
    assert "best_correlation" == study.manifest.objective
    assert {"my_images.py", "my_losses.py", "my_networks.py", "my_scores.py"} == {
        path for path in study.manifest.sources if not path.startswith("bvae/")
    }
    assert "train/costs" in study.histories()
    assert "best: " in (folder / "said.txt").read_text(encoding="utf-8")


def test_typed_again_elsewhere_and_after_a_change(root: Path, folder: Path, run: Run) -> None:
    """A worker in another folder finds the parts; a change in them is refused, or accepted."""
    code, said = run("bvae", *typed(), *SMALL, "hydra.sweeper.dry_run=true", cwd=folder)
    assert 0 == code, said
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["points"].append(manifest["points"][0] | {"seed": 7})
    (root / "manifest.json").write_text(json.dumps(manifest))
    code, said = run("sweeps", "worker", str(root), cwd=folder.parent)
    trial = "beta=1,latent_dim=4,seed=7,model.encoder.width=32"
    result = TrialResult.read(root / "trials" / trial / "result.json")
    assert 0 == code, said
    assert result is not None
    assert "complete" == result.state, result.error

    networks = folder / "my_networks.py"
    networks.write_text(networks.read_text().replace("SiLU", "ReLU"))
    load = "import sys, bvae; bvae.load(sys.argv[1])"
    loaded = subprocess.run(
        [sys.executable, "-W", "error", "-c", load, str(root / "trials" / trial)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "my_networks.py: changed since" in loaded.stderr
    more = [word.replace("beta=1,4,16", "beta=1,4,16,64") for word in typed()]
    code, said = run("bvae", *more, *SWEPT, cwd=folder)
    assert 2 == code
    assert "my_networks.py: changed" in said
    code, said = run("bvae", *more, *SWEPT, "accept_sources=true", cwd=folder)
    assert 0 == code, said
    changed = {
        trial.values["beta"]: study_result.versions.get("sources_changed_from")
        for study in [load_study(root)]
        for trial, study_result in zip(study.trials, study.results.values(), strict=False)
    }
    assert changed[64] == manifest["code_version"]
    assert changed[4] is None


def test_commands_typed_elsewhere(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finds the parts of the study: to load a model, to draw one, to train more."""
    encoder = "model.encoder._target_=my_networks.encoder"
    arguments = (encoder, "beta=1,4", "latent_dim=2", "study=small", FEW_SCORED)
    code, said = run("bvae", "-m", *arguments, *SWEPT, cwd=folder)
    assert 0 == code, said

    root, trial = folder / "runs" / "small", "beta=4,latent_dim=2,seed=0"
    code, said = run("sweeps", "traverse", str(root), trial, "--latent", "0", cwd=folder.parent)
    assert 0 == code, said
    code, said = run("sweeps", "confirm", str(root), cwd=folder.parent)
    assert 0 == code, said
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert 4 == len(load(root / "trials" / trial).encoder)


def test_a_file_of_ones_own(folder: Path, run: Run) -> None:
    """`--config-dir` finds the page's experiment, whose study is named in it."""
    mine = ("--config-dir", "my", "-m", "experiment=mine")
    code, said = run("bvae", *mine, *SWEPT, "beta=1,4", cwd=folder)

    assert 0 == code, said
    assert 2 == load_study(folder / "runs" / "mine-from-a-file").counts["complete"]


def test_a_score_that_raises_is_missing(folder: Path, run: Run) -> None:
    """The first time it did not; the trial stands, and says why the score is missing."""
    (folder / "broken.py").write_text(
        "from pathlib import Path\n"
        "def score(codes, factors):\n"
        "    seen = Path(__file__).with_name('seen')\n"
        "    known = seen.exists()\n"
        "    seen.touch()\n"
        "    return 1 / (0 if known else 1)\n"
    )
    arguments = ("scores.broken._target_=broken.score", "latent_dim=4", "study=broken", FEW_SCORED)
    code, said = run("bvae", *arguments, *SMALL, cwd=folder)
    study = load_study(folder / "runs" / "broken")
    (result,) = study.results.values()

    assert 0 == code, said
    assert "complete" == result.state
    assert "broken" not in result.scores
    assert "ZeroDivisionError: division by zero" == result.scoring["missing"]["broken"]
    assert "mig" in result.scores


def test_two_losses_are_two_curves(folder: Path, run: Run) -> None:
    """`loss=beta_vae,beta_tcvae` sweeps the loss; the report has a facet for each."""
    arguments = ("loss=beta_vae,beta_tcvae", "beta=1,4", "latent_dim=4", "study=losses", FEW_SCORED)
    code, said = run("bvae", "-m", *arguments, *SWEPT, cwd=folder)
    root = folder / "runs" / "losses"
    page = (root / "report" / "index.html").read_text(encoding="utf-8")

    assert 0 == code, said
    assert {"beta_vae", "beta_tcvae"} == set(load_study(root).frame()["loss"])
    assert "loss=beta_vae" in page
    assert "loss=beta_tcvae" in page
