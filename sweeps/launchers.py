"""What Hydra's launchers need so that worker loops run well under them."""

import shutil
import socket
import subprocess
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from bvae.exceptions import ConfigError

LOCAL = ("BasicLauncher", "JoblibLauncher", "LocalLauncher")
"""Launchers whose workers end with the orchestrator; others' go on until the queue is empty."""

CLIENTS = ("sbatch", "srun", "scontrol", "sinfo")
"""SLURM's commands that submitit and this module call."""

SACCT_S = 30
"""How often SLURM is asked what has become of jobs; submitit would ask every ten minutes."""

TIMEOUTS = 1000
"""How often a job may reach its time limit, and run again."""

KNOCK_S = 10.0
"""How long a Ray cluster may take to answer."""


def name(launcher: DictConfig) -> str:
    """Return the name of a launcher's class, as in `LocalLauncher`."""
    return str(launcher._target_).rpartition(".")[2]


def prepare(launcher: DictConfig) -> None:
    """Make ready what a launcher talks to, before anything is launched.

    Raises:
        ConfigError: it is not there, or not as the launcher's keys say.
    """
    if name(launcher) == "LocalLauncher":
        _look_at_once()
    elif name(launcher) == "SlurmLauncher":
        _find_slurm(launcher.partition)
        _run_again(launcher)
        _look_often()
    elif name(launcher) == "RayLauncher":
        _start_ray(launcher.ray.init)


def _look_at_once() -> None:
    """Have submitit's local launcher report a killed worker at once, so that it is replaced."""
    from submitit.local.local import LocalJob  # which other launchers need not have

    # It looks for a result for 15 s after the job has ended, for network folders that are slow to
    # show one, and has no public setting for that. Here the job has run on this very machine.
    LocalJob._results_timeout_s = 0


def _find_slurm(partition: str | None) -> None:
    """Check that jobs can be submitted from here, to these partitions (with commas between)."""
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


def _run_again(launcher: DictConfig) -> None:
    """Have jobs run again after a time limit or a preemption.

    Hydra's `max_num_timeout` is 0, since a task may not be able to go on where it was; workers are.
    A site may requeue only jobs that ask for it (`JobRequeue=0`).
    """
    with open_dict(launcher):
        launcher.max_num_timeout = launcher.max_num_timeout or TIMEOUTS
        launcher.additional_parameters.requeue = True


def _look_often() -> None:
    """Have submitit report jobs soon that have ended without a result."""
    from submitit.slurm.slurm import SlurmJob

    SlurmJob.watcher._delay_s = SACCT_S


def _start_ray(settings: DictConfig) -> None:
    """Start Ray here, or connect to the cluster whose address is given.

    Hydra's launcher would do so with a memory limit that a running cluster refuses, and once for
    each worker at the same time; a Ray that is there already it leaves alone.
    """
    import ray

    chosen: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    chosen |= OmegaConf.to_container(settings, resolve=True)  # type: ignore[arg-type]
    try:
        _knock(str(chosen.get("address")))
        if not ray.is_initialized():
            ray.init(**chosen)
    except OSError as error:
        raise ConfigError(
            f"hydra.launcher.ray.init.address: no Ray at {chosen.get('address')} ({error}); "
            "begin one there with `ray start --head`, or leave the key out to have one begun here"
        ) from error


def _knock(address: str) -> None:
    """Connect to a host and port, where Ray itself would try for minutes; `auto` has none."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
