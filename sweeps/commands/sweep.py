"""Hydra's way in: the sweeper that turns `bvae -m …` into a study, and runs it.

Hydra 1.3 accepts sweepers from the package `hydra_plugins` only, under the name they are imported
by; `register` puts this one there. Launchers are used as they are: what is launched is not a trial
but a worker loop, so that a launcher's failure costs no more than a worker.
"""

import importlib.util
import math
import re
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from bvae import checks
from bvae.exceptions import ConfigError
from sweeps.commands.dry_run import preview
from sweeps.labels import shown
from sweeps.plan.overrides import PASSWORD
from sweeps.plan.plan import Plan, Terms, plan
from sweeps.search.pruning import PERCENTILES
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


@dataclass
class SweeperConf:
    """The keys below `hydra.sweeper`; `hydra/sweeper/sampler=tpe` sets `sampler`, too."""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"sampler": None}])
    _target_: str = f"{MODULE}.BvaeSweeper"
    n_workers: int | None = None
    workers_per_device: int = 1
    params: dict[str, Any] = field(default_factory=dict)
    max_minutes: float | None = None
    max_attempts: int = 3
    max_deaths: int = 10
    dry_run: bool = False
    trial: str = "bvae.train.run_trial"
    pruner: str | None = None
    direction: str = "maximize"
    sampler: Any = None
    n_trials: int | None = None
    storage: str | None = None
    study_name: str | None = None

    def check(self) -> None:
        """Check the values.

        Raises:
            ConfigError: naming all mistakes.
        """
        mistakes = [f"hydra.sweeper.{mistake}" for mistake in self._mistakes()]
        if mistakes:
            raise ConfigError("\n".join(mistakes))

    def _mistakes(self) -> Iterator[str]:
        for name in ("n_workers", "workers_per_device", "max_attempts", "max_deaths", "n_trials"):
            number = getattr(self, name)
            if number is not None and number < 1:
                yield f"{name}: expected an integer of at least 1, but got {number}"
        minutes = self.max_minutes
        if minutes is not None and not (math.isfinite(minutes) and minutes > 0):
            yield f"max_minutes: expected a finite number above 0, but got {minutes:g}"
        if self.pruner not in (None, *PERCENTILES):
            allowed = ", ".join(PERCENTILES)
            yield f"pruner: expected one of {allowed}, or null, but got {self.pruner}"
        if self.direction != "maximize":
            yield f"direction: expected maximize, since scores are, but got {self.direction}"
        if self.study_name is not None:
            yield "study_name: a study is named by study=…; leave this key out"
        if self.storage is not None:
            yield from (f"storage: {mistake}" for mistake in _storage_mistakes(self.storage))

    @property
    def terms(self) -> Terms:
        """What the study's manifest holds of these."""
        return Terms(
            max_attempts=self.max_attempts,
            max_deaths=self.max_deaths,
            trial=self.trial,
            pruner=self.pruner,
            storage=self.storage,
            sampler=self.sampler,
            n_trials=self.n_trials,
        )


def _storage_mistakes(url: str) -> Iterator[str]:
    kind = url.partition("://")[0]
    if kind == "sqlite":
        yield (
            "SQLite locks no rows: two workers would be handed one trial. Leave the key out, for "
            "the journal in the study's folder, or give postgresql://user@host/database"
        )
    elif kind != "postgresql":
        yield f"expected postgresql://user@host/database, but got {url}"
    elif re.search(r"//[^/@]*:[^/@]*@|[?&]password=", url):
        yield f"a password has no place in a file; set {PASSWORD}, or write it into ~/.pgpass"
    elif importlib.util.find_spec("psycopg") is None:
        yield "PostgreSQL's driver is missing; pip install 'bvae-sweeps[postgresql]'"


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
        self._conf = conf_of(config.hydra.sweeper)
        self._launcher = launchers.name(config.hydra.launcher)
        self._launching = threading.Lock()

    def sweep(self, arguments: list[str]) -> Exit:
        """Run the study that the arguments ask for."""
        self._conf.check()
        params = {str(key): str(value) for key, value in self._conf.params.items()}
        planned = plan(arguments, params=params, compose=self._compose, terms=self._conf.terms)
        display = Display()
        gpus = devices.gpus() if planned.configs[0].trainer.accelerator != "cpu" else []
        settings = Settings(self._n_workers(gpus), max_minutes=self._conf.max_minutes)
        if self._conf.dry_run:
            preview(planned, n_workers=settings.n_workers, display=display)
            return self._leave(Exit.COMPLETE)
        _reach(self._conf.storage)
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
        per_device = self._conf.workers_per_device
        return self._conf.n_workers or devices.workers(gpus, per_device=per_device)

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


def conf_of(node: DictConfig) -> SweeperConf:
    """Return the keys below `hydra.sweeper` as one record."""
    conf = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SweeperConf), node))
    if not isinstance(conf, SweeperConf):  # OmegaConf's return type does not say so
        raise TypeError(f"expected a SweeperConf, but got {type(conf).__name__}")
    return conf


def run_one(composed: DictConfig) -> Exit:
    """Run a study of one trial in this process."""
    settings = HydraConfig.get()
    conf = conf_of(settings.sweeper)
    conf.check()
    whole = as_mapping(OmegaConf.merge({"hydra": settings}, composed))
    typed = list(settings.overrides.task)
    terms = replace(conf.terms, sampler=None, n_trials=None, sweeps=False)
    planned = plan(typed, params={}, compose=lambda _: whole, terms=terms)
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
    for config in wanted.values():
        checks.prepare(config)


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
    store.store(group="hydra/sweeper", name="bvae", node=SweeperConf)
    for name, node in SAMPLERS.items():
        store.store(group="hydra/sweeper/sampler", name=name, node=dict(node))
    Plugins.instance().register(BvaeSweeper)
