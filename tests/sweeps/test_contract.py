"""What holds on every engine, and on every storage: each of these pairs runs one study, twice.

Its trials are stand-ins: one raises, one kills its worker once. The second command is a larger
grid. Engines, storages, processes and kills are real; no report is drawn.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from sweeps import load_study
from sweeps.study.study import Study
from tests.doubles import rays, slurm

GRID = ("latent_dim=2", "seed=0", "study=agreed", "tracker=none", "trainer.accelerator=cpu")
KEYS = ("hydra.sweeper.trial=tests.doubles.fakes.eventful", "hydra.sweeper.max_attempts=1")
ENGINES = ("basic", "joblib", "local", "slurm", "ray")
PAIRS = (
    *((engine, "journal") for engine in ENGINES),
    ("local", "postgresql"),
    ("slurm", "postgresql"),
)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Agreed:
    """A study after two commands: the first with a β less.

    Attributes:
        engine: the launcher.
        store: what keeps the attempts.
        study: as it is on disk.
        codes: exit codes of the commands; one that killed itself was typed again.
        said: what the last one printed.
    """

    engine: str
    store: str
    study: Study
    codes: tuple[int, ...]
    said: str

    def runs(self, beta: int) -> list[str]:
        """Return what the trial of this β has noted at each of its runs."""
        folder = self.study.folder.trial(f"beta={beta},latent_dim=2,seed=0").root
        return (folder / "runs.txt").read_text().split("\n")[:-1]


def options(engine: str, request: pytest.FixtureRequest) -> tuple[list[str], dict[str, str]]:
    """Return what is typed for an engine, and its environment; it is started if need be."""
    if engine == "slurm":
        environment = request.getfixturevalue("slurm_environment")
        return ["hydra/launcher=slurm", f"hydra.launcher.partition={slurm.PARTITION}"], environment
    if engine == "ray":
        address = request.getfixturevalue("ray_address")
        return ["hydra/launcher=ray", f"hydra.launcher.ray.init.address='{address}'"], (
            rays.ENVIRONMENT
        )
    return [f"hydra/launcher={engine}"], {}


def type_command(
    arguments: list[str], cwd: Path, environment: dict[str, str]
) -> Iterator[subprocess.CompletedProcess[str]]:
    """Type a command, and type it again as long as it is killed."""
    while True:
        done = subprocess.run(
            [sys.executable, "-m", "tests.doubles.hasty", "-m", *arguments],
            cwd=cwd,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        yield done
        if done.returncode != -signal.SIGKILL:
            return


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((engine, store), id=f"{engine}-{store}", marks=pytest.mark.xdist_group(engine))
        for engine, store in PAIRS
    ],
)
def agreed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Agreed:
    """The study of one engine and one storage."""
    engine, store = request.param
    typed, environment = options(engine, request)
    environment = environment | {"PYTHONPATH": f"{repository}"}
    if store == "postgresql":
        typed.append(f"hydra.sweeper.storage={request.getfixturevalue('database')}")
    folder = tmp_path_factory.mktemp("agreed")
    typed += [*GRID, *KEYS, "hydra.sweeper.n_workers=2"]
    ended = list(type_command(["beta=1,2,4", *typed], folder, environment))
    ended += type_command(["beta=1,2,4,8", *typed], folder, environment)
    study = load_study(folder / "runs" / "agreed")
    codes = tuple(done.returncode for done in ended)
    return Agreed(engine, store, study, codes, ended[-1].stderr)


def test_every_trial_is_run_once(agreed: Agreed) -> None:
    """Also by the command that follows, which runs only what is new."""
    runs = [agreed.runs(1), agreed.runs(8)]
    # joblib takes the siblings of a killed worker with it, maybe ahead of their commit
    assert [["ran"], ["ran"]] == [sorted(set(r)) if agreed.engine == "joblib" else r for r in runs]
    counts = {"expected": 4, "complete": 3, "failed": 1, "pruned": 0, "running": 0, "pending": 0}
    assert counts == agreed.study.counts


def test_a_failure_is_a_result(agreed: Agreed) -> None:
    """It is kept with its reason, not run again, and both commands end with code 1."""
    result = agreed.study.results.get("beta=2,latent_dim=2,seed=0")
    assert result is not None
    assert ("failed", "ValueError: no luck at beta=2") == (result.state, result.cause)
    assert "raised" == agreed.runs(2)[0]
    # joblib takes the siblings of a killed worker with it, maybe ahead of their commit
    assert 1 == len(agreed.runs(2)) or agreed.engine == "joblib"
    killed = [-signal.SIGKILL] * (agreed.engine == "basic")
    assert (*killed, 1, 1) == agreed.codes, agreed.said


def test_a_killed_worker_costs_one_run(agreed: Agreed) -> None:
    """Its trial is taken up again; the basic launcher's worker is the command itself."""
    assert ["died", "ran"] == agreed.runs(4)
    result = agreed.study.results.get("beta=4,latent_dim=2,seed=0")
    assert result is not None
    assert ("complete", 1) == (result.state, result.attempt)


def test_attempts_are_kept_where_they_should_be(
    agreed: Agreed, request: pytest.FixtureRequest
) -> None:
    """In a file of the study's folder or in the database, and nowhere else."""
    in_file = agreed.study.folder.journal.exists()
    in_database = False
    if agreed.store == "postgresql":
        with psycopg.connect(request.getfixturevalue("database")) as connection:
            query = "SELECT count(*) FROM bvae_journal WHERE study = %s"
            row = connection.execute(query, (agreed.study.manifest.study_id,)).fetchone()
        in_database = row is not None and row[0] > 0
    assert {"journal": (True, False), "postgresql": (False, True)}[agreed.store] == (
        in_file,
        in_database,
    )
