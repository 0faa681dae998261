"""What `bvae` does: `run` starts Hydra, and `Sweep` turns `bvae -m …` into a study, and runs it.

Hydra gets to it by the plug-in `hydra_plugins.bvae_sweeper`. Launchers are used as they are: what
is launched is not a trial but a worker loop, so that a launcher's failure costs no more than a
worker.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext
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
from sweeps.study.study import Study, open_study
from sweeps.study.trials import as_typed
from sweeps.workers import devices, launchers
from sweeps.workers.exit_codes import Exit
from sweeps.workers.in_process import run_here
from sweeps.workers.live_table import Display
from sweeps.workers.orchestrator import Orchestrator, Settings, running
from sweeps.workers.worker import WorkerLoop


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
        self._settings = conf_of(config.hydra.sweeper)
        self._launcher = launchers.name(config.hydra.launcher)
        self._launching = threading.Lock()

    def run(self) -> Exit:
        """Run the study."""
        self._settings.check()
        params = {str(key): str(value) for key, value in self._settings.params.items()}
        planned = plan(
            self._arguments,
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
            return Exit.COMPLETE
        _reach(self._settings.storage)
        launchers.prepare(self._config.hydra.launcher)
        prepare(planned)
        with running(planned.folder):
            study = begin(planned, display)
            with open_dict(self._config):
                self._config.hydra.sweep.dir = str(study.folder.root)
            code, study = self._run_study(study, display, settings, gpus)
            _conclude(study, display, code)
        return code

    def _run_study(
        self, study: Study, display: Display, settings: Settings, gpus: Sequence[str]
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

    def _n_workers(self, gpus: Sequence[str]) -> int:
        if self._launcher == "BasicLauncher":
            return 1  # it runs what it launches in this process, whose globals there are once
        per_device = self._settings.workers_per_device
        return self._settings.n_workers or devices.workers(gpus, per_device=per_device)

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        loader = self._context.config_loader
        return as_mapping(loader.load_sweep_config(self._config, list(overrides)))

    def _launch(self, root: Path, index: int, gpus: Sequence[str]) -> None:
        loop = WorkerLoop(
            root,
            detached=self._launcher not in launchers.LOCAL,
            gpu=devices.card(index, gpus) if self._launcher == "LocalLauncher" else None,
        )
        with self._launching:
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self._context, task_function=loop, config=self._config
            )
        folder = f"hydra.sweep.dir={as_typed(str(root))}"
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
    code = Exit.COMPLETE  # of --help and the like

    def run_task(asked: Sweep | DictConfig) -> None:
        """Run a sweep, or a study of one trial; Hydra drops what a task returns."""
        nonlocal code
        try:
            code = asked.run() if isinstance(asked, Sweep) else run_one(asked)
        except BvaeError as error:  # here, since Hydra would first print words of its own
            code = _refuse(error)

    entry = hydra.main(
        config_path=str(config.directory()), config_name="config", version_base="1.3"
    )(run_task)
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
    return code


def _typed() -> list[str]:
    """Return what was typed after `bvae`, as Hydra has parsed it, with `~` for the home."""
    return list(map(overrides.with_short_home, sys.argv[1:]))


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
        dataset, share = checks.prepare(one), one.data.holdout
        if share and not len(dataset.held_out):
            print(
                f"data.holdout={share:g} would hold out fewer than two of {len(dataset)} images: "
                "none are held out, and val/… is of images that are trained on",
                file=sys.stderr,
            )


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
    from sweeps.commands.conclude import conclude  # pandas, which only the end of a study needs

    conclude(study, display, code)


def register() -> None:
    """Make the sweeper's keys known to Hydra as `hydra/sweeper=bvae`."""
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="bvae", node=SweepSettings)
    for name, node in SAMPLERS.items():
        store.store(group="hydra/sweeper/sampler", name=name, node=dict(node))
