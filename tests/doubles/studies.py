"""Studies on disk for tests, made without Hydra."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from bvae.trial import TrialResult
from bvae.versions import code_version
from sweeps import load_study
from sweeps.queue.journal import open_journal
from sweeps.search.search import Search
from sweeps.study.folder import StudyFolder
from sweeps.study.manifest import Manifest, SearchSettings
from sweeps.study.study import Study
from sweeps.study.trials import Trial, grid

CONFIGURATION: dict[str, Any] = {
    "beta": 4.0,
    "latent_dim": 5,
    "seed": 0,
    "study": None,
    "runs_dir": "runs",
    "objective": "mig",
    "protocol": "fast",
    "threads": 1,
    "extend": False,
    "data": {"name": "dsprites32", "path": None, "score_every": [1, 1, 1, 2, 2], "holdout": 0.0},
    "model": {"name": "mlp"},
    "optimizer": {"name": "adam", "lr": 1e-3},
    "trainer": {
        "max_steps": 10,
        "batch_size": 64,
        "accelerator": "cpu",
        "precision": "32-true",
        "log_every_n_steps": 50,
        "val_every_n_steps": 500,
    },
    "checkpoint": {"keep": "last", "interval_s": 30.0},
    "tracker": {"name": "none", "mode": "offline", "project": "tests"},
}


def trials(beta: Sequence[float] = (1, 4), seed: Sequence[int] = (0, 1)) -> list[Trial]:
    """Return a grid of one latent size, in the order to run."""
    return grid({"beta": list(beta), "latent_dim": [5], "seed": list(seed)})[0]


def manifest(listed: Sequence[Trial], **changes: Any) -> Manifest:
    """Return the manifest of a study of these trials."""
    made = Manifest(
        study_id="0" * 32,
        name="tested",
        axes=[],
        groups=[],
        trials=[trial.values for trial in listed],
        base={"threads": 1},
        compositions={"": CONFIGURATION},
        objective="mig",
        protocol="fast",
        lattice="3x6x40x16x16",
        data="dsprites32",
        model="mlp",
        image_size=1024,
        threads=1,
        arguments=["-m", "beta=1,4"],
        created_at="2026-01-01T00:00:00+00:00",
        code_version=code_version(),
        trial="tests.doubles.fakes.instant",
    )
    return replace(made, **changes)


def make_study(root: Path, listed: Sequence[Trial] | None = None, **changes: Any) -> Study:
    """Write the manifest of a study into the folder `root`."""
    made = manifest(trials() if listed is None else listed, **changes)
    made.write(StudyFolder(root).manifest)
    return load_study(root)


SEARCH = SearchSettings(
    space={
        "beta": {"low": 1, "high": 64, "log": True, "integer": False},
        "latent_dim": {"values": [5, 10, 20]},
    },
    seeds=[0, 1],
    sampler={"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 1},
    n_trials=12,
)


def make_search(root: Path, *, n_trials: int = 12, **changes: Any) -> Study:
    """Write the manifest of a search, as it is before anything was found."""
    search = replace(SEARCH, n_trials=n_trials)
    return make_study(root, Search.read(search).start(), search=search, **changes)


def result(trial: Trial, **changes: Any) -> TrialResult:
    """Return a complete result of a trial."""
    made = TrialResult(
        point=trial.values,
        state="complete",
        attempt=1,
        threads=1,
        started_at="2026-01-01T00:00:00+00:00",
        beta_norm=0.01,
        wall_time_s=2.0,
        device="cpu",
        scores={"mig": 0.25},
        losses={"recon": 40.0, "kl": 5.0, "loss": 60.0},
        kl_per_latent=[5.0],
        active_latents=1,
        images_seen=640,
    )
    return replace(made, **changes)


def write_result(study: Study, trial: Trial, **changes: Any) -> TrialResult:
    """Write a result into its trial's folder."""
    made = result(trial, **changes)
    made.write(study.folder.trial(trial.slug).result)
    return made


def attempts_of(study: Study) -> list[FrozenTrial]:
    """Return what the journal of a study holds."""
    storage = open_journal(study.folder.journal)
    return optuna.load_study(storage=storage, study_name=study.name).trials


def slugs(study: Study) -> list[str]:
    """Return the slugs of a study, in the order to run."""
    return [trial.slug for trial in study.trials]


def make_study_of_every_state(root: Path) -> Study:
    """One trial of each state: complete, failed, pruned, to be tried again, running, untouched."""
    made = make_study(root, trials(beta=[1, 4, 16], seed=[0, 1]))
    one, two, three, four = made.trials[:4]
    write_result(made, one, scores={"mig": 0.5, "beta_vae": 0.9}, losses={"recon": 40.0})
    write_result(made, two, state="failed", attempt=3, error="ValueError: no\nTraceback", scores={})
    write_result(made, three, state="pruned", scores={"mig": 0.1})
    write_result(made, four, state="failed", attempt=1, error="OSError: once", scores={})
    return load_study(root)
