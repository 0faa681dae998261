"""From a folder of pictures to a β, as a user types it; the pictures are those of the README."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bvae.trial import TrialResult
from sweeps import load_study

REPOSITORY = Path(__file__).resolve().parents[1]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python module or script to its end; return what it said."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_from_a_folder_to_a_beta(tmp_path: Path) -> None:
    """A sweep of pictures without labels ends with a best β by UDR, a report, and pictures."""
    run(str(REPOSITORY / "docs" / "own_images" / "draw.py"), "houses", "--number=40", cwd=tmp_path)
    (tmp_path / "houses" / "notes.png").write_text("no image")
    own = ("data=folder", "path=houses", "data.resolution=32", "trainer.batch_size=16")
    grid = ("beta=0.01,1", "latent_dim=3", "seed=0,1,2", "trainer.max_steps=20")
    rest = ("study=houses", "tracker=none", "hydra/launcher=basic")

    said = run("-m", "bvae", "-m", *own, *grid, *rest, cwd=tmp_path).stderr

    assert "6 of 6 trials complete" in said
    assert "udr" in said.split("best: ")[1]
    study = load_study(tmp_path / "runs" / "houses")
    assert ("udr", None) == (study.manifest.objective, study.manifest.lattice)
    result = study.results.get("beta=1,latent_dim=3,seed=0")
    assert isinstance(result, TrialResult)
    assert (40, 1) == (result.data["images"], result.data["skipped"])
    with (study.folder.report / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"udr", "udr_spearman"} == {row["score"] for row in rows}
    assert all(float(row["mean"]) >= 0 and row["n"] == "3" for row in rows)
    best = run("-m", "sweeps", "best", "runs/houses", "--score=udr", "--json", cwd=tmp_path)
    assert json.loads(best.stdout)["best"]["beta"] in (0.01, 1)
    trial = "beta=1,latent_dim=3,seed=0"
    drawn = run("-m", "sweeps", "traverse", "runs/houses", trial, "--latent=0", cwd=tmp_path)
    assert "traversal-z0.png" in drawn.stdout
    assert (study.folder.report / "index.html").stat().st_size > 100_000
