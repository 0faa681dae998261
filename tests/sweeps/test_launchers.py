import contextlib
import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slurm
from omegaconf import OmegaConf
from processes import wait_for

from sweeps import launchers
from sweeps.presence import workers_at
from sweeps.study import StudyFolder, load_study

POINT = "beta=1,latent_dim=2,seed=0"
OTHER = "beta=4,latent_dim=2,seed=0"


class TestPrepare:
    def test_slurm_is_asked_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A job that was killed is noticed within half a minute, not ten."""
        from submitit.slurm.slurm import SlurmJob

        monkeypatch.setattr(SlurmJob.watcher, "_delay_s", 600)
        launchers.prepare(OmegaConf.create({"_target_": "hydra_plugins.x.SlurmLauncher"}))

        assert 30 == SlurmJob.watcher._delay_s

    @pytest.mark.parametrize("is_there", [False, True])
    def test_ray_is_started_once_and_quietly(
        self, monkeypatch: pytest.MonkeyPatch, is_there: bool
    ) -> None:
        """With what was typed, and without a memory limit that a running cluster refuses."""
        started: list[dict[str, Any]] = []
        ray = types.ModuleType("ray")
        ray.is_initialized = lambda: is_there  # type: ignore[attr-defined]
        ray.init = lambda **given: started.append(given)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "ray", ray)
        settings = {"init": {"address": "auto", "logging_level": "info"}}
        launchers.prepare(
            OmegaConf.create({"_target_": "hydra_plugins.x.RayLauncher", "ray": settings})
        )

        quiet = {"address": "auto", "logging_level": "info", "log_to_driver": False}
        assert [quiet] * (not is_there) == started


@pytest.mark.slow
@pytest.mark.xdist_group("slurm")
class TestSlurm:
    """A command whose two workers are jobs; then the laptop is closed."""

    @pytest.fixture
    def folder(
        self, tmp_path: Path, slurm_environment: dict[str, str], repository: Path
    ) -> Iterator[StudyFolder]:
        """A study that two jobs are at, whose command was killed."""
        folder = StudyFolder(tmp_path / "runs" / "jobs")
        doubles = str(repository / "tests" / "doubles")
        typed = ["beta=1,4", "latent_dim=2", "seed=0", "study=jobs", "tracker=none"]
        typed += ["trainer.accelerator=cpu", "trainer.max_steps=1500"]
        typed += ["hydra.sweeper.trial=fakes.stepping", "hydra.sweeper.n_workers=2"]
        # Hydra's own launcher, as it is typed
        typed += ["hydra/launcher=submitit_slurm", f"hydra.launcher.partition={slurm.PARTITION}"]
        command = subprocess.Popen(
            [sys.executable, "-m", "bvae", "-m", *typed],
            cwd=tmp_path,
            env=os.environ | slurm_environment | {"PYTHONPATH": f"{doubles}:{repository}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: all(self.steps(folder)), seconds=90)
        finally:
            command.kill()
            command.wait()
        yield folder
        with contextlib.suppress(subprocess.CalledProcessError):
            self.client(slurm_environment, "scancel", "--full", "--signal=KILL", "--user=root")
            self.client(slurm_environment, "scancel", "--user=root")

    @staticmethod
    def steps(folder: StudyFolder) -> list[int]:
        """Return how often each point was begun."""
        notes = [folder.trial(slug).root / "runs.txt" for slug in (POINT, OTHER)]
        return [len(path.read_text().split("\n")) if path.exists() else 0 for path in notes]

    @staticmethod
    def client(environment: dict[str, str], *command: str) -> str:
        """Run a client of SLURM and return what it prints."""
        return subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    def jobs(self, environment: dict[str, str], state: str) -> list[str]:
        """Return the jobs of the study in this state."""
        options = ["--noheader", f"--states={state}", f"--partition={slurm.PARTITION}"]
        return self.client(environment, "squeue", *options, "--format=%A").split()

    def run_now(self, environment: dict[str, str]) -> None:
        """Have jobs that were requeued run now, not in two minutes."""
        for job in self.jobs(environment, "PENDING"):
            with contextlib.suppress(subprocess.CalledProcessError):  # it is ending still
                self.client(environment, "scontrol", "update", f"JobId={job}", "StartTime=now")

    def preempt(self, environment: dict[str, str]) -> None:
        """Submit a short job that needs the whole node, and may take it."""
        options = [f"--partition={slurm.URGENT}", "--ntasks=4", "--output=/dev/null"]
        self.client(environment, "sbatch", *options, "--wrap=true")

    def test_a_job_that_is_preempted_goes_on_later(
        self, folder: StudyFolder, slurm_environment: dict[str, str]
    ) -> None:
        """Its point is saved and given back, SLURM runs the job again, and no command is there."""
        assert 2 == load_study(folder.root).counts["running"]
        self.preempt(slurm_environment)
        wait_for(lambda: not workers_at(folder.workers), seconds=30)
        wait_for(lambda: len(self.jobs(slurm_environment, "PENDING")) == 2, seconds=60)

        def is_complete() -> bool:
            self.run_now(slurm_environment)
            return load_study(folder.root).counts["complete"] == 2

        wait_for(is_complete, seconds=180)

        for slug in (POINT, OTHER):
            first, second, last = (folder.trial(slug).root / "runs.txt").read_text().splitlines()
            assert ("from 0", "ran") == (first, last)
            assert int(second.removeprefix("from ")) > 0
        status = [sys.executable, "-m", "sweeps", "status", str(folder.root), "--json"]
        said = subprocess.run(status, capture_output=True, text=True, check=True).stdout
        assert 2 == json.loads(said)["complete"]
