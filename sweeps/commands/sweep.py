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
from dataclasses import replace
from typing import ClassVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from bvae import checks, config
from bvae.exceptions import BvaeError, ConfigError
from sweeps.commands.dry_run import preview
from sweeps.labels import shown
from sweeps.plan import overrides
from sweeps.plan.plan import Plan, plan
from sweeps.plan.settings import PASSWORD, SweepSettings
from sweeps.search.search import SAMPLERS
from sweeps.study.study import Study
from sweeps.study.trials import as_typed
from sweeps.workers import devices, launchers
from sweeps.workers.exit_codes import Exit
from sweeps.workers.in_process import run_here
from sweeps.workers.live_table import Display
from sweeps.workers.orchestrator import Orchestrator, Settings, running
from sweeps.workers.worker import WorkerLoop

MODULE = "hydra_plugins.bvae_sweeper"


def _reach(storage: str | None) -> None:
    """Connect to the database, if one is named.

    Raises:
        ConfigError: it cannot be reached.
    """
    if storage is None:
        return
    from sweeps.queue import postgres  # whose driver not everyone has

    try:
        postgres.check(storage)
    except OSError as error:
        raise ConfigError(
            f"hydra.sweeper.storage: {error}; is it running, and is the password in {PASSWORD} "
            "or ~/.pgpass?"
        ) from error


class BvaeSweeper(Sweeper):
    """Plans a study, launches workers for it, and leaves its exit code in `exit_code`."""

    exit_code: ClassVar[Exit] = Exit.COMPLETE
    """Of the last sweep; Hydra drops what `sweep` returns."""

    def __init__(self, **keys: object) -> None:
        del keys  # Hydra hands them over one by one; `setup` gets them as one record

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra hands over; the task function is replaced by worker loops."""
        del task_function
        self._context = hydra_context
        self._config = config
        self._settings = conf_of(config.hydra.sweeper)
        self._launcher = launchers.name(config.hydra.launcher)
        self._launching = threading.Lock()

    def sweep(self, arguments: list[str]) -> Exit:
        """Run the study that the arguments ask for."""
        self._settings.check()
        params = {str(key): str(value) for key, value in self._settings.params.items()}
        planned = plan(
            arguments,
            command=_typed(),
            params=params,
            compose=self._compose,
            settings=self._settings,
        )
        display = Display()
        gpus = devices.gpus() if planned.configs[0].trainer.accelerator != "cpu" else []
        settings = Settings(self._n_workers(gpus), max_minutes=self._settings.max_minutes)
        if self._settings.dry_run:
            preview(planned, n_workers=settings.n_workers, display=display)
            return self._leave(Exit.COMPLETE)
        _reach(self._settings.storage)
        launchers.prepare(self._config.hydra.launcher)
        prepare(planned)
        with running(planned.folder):
            study = begin(planned, display)
            with open_dict(self._config):
                self._config.hydra.sweep.dir = str(study.folder.root)
            orchestrator = Orchestrator(
                study,
                launch=lambda index: self._launch(study, index, gpus),
                settings=settings,
                display=display,
            )
            code = orchestrator.run()
            _conclude(study, display, code)
        return self._leave(code)

    def _leave(self, code: Exit) -> Exit:
        type(self).exit_code = code
        return code

    def _n_workers(self, gpus: Sequence[str]) -> int:
        if self._launcher == "BasicLauncher":
            return 1  # it runs what it launches in this process, whose globals there are once
        per_device = self._settings.workers_per_device
        return self._settings.n_workers or devices.workers(gpus, per_device=per_device)

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        loader = self._context.config_loader
        return as_mapping(loader.load_sweep_config(self._config, list(overrides)))

    def _launch(self, study: Study, index: int, gpus: Sequence[str]) -> None:
        loop = WorkerLoop(
            study.folder.root,
            detached=self._launcher not in launchers.LOCAL,
            gpu=devices.card(index, gpus) if self._launcher == "LocalLauncher" else None,
        )
        with self._launching:
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self._context, task_function=loop, config=self._config
            )
        folder = f"hydra.sweep.dir={as_typed(str(study.folder.root))}"
        for returned in launcher.launch([[folder]], initial_job_idx=index):
            _ = returned.return_value  # raises what the worker raised


def run(arguments: Sequence[str]) -> Exit:
    """Do what `bvae` does with these command-line arguments.

    Returns:
        its exit code; mistakes are printed, a line each.
    """
    # Hydra would print what went wrong in its own words and exit with 1; here it is caught below.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    register()
    BvaeSweeper.exit_code = Exit.COMPLETE
    entry = hydra.main(
        config_path=str(config.directory()), config_name="config", version_base="1.3"
    )(_train_one)
    before = sys.argv
    try:
        typed = overrides.without_password(overrides.written_out(arguments))
        sys.argv = ["bvae", *typed]  # which Hydra parses
        overrides.check(_overrides_among(typed))
        entry()
    except (BvaeError, HydraException, OmegaConfBaseException) as error:
        return _refuse(error)
    except KeyboardInterrupt:  # while the study was being prepared: nothing has started
        return Exit.INTERRUPTED
    finally:
        sys.argv = before
    return BvaeSweeper.exit_code


def _typed() -> list[str]:
    """Return what was typed after `bvae`, as Hydra has parsed it, with `~` for the home."""
    return list(map(overrides.with_short_home, sys.argv[1:]))


def _train_one(composed: DictConfig) -> None:
    """Train and score one model: a study of one trial."""
    try:
        BvaeSweeper.exit_code = run_one(composed)
    except BvaeError as error:  # here, since Hydra would first print words of its own
        BvaeSweeper.exit_code = _refuse(error)


def _overrides_among(arguments: Sequence[str]) -> list[str]:
    """Return the overrides among command-line arguments."""
    return [
        text for text in arguments if not text.startswith("-") and ("=" in text or text[:1] in "~+")
    ]


def _refuse(error: Exception) -> Exit:
    message = str(error) or str(error.__cause__)
    if error.__cause__ is not None and str(error.__cause__) not in message:
        message += f"\n{error.__cause__}"
    print("\n".join(f"error: {line}" for line in message.splitlines() if line), file=sys.stderr)
    return Exit.USAGE


def conf_of(node: DictConfig) -> SweepSettings:
    """Return the keys below `hydra.sweeper` as one record."""
    conf = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SweepSettings), node))
    if not isinstance(conf, SweepSettings):  # OmegaConf's return type does not say so
        raise TypeError(f"expected a SweepSettings, but got {type(conf).__name__}")
    return conf


def run_one(composed: DictConfig) -> Exit:
    """Run a study of one trial in this process."""
    settings = HydraConfig.get()
    conf = conf_of(settings.sweeper)
    conf.check()
    whole = as_mapping(OmegaConf.merge({"hydra": settings}, composed))
    typed = list(settings.overrides.task)
    conf = replace(conf, sampler=None, n_trials=None)
    planned = plan(
        typed,
        command=_typed(),
        params={},
        compose=lambda _: whole,
        settings=conf,
        sweeps=False,
    )
    display = Display()
    if conf.dry_run:
        preview(planned, n_workers=1, display=display)
        return Exit.COMPLETE
    _reach(conf.storage)
    prepare(planned)
    with running(planned.folder):
        study = begin(planned, display)
        code = run_here(study, planned.asked, display=display)
        _conclude(study, display, code)
    return code


def as_mapping(composed: object) -> DictConfig:
    """Return the configuration as what it is; Hydra's annotations allow for a list."""
    if not isinstance(composed, DictConfig):
        raise TypeError(f"expected a mapping, but got {type(composed).__name__}")
    return composed


def prepare(planned: Plan) -> None:
    """Build all data that trials are trained on, as far as they are not in the cache."""
    wanted = {(repr(one.data), one.trainer.batch_size): one for one in planned.configs}
    for one in wanted.values():
        checks.prepare(one)


def begin(planned: Plan, display: Display) -> Study:
    """Put the study on disk, and say what is about to happen."""
    study = planned.write()
    counts = study.counts
    for note in planned.notes:
        display.say(note)
    done = counts["complete"] + counts["pruned"] + counts["failed"]
    message = f"{study.name}: {counts['expected']} trials in {shown(study.folder.root)}"
    if done:
        message += f", {done} already done, {counts['expected'] - done} to run"
    display.say(message)
    if counts["failed"]:
        command = f"sweeps retry {shown(study.folder.root)}"
        display.say(f"{counts['failed']} have failed and stay so; run them again with: {command}")
    return study


def _conclude(study: Study, display: Display, code: Exit) -> None:
    from sweeps.commands.conclude import (
        conclude,  # pandas, which workers import this module without
    )

    conclude(study, display, code)


def register() -> None:
    """Make the sweeper known to Hydra as `hydra/sweeper=bvae`."""
    import hydra_plugins  # of hydra-submitit-launcher: a namespace shared with the launchers

    module = types.ModuleType(MODULE)
    BvaeSweeper.__module__ = MODULE
    module.BvaeSweeper = BvaeSweeper  # type: ignore[attr-defined]
    sys.modules[MODULE] = module
    hydra_plugins.bvae_sweeper = module
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="bvae", node=SweepSettings)
    for name, node in SAMPLERS.items():
        store.store(group="hydra/sweeper/sampler", name=name, node=dict(node))
    Plugins.instance().register(BvaeSweeper)
