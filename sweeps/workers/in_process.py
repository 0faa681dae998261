"""Some trials of a study in this process, with a progress bar: what `bvae` without `-m` does."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from bvae.exceptions import MachineFaultError
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import WorkerRegistry, new_worker_name
from sweeps.study.study import Study, open_study
from sweeps.study.timeouts import TIMEOUTS, Timeouts
from sweeps.study.trials import Trial
from sweeps.workers.exit_codes import Exit
from sweeps.workers.live_table import Display
from sweeps.workers.logs import log_to
from sweeps.workers.processes import ENDINGS
from sweeps.workers.stopping import StopRequest, stopping_on
from sweeps.workers.worker import Worker, of_machine


def run_here(
    study: Study,
    trials: Sequence[Trial] | None,
    *,
    display: Display,
    joins: bool = False,
    timeouts: Timeouts = TIMEOUTS,
) -> Exit:
    """Run these trials, or all, one after another; Ctrl-C saves the running one and stops.

    Use inside `running`, like an orchestrator, unless the command that does so is joined.
    """
    folder = study.folder
    slugs = None if trials is None else [trial.slug for trial in trials]
    if not joins:
        folder.stop.unlink(missing_ok=True)
    for message in Queue(study).reconcile(WorkerRegistry(folder.workers)).messages:
        display.say(message)
    stop_request = StopRequest(folder, timeouts)
    with stopping_on(stop_request, *ENDINGS, within_s=timeouts.exit_within):
        try:
            _train(study, slugs, stop_request, timeouts)
        except MachineFaultError as fault:
            display.say(f"stopping: {of_machine(fault)}")
    current = open_study(folder.root).states
    states = {state for slug, state in current.items() if slugs is None or slug in slugs}
    if stop_request.exit_code is not None:
        return stop_request.exit_code
    if "failed" in states:
        return Exit.FAILED
    return Exit.LEFT if states & {"running", "pending"} else Exit.COMPLETE


def _train(
    study: Study, slugs: Sequence[str] | None, stop_request: StopRequest, timeouts: Timeouts
) -> None:
    name = new_worker_name()
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    waiting = bar.add_task("importing torch, preparing the trial", total=None)
    tasks: dict[str, TaskID] = {}

    def on_step(trial: Trial, step: int, total: int) -> None:
        bar.update(waiting, visible=False)
        if trial.slug not in tasks:
            tasks[trial.slug] = bar.add_task(trial.slug, total=total)
        bar.update(tasks[trial.slug], completed=step)

    with bar, log_to(study.folder.worker_log(name)):
        Worker(
            study,
            name=name,
            detached=True,
            stop_request=stop_request,
            among=slugs,
            on_step=on_step,
            timeouts=timeouts,
        ).work()
