import contextlib
import json
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from bvae.environ import environ
from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.study.folder import StudyFolder
from sweeps.workers import launchers
from tests.doubles import slurm
from tests.doubles.processes import wait_for

POINT = "beta=1,latent_dim=2,seed=0"
OTHER = "beta=4,latent_dim=2,seed=0"
STUDY = Path("/home/ada/runs/study")


def slurm_launcher(**keys: Any) -> DictConfig:
    """Return the part of Hydra's configuration of its launcher that matters here."""
    defaults = {"partition": None, "max_num_timeout": 0, "additional_parameters": {}}
    target = {"_target_": "hydra_plugins.x.SlurmLauncher"}
    return OmegaConf.create({**target, **defaults, **keys})


def ray_launcher(**init: str) -> DictConfig:
    """Return what is typed of Ray's launcher, the same way."""
    target = "hydra_plugins.x.RayLauncher"
    return OmegaConf.create({"_target_": target, "ray": {"init": init}})


def test_submitit_has_the_private_names_that_are_set() -> None:
    """It has no public setting for either; setting a name that is gone would do nothing."""
    from submitit.local.local import LocalJob
    from submitit.slurm.slurm import SlurmJob

    names = [hasattr(LocalJob, "_results_timeout_s"), hasattr(SlurmJob.watcher, "_delay_s")]
    assert [True, True] == names, (
        "launchers.py sets LocalJob._results_timeout_s and SlurmJob.watcher._delay_s of submitit "
        f"1.5.4, but {version('submitit')} lacks one; find out what waits for results there"
    )


@pytest.mark.parametrize("name", ["100%j", "${u}"])
def test_submitit_is_given_a_folder_without_patterns(tmp_path: Path, name: str) -> None:
    """But a link."""
    study = tmp_path / name
    study.mkdir()
    local = OmegaConf.create({"_target_": "hydra_plugins.x.LocalLauncher"})
    with launchers.without_patterns(study, local) as found:
        assert study == found.resolve()
        assert not {"%", "$"} & {*str(found)}


class TestPrepare:
    @pytest.mark.parametrize(("launcher", "safe"), [("Joblib", "1"), ("Basic", None)])
    def test_workers_do_not_look_first_where_they_start(
        self, monkeypatch: pytest.MonkeyPatch, launcher: str, safe: str | None
    ) -> None:
        """A `random.py` there would end them; the basic launcher starts none."""
        monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
        monkeypatch.setenv("PYTHONIOENCODING", "ascii")
        with environ({"PYTHONSAFEPATH": None}):
            launchers.prepare(
                OmegaConf.create({"_target_": f"hydra_plugins.x.{launcher}Launcher"}), STUDY
            )

            assert safe == os.environ.get("PYTHONSAFEPATH")

    def test_a_killed_worker_of_this_machine_is_seen_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else submitit looks for its result for a quarter of a minute."""
        from submitit.local.local import LocalJob

        monkeypatch.setattr(LocalJob, "_results_timeout_s", 15)
        launchers.prepare(OmegaConf.create({"_target_": "hydra_plugins.x.LocalLauncher"}), STUDY)

        assert 0 == LocalJob._results_timeout_s

    @pytest.fixture
    def clients(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """The only folder of commands: SLURM's, which do nothing but to name two partitions."""
        for name in launchers.CLIENTS:
            (tmp_path / name).write_text("#!/bin/sh\necho long\necho short\necho long\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    @pytest.mark.usefixtures("clients")
    def test_slurm_is_asked_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A job that was killed is noticed within half a minute, not ten."""
        from submitit.slurm.slurm import SlurmJob

        monkeypatch.setattr(SlurmJob.watcher, "_delay_s", 600)
        launchers.prepare(slurm_launcher(), STUDY)

        assert 30 == SlurmJob.watcher._delay_s

    @pytest.mark.usefixtures("clients")
    @pytest.mark.parametrize(("typed", "number"), [(0, 1000), (2, 2)])
    def test_jobs_allow_requeue(self, typed: int, number: int) -> None:
        """After a time limit, which Hydra's default of 0 forbids; another number stands."""
        more = {"mail-user": "ada"}
        launcher = slurm_launcher(max_num_timeout=typed, additional_parameters=more)
        launchers.prepare(launcher, STUDY)

        assert number == launcher.max_num_timeout
        assert {"mail-user": "ada", "requeue": True} == launcher.additional_parameters

    @pytest.mark.usefixtures("clients")
    def test_a_partition_has_to_be_there(self) -> None:
        """All of them, where several are given; those there are, are named once."""
        launchers.prepare(slurm_launcher(partition="long,short"), STUDY)

        message = r"hydra\.launcher\.partition: expected one of long, short, but got gpu, cpu$"
        with pytest.raises(ConfigError, match=message):
            launchers.prepare(slurm_launcher(partition="gpu,long,cpu"), STUDY)

    @pytest.mark.parametrize(("name", "mark"), [("100%j", "%"), ("${u}", r"\$\{")])
    def test_slurm_would_find_a_pattern_in_the_folder(self, name: str, mark: str) -> None:
        """It is refused before anything is written."""
        with pytest.raises(ConfigError, match=f"SLURM replaces what follows {mark} .*got /runs/"):
            launchers.prepare(slurm_launcher(), Path("/runs", name))

    def test_slurm_has_to_be_there(self, clients: Path) -> None:
        """The commands that cannot be found are named."""
        (clients / "sbatch").unlink()

        with pytest.raises(ConfigError, match="expected SLURM's commands, but sbatch cannot be"):
            launchers.prepare(slurm_launcher(), STUDY)

    def test_slurm_has_to_answer(self, clients: Path) -> None:
        """What it says instead is passed on."""
        (clients / "sinfo").write_text("#!/bin/sh\necho no controller >&2\nexit 1\n")

        with pytest.raises(ConfigError, match=r"SLURM does not answer \(no controller\)"):
            launchers.prepare(slurm_launcher(), STUDY)

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
        launchers.prepare(ray_launcher(address="auto", logging_level="info"), STUDY)

        quiet = {"address": "auto", "logging_level": "info", "log_to_driver": False}
        assert [quiet] * (not is_there) == started

    @pytest.mark.parametrize(
        ("address", "said"),
        [("auto", "no instance is running"), ("127.0.0.1:1", "Connection refused")],
    )
    def test_ray_has_to_be_there(
        self, monkeypatch: pytest.MonkeyPatch, address: str, said: str
    ) -> None:
        """Ray itself would try an address for minutes before it says so."""

        def init(**given: Any) -> None:
            assert "auto" == given["address"]
            raise ConnectionError("no instance is running")

        ray = types.ModuleType("ray")
        ray.is_initialized = lambda: False  # type: ignore[attr-defined]
        ray.init = init  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "ray", ray)
        with pytest.raises(ConfigError, match=rf"address: no Ray at {address} \(.*{said}\)"):
            launchers.prepare(ray_launcher(address=address), STUDY)


@pytest.mark.slow
@pytest.mark.xdist_group("slurm")
class TestSlurm:
    """Commands whose two workers are jobs of a real SLURM; Hydra's own launcher, as it is typed."""

    @pytest.fixture
    def folder(self, tmp_path: Path, slurm_environment: dict[str, str]) -> Iterator[StudyFolder]:
        """Where the command's study will be; jobs that are left over are ended."""
        yield StudyFolder(tmp_path / "runs" / "jobs")
        with contextlib.suppress(subprocess.CalledProcessError):
            self.client(slurm_environment, "scancel", "--full", "--signal=KILL", "--user=root")
            self.client(slurm_environment, "scancel", "--user=root")

    @staticmethod
    def typed(
        folder: StudyFolder, environment: dict[str, str], repository: Path, *options: str
    ) -> "subprocess.Popen[str]":
        """Type a command."""
        arguments = ["beta=1,4", "latent_dim=2", "seed=0", "study=jobs", "tracker=none"]
        arguments += ["trainer.accelerator=cpu", "hydra.sweeper.trial=tests.doubles.fakes.resuming"]
        arguments += ["hydra.sweeper.n_workers=2", "hydra/launcher=submitit_slurm"]
        path = f"{repository}:{repository}"
        return subprocess.Popen(
            [sys.executable, "-m", "bvae", "-m", *arguments, *options],
            cwd=folder.root.parents[1],
            env=os.environ | environment | {"PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def leave_two_jobs(
        self, folder: StudyFolder, environment: dict[str, str], repository: Path, *options: str
    ) -> None:
        """Type a command, and kill it once its jobs have a trial each: the laptop is closed."""
        with self.typed(folder, environment, repository, *options) as command:
            try:
                wait_for(lambda: all(self.notes(folder)), seconds=90)
            finally:
                command.kill()

    @staticmethod
    def notes(folder: StudyFolder) -> list[list[str]]:
        """Return what each trial's trial has noted at its runs."""
        files = [folder.trial(slug).root / "runs.txt" for slug in (POINT, OTHER)]
        return [file.read_text().splitlines() if file.exists() else [] for file in files]

    @staticmethod
    def client(environment: dict[str, str], *command: str) -> str:
        """Run a client of SLURM and return what it prints."""
        return subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    def wait_until_resumed(self, folder: StudyFolder) -> None:
        """Wait until both trials are complete, and see that they went on from where they were."""
        wait_for(lambda: load_study(folder.root).counts["complete"] == 2, seconds=120)
        for first, second, last in self.notes(folder):
            assert ("from 0", "ran") == (first, last)
            assert int(second.removeprefix("from ")) > 0

    def test_a_job_that_is_preempted_goes_on_later(
        self, folder: StudyFolder, slurm_environment: dict[str, str], repository: Path
    ) -> None:
        """Its trial is saved and given back, SLURM runs the job again, and no command is there."""
        partition = f"hydra.launcher.partition={slurm.PARTITION}"
        self.leave_two_jobs(folder, slurm_environment, repository, partition)
        whole_node = [f"--partition={slurm.URGENT}", "--ntasks=4", "--output=/dev/null"]
        self.client(slurm_environment, "sbatch", *whole_node, "--wrap=true")

        self.wait_until_resumed(folder)
        status = [sys.executable, "-m", "sweeps", "status", str(folder.root), "--json"]
        said = subprocess.run(status, capture_output=True, text=True, check=True).stdout
        assert 2 == json.loads(said)["complete"]

    def test_a_job_at_its_time_limit_goes_on_later(
        self, folder: StudyFolder, slurm_environment: dict[str, str], repository: Path
    ) -> None:
        """SLURM says so ahead of it; the trial is saved and given back, and the job runs again."""
        limits = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=25"]
        self.leave_two_jobs(folder, slurm_environment, repository, *limits)

        self.wait_until_resumed(folder)

    def test_an_unknown_partition_is_refused(
        self, folder: StudyFolder, slurm_environment: dict[str, str], repository: Path
    ) -> None:
        """With code 2 and the ones there are, before data are built and anything is written."""
        partition = "hydra.launcher.partition=quick"
        environment = slurm_environment | {"BVAE_CACHE": str(folder.root / "cache")}
        with self.typed(folder, environment, repository, partition) as command:
            _, said = command.communicate(timeout=60)

        assert 2 == command.returncode
        assert said == (
            "error: hydra.launcher.partition: expected one of long, urgent, but got quick\n"
        )
        assert not folder.root.exists()
