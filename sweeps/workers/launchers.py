"""What Hydra's launchers need so that worker loops run well under them."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from bvae.exceptions import ConfigError
from sweeps.workers.processes import OF_TERMINALS, blocked

LOCAL = ("BasicLauncher", "JoblibLauncher", "LocalLauncher")
"""Launchers whose workers end with the orchestrator; workers of others are detached."""

CLIENTS = ("sbatch", "srun", "scontrol", "sinfo")
"""SLURM's commands that submitit and this module run."""

SACCT_S = 30
"""How often SLURM is polled for the state of jobs; submitit would poll every ten minutes."""

TIMEOUTS = 1000
"""How often a job may reach its time limit and be requeued."""

PATTERN = re.compile(r"%|\$\{")
"""What submitit replaces in a path."""

OF_WORKERS = {"PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8:replace"}
"""Python looks first where a process is started: a `random.py` there would end every worker. And
what workers print goes to files, whatever letters the terminal has."""

PING_TIMEOUT_S = 10.0
"""How long a Ray cluster may take to answer."""


def name(launcher: DictConfig) -> str:
    """Return the name of a launcher's class, as in `LocalLauncher`."""
    return str(launcher._target_).rpartition(".")[2]


def prepare(launcher: DictConfig, study: Path) -> None:
    """Check and set up what a launcher needs for a study in this folder; nothing is launched.

    Raises:
        ConfigError: something is missing, or is not as the launcher's keys say.
    """
    if name(launcher) != "BasicLauncher":
        os.environ.update(OF_WORKERS)
    if name(launcher) == "LocalLauncher":
        _report_deaths_at_once()
    elif name(launcher) == "SlurmLauncher":
        _check_slurm(launcher.partition, study)
        _allow_requeue(launcher)
        _poll_often()
    elif name(launcher) == "RayLauncher":
        _start_ray(launcher.ray.init)


@contextlib.contextmanager
def without_patterns(study: Path, launcher: DictConfig) -> Iterator[Path]:
    """Yield a path to a study's folder in which submitit finds no pattern, as in `100%j`.

    It replaces them anywhere, and resolves `${u}` once more. So does SLURM, where a link on this
    machine would be of no use: there such a folder is refused.
    """
    if not PATTERN.search(str(study)) or name(launcher) != "LocalLauncher":
        yield study
        return
    with tempfile.TemporaryDirectory(prefix="bvae-") as elsewhere:
        link = Path(elsewhere) / "study"
        link.symlink_to(study)
        yield link


def _report_deaths_at_once() -> None:
    """Have submitit's local launcher report a killed worker at once, so that it is replaced."""
    from submitit.local.local import LocalJob  # which other launchers need not have

    # It waits for a result for 15 s after the job has ended, since network folders show files late,
    # and has no public setting for that. Here the job has run on this machine.
    LocalJob._results_timeout_s = 0


def _check_slurm(partition: str | None, study: Path) -> None:
    """Check that jobs can be submitted from here, to these partitions (with commas between)."""
    if found := PATTERN.search(str(study)):
        raise ConfigError(
            f"runs_dir: SLURM replaces what follows {found[0]} in the paths of logs, but got "
            f"{study}; give another runs_dir=… or study=…"
        )
    absent = [command for command in CLIENTS if shutil.which(command) is None]
    if absent:
        raise ConfigError(
            f"hydra/launcher: expected SLURM's commands, but {', '.join(absent)} cannot be found; "
            "type this where jobs are submitted, or leave the key out"
        )
    known = _partitions()
    unknown = [each for each in (partition or "").split(",") if each and each not in known]
    if unknown:
        raise ConfigError(
            f"hydra.launcher.partition: expected one of {', '.join(known)}, "
            f"but got {', '.join(unknown)}"
        )


def _partitions() -> list[str]:
    """Return the names of SLURM's partitions."""
    asked = ["sinfo", "--all", "--noheader", "--format=%R"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(
            f"hydra/launcher: SLURM does not answer ({done.stderr.strip()}); "
            "see that `sinfo` works here, or leave the key out"
        )
    return list(dict.fromkeys(done.stdout.split()))


def _allow_requeue(launcher: DictConfig) -> None:
    """Have jobs requeued after a time limit or a preemption.

    Hydra's `max_num_timeout` is 0, since a task may not be able to resume; workers are.
    A site may requeue only jobs that ask for it (`JobRequeue=0`).
    """
    with open_dict(launcher):
        launcher.max_num_timeout = launcher.max_num_timeout or TIMEOUTS
        launcher.additional_parameters.requeue = True


def _poll_often() -> None:
    """Have submitit soon report jobs that have ended without a result."""
    from submitit.slurm.slurm import SlurmJob

    SlurmJob.watcher._delay_s = SACCT_S


def _start_ray(settings: DictConfig) -> None:
    """Start Ray here, or connect to the cluster whose address is given.

    Hydra's launcher would do so with a memory limit that a running cluster refuses, and from every
    worker's thread at the same time; if Ray is initialised already, it does not.
    """
    import ray

    chosen: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    chosen |= OmegaConf.to_container(settings, resolve=True)  # type: ignore[arg-type]
    try:
        _ping(str(chosen.get("address")))
        if not ray.is_initialized():
            # Else Ctrl-C ends Ray before trials are saved; and Ray looks for modules first where it
            # is started. Workers go where the command was typed.
            with blocked(*OF_TERMINALS), contextlib.chdir("/"):
                ray.init(**chosen)
    except OSError as error:
        raise ConfigError(
            f"hydra.launcher.ray.init.address: no Ray at {chosen.get('address')} ({error}); "
            "start one there with `ray start --head`, or leave the key out to have one started here"
        ) from error


def _ping(address: str) -> None:
    """Connect to a host and port, since Ray itself would try for minutes; `auto` names none."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=PING_TIMEOUT_S).close()
