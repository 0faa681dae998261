"""What `bvae` does: `run` starts Hydra, and `Sweep` turns `bvae -m …` into a study, and runs it.

Hydra gets to it by the plug-in `hydra_plugins.bvae_sweeper`. Launchers are used as they are: what
is launched is not a trial but a worker loop, so that a launcher's failure costs no more than a
worker.
"""

import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from bvae import checks, config, contrast
from bvae.exceptions import ConfigError
from bvae.machine import Machine, this_machine
from bvae.part_sources import has_parts
from sweeps.commands.dry_run import preview
from sweeps.commands.live_report import LiveReport
from sweeps.labels import counted, shown
from sweeps.plan import overrides
from sweeps.plan.overrides import Groups
from sweeps.plan.plan import Plan, plan
from sweeps.plan.settings import PASSWORD, SweepSettings, described
from sweeps.plan.typed import read
from sweeps.search.search import SAMPLERS
from sweeps.study.command import sweeps
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import AlreadyRunningError, read_heartbeat
from sweeps.study.quoting import escaped, for_hydra, for_shell
from sweeps.study.study import Study, open_study
from sweeps.study.timeouts import TIMEOUTS
from sweeps.workers import devices, launchers
from sweeps.workers.exit_codes import INTERRUPTIONS, Exit
from sweeps.workers.in_process import run_here
from sweeps.workers.live_table import Display
from sweeps.workers.orchestrator import Orchestrator, Settings, running
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


class Ended(NamedTuple):
    """How a command has ended, and the folder of its study, if it ran one."""

    code: Exit
    root: Path | None = None


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

    def run(self, groups: Groups, resumed: Plan | None = None) -> Ended:
        """Run the study; `groups` are the names of every config group."""
        self._settings.check()
        machine = this_machine()
        planned = resumed or plan(
            self._arguments,
            command=_typed(),
            params=overrides.of_params(self._settings.params),
            compose=self._compose,
            groups=groups,
            settings=self._settings,
            machine=machine if self._launcher in launchers.LOCAL else None,
        )
        display = Display()
        if planned.configs[0].trainer.accelerator == "cpu":
            machine = replace(machine, cards=())
        gpus = machine.cards
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
        launchers.prepare(self._config.hydra.launcher)
        prepare(planned)
        root, launcher = planned.folder.root, self._config.hydra.launcher

        def work(study: Study) -> tuple[Exit, Study]:
            with launchers.without_patterns(root, launcher) as folder:
                return self._work(study, folder, display, settings, gpus)

        joins = self._launcher in launchers.LOCAL and settings.max_minutes is None
        return _run(planned, display, work, joins=joins, on_end=self._settings.on_end)

    def _work(
        self,
        study: Study,
        folder: Path,
        display: Display,
        settings: Settings,
        gpus: Sequence[str],
    ) -> tuple[Exit, Study]:
        """Run the study, whose folder is given to launchers in a way that they can read."""
        with open_dict(self._config):
            self._config.hydra.sweep.dir = escaped(str(folder))
        if study.left:
            display.say(f"report: {shown(study.folder.page)}, written anew as trials end")
        with LiveReport(study.folder) as report:
            return self._run_study(study, display, settings, gpus, report)

    def _run_study(
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


def hide_password() -> None:
    """Start again without the password of a database that was typed: `ps` shows it to everyone."""
    words = overrides.without_password(sys.orig_argv[1:])
    if words != sys.orig_argv[1:]:
        os.execv(sys.executable, [sys.executable, *words])


def run(arguments: Sequence[str], resumed: Plan | None = None) -> Exit:
    """Do what `bvae` does with these command-line arguments, or finish a study with them.

    Raises:
        BvaeError: it cannot be done.
    """
    return carry_out(arguments, resumed).code


def carry_out(arguments: Sequence[str], resumed: Plan | None = None) -> Ended:
    """Do what `bvae` does with these command-line arguments; return how it ended, and which study.

    A study that is resumed is finished as it is on disk: the arguments say with which launcher,
    how many workers, and the like.

    Raises:
        BvaeError: it cannot be done.
    """
    # Hydra would print what went wrong in its own words and exit with 1; here it is caught below.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    register()
    typed = read(arguments)
    groups = typed.groups
    if not typed.flags["shell_completion"]:
        overrides.check(typed.overrides, groups=groups)
    outcome: Ended | Exception = Ended(Exit.COMPLETE)  # of --help and the like

    def run_task(asked: Sweep | DictConfig) -> None:
        """Run a sweep, or a study of one trial; Hydra drops what a task returns."""
        nonlocal outcome
        try:
            outcome = (
                asked.run(groups, resumed)
                if isinstance(asked, Sweep)
                else run_one(asked, groups, resumed)
            )
        except Exception as error:  # here, since Hydra would first print words of its own
            outcome = error

    entry = hydra.main(
        config_path=str(config.directory()), config_name="config", version_base="1.3"
    )(run_task)
    before = sys.argv
    try:
        sys.argv = ["bvae", *typed.arguments]  # which Hydra parses
        entry()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_with_cause(error)) from error
    except (ValueError, KeyError) as error:
        if typed.flags["shell_completion"]:
            said = (
                "query is for the shell; type install=bash" if "COMP_LINE" in str(error) else error
            )
            raise ConfigError(f"--shell-completion: {said}") from error
        raise
    except SystemExit as ended:  # Hydra has shown what it was to show, or said why it could not
        return Ended(Exit.USAGE if ended.code else Exit.COMPLETE)
    finally:
        sys.argv = before
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _typed() -> list[str]:
    """Return what was typed after `bvae`, as Hydra has parsed it."""
    return [overrides.without_plus(word) for word in sys.argv[1:]]


def _with_cause(error: Exception) -> str:
    """Return what Hydra says, and what it was caused by if that says more."""
    absent = re.match(r"Could not override '((\w+)[^']*)'", str(error))
    if absent:
        return (
            f"{absent[1]}: what is chosen for {absent[2]} has no such key; "
            f"leave it out, or choose another {absent[2]}=…"
        )
    cause = "" if error.__cause__ is None else str(error.__cause__)
    return str(error) + (f"\n{cause}" if cause not in str(error) else "")


def conf_of(node: DictConfig) -> SweepSettings:
    """Return the keys below `hydra.sweeper` as one record."""
    keys = {key: node[key] for key in node if key != "params"}  # resolved where they stand
    conf = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SweepSettings), keys))
    if not isinstance(conf, SweepSettings):  # OmegaConf's return type does not say so
        raise TypeError(f"expected a SweepSettings, but got {type(conf).__name__}")
    params: Any = OmegaConf.to_container(node.get("params") or OmegaConf.create())
    return replace(conf, params=params)  # as they would be typed


def run_one(composed: DictConfig, groups: Groups, resumed: Plan | None = None) -> Ended:
    """Run a study of one trial in this process; `groups` are the names of every config group."""
    settings = HydraConfig.get()
    conf = conf_of(settings.sweeper)
    conf.check()
    whole = as_mapping(OmegaConf.merge({"hydra": settings}, composed))
    typed = list(settings.overrides.task)
    _refuse_of_sweeps(settings.overrides.hydra)
    of_sweep = sorted({*overrides.of_params(conf.params)} - overrides.keys(typed))
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
            f"sweeps {', '.join(of_sweep)}; for the sweep type: {_as_sweep()}"
        )
    if conf.dry_run:
        preview(planned, share=devices.Share(1, "without -m"), machine=machine, display=display)
        return Ended(Exit.COMPLETE)
    _reach(conf.storage)
    prepare(planned)

    def work(study: Study) -> tuple[Exit, Study]:
        return run_here(study, planned.asked, display=display), study

    return _run(planned, display, work, on_end=conf.on_end)


def _run(
    planned: Plan,
    display: Display,
    work: Callable[[Study], tuple[Exit, Study]],
    *,
    joins: bool = True,
    on_end: str | None = None,
) -> Ended:
    """Run a study, or join a command that does, and run `on_end` then; see `_run_or_join`."""
    ended = _run_or_join(planned, display, work, joins=joins)
    if on_end is not None:
        _run_at_end(on_end, ended, display)
    return ended


def _run_at_end(command: str, ended: Ended, display: Display) -> None:
    """Let a shell run a command; that it fails is said, and changes nothing."""
    told = {"BVAE_STUDY": str(ended.root), "BVAE_EXIT": str(int(ended.code))}
    failed = subprocess.run(command, shell=True, env=os.environ | told, check=False).returncode
    if failed:
        display.say(f"hydra.sweeper.on_end: {command} failed with exit code {failed}")


def _run_or_join(
    planned: Plan,
    display: Display,
    work: Callable[[Study], tuple[Exit, Study]],
    *,
    joins: bool,
) -> Ended:
    """Run a study as the one command that does, or add trials to what another command runs.

    Args:
        planned: the study.
        display: shows what is done.
        work: runs the study's trials where no other command does; returns the exit code, and the
            study as it was opened last.
        joins: whether else to work along with the other command, or to leave all to it.
    """
    folder = planned.folder
    try:
        with running(folder):
            study = begin(planned, display)
            code, study = work(study)
            _conclude(study, display, code)
        return Ended(code, folder.root)
    except AlreadyRunningError as error:
        other = read_heartbeat(folder.orchestrator)
        if other is not None and other.doing:  # what has no room for more trials
            raise
        display.say(str(error))
    study = begin(planned, display)
    if not joins:
        display.say(f"{counted(study.left, 'trial')} left to it")
        return Ended(Exit.LEFT if study.left else Exit.COMPLETE, folder.root)
    display.say("this command works along as one more worker")
    is_search = planned.sweeps and planned.manifest.search is not None
    code = run_here(study, None if is_search else planned.asked, display=display, joins=True)
    _conclude_last(folder, display, code)
    return Ended(code, folder.root)


def _conclude_last(folder: StudyFolder, display: Display, code: Exit) -> None:
    """Write the report, unless the command that was joined has trials left, and writes it then."""
    while True:
        try:
            with running(folder):
                return _conclude(open_study(folder.root), display, code)
        except AlreadyRunningError:
            left = open_study(folder.root).left
            if left or code in INTERRUPTIONS:
                return display.say(f"{counted(left, 'trial')} left to the other command")
        # it is concluding: what it writes may lack this command's last trial
        time.sleep(TIMEOUTS.poll)


def _refuse_of_sweeps(typed: Sequence[str]) -> None:
    """Refuse what has no effect without -m: how to sweep, and where."""
    keys = sorted(key for key in overrides.keys(typed) if key.startswith(OF_SWEEPS))
    if keys:
        raise ConfigError(
            f"{', '.join(keys)}: for sweeps; without -m one trial is trained, here. "
            f"Leave out, or type: {_as_sweep()}"
        )


def _as_sweep() -> str:
    return for_shell(["bvae", "-m", *_typed()])


def as_mapping(composed: object) -> DictConfig:
    """Return the configuration as what it is; Hydra's annotations allow for a list."""
    if not isinstance(composed, DictConfig):
        raise TypeError(f"expected a mapping, but got {type(composed).__name__}")
    return composed


def prepare(planned: Plan) -> None:
    """Build all data that trials are trained on, as far as they are not in the cache."""
    wanted = {
        (repr(one.data), repr(one.loss), one.trainer.batch_size): one for one in planned.configs
    }
    for one in wanted.values():
        dataset, share = checks.prepare(one), one.data.holdout
        if dataset.content and (
            note := contrast.note(dataset.store, one.data.path or "data.source")
        ):
            print(note, file=sys.stderr)
        if share and has_parts(one):
            from bvae import first_pass  # torch

            first_pass.check_batches(one, dataset)
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
    message = f"{study.name}: {counted(counts['expected'], 'trial')} in {shown(study.folder.root)}"
    if done:
        message += f", {done} already done, {counts['expected'] - done} to run"
    display.say(message)
    if counts["failed"]:
        failed = counted(counts["failed"], "trial")
        command = sweeps("retry", study.folder.root)
        display.say(f"{failed} failed before; run again with: {command}")
    return study


def _conclude(study: Study, display: Display, code: Exit) -> None:
    from sweeps.commands.conclude import conclude  # pandas, which only the end of a study needs

    conclude(study, display, code)


def register() -> None:
    """Make the sweeper's keys known to Hydra as `hydra/sweeper=bvae`, and to its help."""
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="bvae", node=SweepSettings)
    for name, node in SAMPLERS.items():
        store.store(group="hydra/sweeper/sampler", name=name, node=dict(node))
    OmegaConf.register_new_resolver("sweeper_keys", described, replace=True)
