"""Hydra's way in: the sweeper that turns `bvae -m …` into a study, and runs it.

Hydra 1.3 accepts sweepers from the package `hydra_plugins` only, under the name they are imported
by; `register` puts this one there. Launchers are used as they are: what is launched is not a trial
but a worker loop, so that a launcher's failure costs no more than a worker.
"""

import os
import sys
import threading
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from bvae import preflight
from bvae.exceptions import ConfigError
from sweeps.display import Display, shown
from sweeps.orchestrator import Exit, Orchestrator, Settings
from sweeps.outcome import conclude
from sweeps.plan import Plan, plan
from sweeps.single import run_here
from sweeps.study import Study
from sweeps.worker import WorkerLoop

MODULE = "hydra_plugins.bvae_sweeper"

LOCAL_LAUNCHERS = ("BasicLauncher", "JoblibLauncher", "LocalLauncher")
"""Launchers whose workers end with the orchestrator; others' go on until the queue is empty."""


@dataclass
class SweeperConf:
    """The keys below `hydra.sweeper`."""

    _target_: str = f"{MODULE}.BvaeSweeper"
    n_workers: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    max_minutes: float | None = None
    trial: str = "bvae.train.run_trial"


class BvaeSweeper(Sweeper):
    """Plans a study, launches workers for it, and leaves its exit code in `exit_code`."""

    exit_code: ClassVar[Exit] = Exit.COMPLETE
    """Of the last sweep; Hydra drops what `sweep` returns."""

    def __init__(
        self, *, n_workers: int | None, params: Any, max_minutes: float | None, trial: str
    ) -> None:
        self._settings = Settings(n_workers=n_workers or available_cores(), max_minutes=max_minutes)
        self._params = {str(key): str(value) for key, value in params.items()}
        self._trial = trial

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra hands over; the task function is replaced by worker loops."""
        del task_function
        self._context = hydra_context
        self._config = config
        self._launching = threading.Lock()

    def sweep(self, arguments: list[str]) -> Exit:
        """Run the study that the arguments ask for."""
        if self._settings.n_workers < 1:
            raise ConfigError("hydra.sweeper.n_workers: expected an integer of at least 1")
        planned = plan(arguments, params=self._params, compose=self._compose)
        display = Display()
        study = begin(planned, display)
        with open_dict(self._config):
            self._config.hydra.sweep.dir = str(study.folder.root)
        orchestrator = Orchestrator(
            study,
            launch=lambda index: self._launch(study, index, arguments=arguments),
            settings=self._settings,
            display=display,
        )
        code = orchestrator.run()
        conclude(study, display, code)
        type(self).exit_code = code
        return code

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        loader = self._context.config_loader
        return as_mapping(loader.load_sweep_config(self._config, list(overrides)))

    def _launch(self, study: Study, index: int, *, arguments: Sequence[str]) -> None:
        name = str(self._config.hydra.launcher._target_).rpartition(".")[2]
        loop = WorkerLoop(study.folder.root, trial=self._trial, drains=name not in LOCAL_LAUNCHERS)
        with self._launching:
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self._context, task_function=loop, config=self._config
            )
        folder = f"hydra.sweep.dir='{study.folder.root}'"
        for returned in launcher.launch([[folder]], initial_job_idx=index):
            _ = returned.return_value  # raises what the worker raised


def run_one(composed: DictConfig) -> Exit:
    """Run a study of one point in this process."""
    settings = HydraConfig.get()
    whole = as_mapping(OmegaConf.merge({"hydra": settings}, composed))
    planned = plan(list(settings.overrides.task), params={}, compose=lambda _: whole)
    display = Display()
    study = begin(planned, display)
    code = run_here(study, planned.asked, trial=settings.sweeper.trial, display=display)
    conclude(study, display, code)
    return code


def as_mapping(composed: object) -> DictConfig:
    """Return the configuration as what it is; Hydra's annotations allow for a list."""
    if not isinstance(composed, DictConfig):
        raise TypeError(f"expected a mapping, but got {type(composed).__name__}")
    return composed


def begin(planned: Plan, display: Display) -> Study:
    """Build the data, put the study on disk, and say what is about to happen."""
    for config in planned.configs:
        preflight.prepare(config)
    study = planned.write()
    counts = study.counts
    for note in planned.notes:
        display.say(note)
    done = counts["complete"] + counts["pruned"] + counts["failed"]
    message = f"{study.name}: {counts['expected']} points in {shown(study.folder.root)}"
    if done:
        message += f", {done} already done, {counts['expected'] - done} to run"
    display.say(message)
    return study


def available_cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def register() -> None:
    """Make the sweeper known to Hydra as `hydra/sweeper=bvae`."""
    import hydra_plugins  # of hydra-submitit-launcher: a namespace shared with the launchers

    module = types.ModuleType(MODULE)
    BvaeSweeper.__module__ = MODULE
    module.BvaeSweeper = BvaeSweeper  # type: ignore[attr-defined]
    sys.modules[MODULE] = module
    hydra_plugins.bvae_sweeper = module
    ConfigStore.instance().store(group="hydra/sweeper", name="bvae", node=SweeperConf)
    Plugins.instance().register(BvaeSweeper)
