"""From sampled images with partial labels to a curve, as a user types it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bvae.data.sprites import render
from bvae.metrics.scores import SCORE_NAMES
from bvae.trial import TrialResult
from sweeps import load_study

REPOSITORY = Path(__file__).resolve().parents[1]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python module to its end; return what it said."""
    environ = {"PYTHONPATH": str(REPOSITORY), "BVAE_CACHE": str(cwd / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def write_images(path: Path) -> None:
    """Write 400 sprites at random: a label that is partly unknown, a measurement, a constant."""
    rng = np.random.default_rng(0)
    factors = rng.integers([3, 6, 40, 32, 32], size=(400, 5))
    x = factors[:, 3] / 31 + rng.normal(0, 0.01, 400)
    shape = np.where(rng.random(400) < 0.2, np.nan, factors[:, 0])
    np.savez(
        path,
        images=render(factors, 32) * np.uint8(255),
        factors=np.stack([shape, factors[:, 1], x, np.ones(400)], axis=1),
        factor_names=np.array(["shape", "scale", "x", "light"]),
    )


@pytest.mark.slow
def test_from_partial_labels_to_a_curve(tmp_path: Path) -> None:
    """Every score has its rows in the curve; terminal, result and page say what they are of."""
    write_images(tmp_path / "mine.npz")
    own = ("data=npz", "path=mine.npz", "data.bins=5", "protocol=locatello2019")
    grid = ("beta=0.5,2", "latent_dim=3", "seed=0,1", "trainer.max_steps=20")
    rest = ("study=mine", "tracker=none", "hydra/launcher=basic")

    said = run("bvae", "-m", *own, *grid, *rest, cwd=tmp_path).stderr

    assert "4 of 4 trials complete" in said
    assert "factors: 3x6x5 in 400 rows, no full lattice: pairs (beta_vae) and votes" in said
    assert "factor light: left out of the scores: it has a single class" in said
    study = load_study(tmp_path / "runs" / "mine")
    assert ("mig", "3x6x5 in 400 rows", 3) == (
        study.manifest.objective,
        study.manifest.lattice,
        study.manifest.n_factors,
    )
    result = study.results.get("beta=2,latent_dim=3,seed=0")
    assert isinstance(result, TrialResult)
    assert ["shape", "scale", "x"] == result.scoring["factors"]
    with (study.folder.report / "curve.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["score"] in SCORE_NAMES]
    assert {(name, beta) for name in SCORE_NAMES for beta in ("0.5", "2")} == {
        (row["score"], f"{float(row['beta']):g}") for row in rows
    }
    assert all(0 <= float(row["mean"]) <= 1 and row["n"] == "2" for row in rows)
    page = (study.folder.report / "index.html").read_text()
    assert "the other factors follow the data&#39;s own distribution" in page
    assert "no factor light: it has a single class" in page
    again = run("bvae", "-m", *own, *grid, *rest, cwd=tmp_path).stderr
    assert "4 of 4 trials complete" in again
    run("sweeps", "rescore", "runs/mine", "protocol=fast", cwd=tmp_path)
    assert {"fast"} == {*load_study(study.folder.root).by("fast").curve()["protocol"]}
    codes = study.folder.trial("beta=2,latent_dim=3,seed=0").codes
    command = ("bvae.metrics", str(codes), "--protocol=locatello2019", "--json")
    anew = json.loads(run(*command, cwd=tmp_path).stdout)["scores"]
    assert result.scores == {name: score["value"] for name, score in anew.items()}
