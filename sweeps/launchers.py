"""What Hydra's launchers need so that worker loops run well under them."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

LOCAL = ("BasicLauncher", "JoblibLauncher", "LocalLauncher")
"""Launchers whose workers end with the orchestrator; others' go on until the queue is empty."""

SACCT_S = 30
"""How often SLURM is asked what has become of jobs; submitit would ask every ten minutes."""


def name(launcher: DictConfig) -> str:
    """Return the name of a launcher's class, as in `LocalLauncher`."""
    return str(launcher._target_).rpartition(".")[2]


def prepare(launcher: DictConfig) -> None:
    """Make ready what a launcher talks to, before anything is launched."""
    if name(launcher) == "LocalLauncher":
        _look_at_once()
    elif name(launcher) == "SlurmLauncher":
        _look_often()
    elif name(launcher) == "RayLauncher":
        _start_ray(launcher.ray.init)


def _look_at_once() -> None:
    """Have submitit's local launcher report a killed worker at once, so that it is replaced."""
    from submitit.local.local import LocalJob  # which other launchers need not have

    # It looks for a result for 15 s after the job has ended, for network folders that are slow to
    # show one, and has no public setting for that. Here the job has run on this very machine.
    LocalJob._results_timeout_s = 0


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
    if not ray.is_initialized():
        ray.init(**chosen)
