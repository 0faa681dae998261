"""`bvae -m …` as a study: `Sweep` plans it and launches workers for it; `run_one` is one trial.

Hydra gets to it by the plug-in `hydra_plugins.bvae_sweeper`. Launchers are used as they are: what
is launched is not a trial but a worker loop, so that a launcher's failure costs no more than a
worker.
"""

import math
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from bvae import checks
from bvae.exceptions import ConfigError
from bvae.machine import Machine, this_machine
from sweeps.commands.dry_run import preview
from sweeps.commands.live_report import LiveReport
from sweeps.commands.run_study import Ended, prepare, run_study
from sweeps.labels import shown
from sweeps.plan import overrides, words
from sweeps.plan.compose import as_mapping
from sweeps.plan.overrides import Groups
from sweeps.plan.plan import Plan, plan
from sweeps.plan.settings import PASSWORD, settings_of
from sweeps.study.quoting import escaped, for_hydra, for_shell
from sweeps.study.study import Study, open_study
from sweeps.workers import devices, launchers
from sweeps.workers.exit_codes import Exit
from sweeps.workers.in_process import run_here
from sweeps.workers.live_table import Display
from sweeps.workers.orchestrator import Orchestrator, Settings
from sweeps.workers.worker import WorkerLoop

OF_SWEEPS = (
    *(f"hydra.sweeper.{key}" for key in ("n_workers", "workers_per_device", "max_minutes")),
    *(f"hydra.sweeper.{key}" for key in ("params", "pruner", "sampler", "n_trials", "until")),
    "hydra/sweeper/sampler",
    "hydra/launcher",
    "hydra.launcher",
)
"""Keys, and beginnings of keys, that nothing comes of without -m."""


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


class Sweep:
    """Plans the study that overrides ask for, and launches workers for it.

    Args:
        context: Hydra's, which composes.
        config: composed of what is not swept.
        arguments: the overrides.
    """

    def __init__(self, context: HydraContext, config: DictConfig, arguments: Sequence[str]) -> None:
        self._context = context
        self._config = config
        self._arguments = list(arguments)
        self._settings = settings_of(config.hydra.sweeper)
        self._launcher = launchers.name(config.hydra.launcher)
        self._launching = threading.Lock()

    def run(self, groups: Groups, resumed: Plan | None = None) -> Ended:
        """Run the study; `groups` are the names of every config group."""
        self._settings.check()
        machine = this_machine()
        planned = resumed or plan(
            self._arguments,
            command=_typed(),
            params=words.of_params(self._settings.params),
            compose=self._compose,
            groups=groups,
            settings=self._settings,
            machine=machine if self._launcher in launchers.LOCAL else None,
        )
        display = Display()
        if planned.configs[0].trainer.accelerator == "cpu":
            machine = replace(machine, cards=())
        share = self._share(planned, machine)
        settings = Settings(
            share.workers,
            max_minutes=self._settings.max_minutes,
            outlive=self._launcher == "SlurmLauncher",
        )
        if self._settings.dry_run:
            preview(planned, share=share, machine=machine, display=display)
            return Ended(Exit.COMPLETE)
        _reach(self._settings.storage)
        launchers.prepare(self._config.hydra.launcher, planned.folder.root)
        prepare(planned)
        root, launcher = planned.folder.root, self._config.hydra.launcher

        def work(study: Study) -> tuple[Exit, Study]:
            patterns = launchers.without_patterns(root, launcher)
            with patterns as folder, LiveReport(study.folder) as report:
                with open_dict(self._config):
                    self._config.hydra.sweep.dir = escaped(str(folder))
                if study.left:
                    display.say(f"report: {shown(study.folder.page)}, written anew as trials end")
                return self._work(study, display, settings, machine.cards, report)

        joins = self._launcher in launchers.LOCAL and settings.max_minutes is None
        return run_study(planned, display, work, joins=joins, on_end=self._settings.on_end)

    def _work(
        self,
        study: Study,
        display: Display,
        settings: Settings,
        gpus: Sequence[str],
        report: LiveReport,
    ) -> tuple[Exit, Study]:
        """Run the trials there are; with `until`, add seeds and run those till nothing is open.

        Returns:
            the exit code, and the study as it was opened last.
        """
        root = study.folder.root
        ends_at = time.monotonic() + 60 * (settings.max_minutes or math.inf)
        while True:
            code = Orchestrator(
                study,
                launch=lambda index: self._launch(root, index, gpus),
                settings=settings,
                display=display,
                at=report,
            ).run()
            if code is not Exit.COMPLETE or self._settings.until is None:
                return code, study
            from sweeps.commands.until import look  # pandas, which a sweep need not load at once

            study = open_study(root)
            found = look(study, n_trials=self._settings.n_trials)
            display.say(found.text)
            if not found.added:
                return (Exit.COMPLETE if found.resolved else Exit.LEFT), study
            if settings.max_minutes is not None:
                left_s = max(ends_at - time.monotonic(), 0.1)
                settings = replace(settings, max_minutes=left_s / 60)
            study = open_study(root)

    def _share(self, planned: Plan, machine: Machine) -> devices.Share:
        if self._launcher == "BasicLauncher":  # it runs what it launches in this process
            return devices.Share(1, "hydra/launcher=basic")
        if self._settings.n_workers:
            return devices.Share(self._settings.n_workers, "hydra.sweeper.n_workers")
        return devices.share(
            machine,
            per_device=self._settings.workers_per_device,
            threads=max(one.threads for one in planned.configs),
            worker_bytes=max(map(checks.worker_bytes, planned.largest)),
        )

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        loader = self._context.config_loader
        composed = as_mapping(loader.load_sweep_config(self._config, list(overrides)))
        HydraConfig.instance().set_config(composed)  # which `${hydra:…}` is resolved by
        return composed

    def _launch(self, root: Path, index: int, gpus: Sequence[str]) -> None:
        loop = WorkerLoop(
            root,
            detached=self._launcher not in launchers.LOCAL,
            gpu=devices.card(index, gpus) if self._launcher == "LocalLauncher" else None,
            typed_in=str(Path.cwd()),
        )
        with self._launching:
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self._context, task_function=loop, config=self._config
            )
        folder = f"hydra.sweep.dir={for_hydra(str(root))}"
        for returned in launcher.launch([[folder]], initial_job_idx=index):
            _ = returned.return_value  # raises what the worker raised


def _typed() -> list[str]:
    """Return what was typed after `bvae`, as Hydra has parsed it."""
    return [words.without_plus(word) for word in sys.argv[1:]]


def run_one(composed: DictConfig, groups: Groups, resumed: Plan | None = None) -> Ended:
    """Run a study of one trial in this process; `groups` are the names of every config group."""
    settings = HydraConfig.get()
    conf = settings_of(settings.sweeper)
    conf.check()
    whole = as_mapping(OmegaConf.merge({"hydra": settings}, composed))
    # resolved, they would say what an interpolation came to here
    given: Any = OmegaConf.to_container(settings.overrides)
    typed: list[str] = given["task"]
    _refuse_of_sweeps(given["hydra"])
    of_sweep = sorted({*words.of_params(conf.params)} - overrides.keys(typed))
    conf = replace(conf, sampler=None, n_trials=None)
    machine = this_machine()
    planned = resumed or plan(
        typed,
        command=_typed(),
        params={},
        compose=lambda _: whole,
        groups=groups,
        settings=conf,
        sweeps=False,
        machine=machine,
    )
    display = Display()
    if of_sweep:
        experiment = settings.runtime.choices["experiment"]
        display.say(
            f"one trial, {planned.asked[0].overrides}, though experiment={experiment} "
            f"sweeps {', '.join(of_sweep)}; for the sweep type: {as_sweep()}"
        )
    if conf.dry_run:
        preview(planned, share=devices.Share(1, "without -m"), machine=machine, display=display)
        return Ended(Exit.COMPLETE)
    _reach(conf.storage)
    prepare(planned)

    def work(study: Study) -> tuple[Exit, Study]:
        return run_here(study, planned.asked, display=display), study

    return run_study(planned, display, work, on_end=conf.on_end)


def _refuse_of_sweeps(typed: Sequence[str]) -> None:
    """Refuse what has no effect without -m: how to sweep, and where."""
    keys = sorted(key for key in overrides.keys(typed) if key.startswith(OF_SWEEPS))
    if keys:
        raise ConfigError(
            f"{', '.join(keys)}: for sweeps; without -m one trial is trained, here. "
            f"Leave out, or type: {as_sweep()}"
        )


def as_sweep() -> str:
    """Return what was typed, as a sweep."""
    return for_shell(["bvae", "-m", *_typed()])
