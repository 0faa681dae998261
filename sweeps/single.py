"""Some points of a study in this process, with a progress bar: what `bvae` without `-m` does."""

import signal
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bvae.exceptions import ConfigError
from sweeps.display import Display
from sweeps.ledger import Ledger
from sweeps.orchestrator import Exit
from sweeps.points import Point
from sweeps.presence import AlreadyPresentError, Present, Watch, new_worker_name
from sweeps.study import Study, load_study
from sweeps.worker import Leave, Worker, log_to


def run_here(study: Study, points: Sequence[Point], *, trial: str, display: Display) -> Exit:
    """Run these points one after another; Ctrl-C saves the running one and leaves.

    Raises:
        ConfigError: if another command runs the study already.
    """
    folder = study.folder
    slugs = [point.slug for point in points]
    try:
        with Present(folder.orchestrator, name="orchestrator"):
            folder.stop.unlink(missing_ok=True)
            Ledger(study).reconcile(Watch(folder.workers))
            left = _train(study, slugs, trial=trial)
    except AlreadyPresentError as error:
        raise ConfigError(f"{study.name} is being run already by process {error}") from error
    if left:
        display.say("interrupted; type the same command again to go on")
        return Exit.INTERRUPTED
    states = load_study(folder.root).states
    return Exit.FAILED if any(states[slug] == "failed" for slug in slugs) else Exit.COMPLETE


def _train(study: Study, slugs: Sequence[str], *, trial: str) -> bool:
    leave = Leave(study.folder)
    name = new_worker_name()
    old = signal.signal(signal.SIGINT, leave.tell)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("step {task.completed:.0f} of {task.total:.0f}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    tasks = {}

    def at(point: Point, step: int, total: int) -> None:
        if point.slug not in tasks:
            tasks[point.slug] = bar.add_task(point.slug, total=total)
        bar.update(tasks[point.slug], completed=step)

    try:
        with bar, log_to(study.folder.logs / f"{name}.log"):
            Worker(
                study, name=name, trial=trial, drains=True, leave=leave, among=slugs, at=at
            ).work()
    finally:
        signal.signal(signal.SIGINT, old)
    return leave()
