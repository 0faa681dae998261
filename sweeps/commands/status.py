"""`sweeps status`: how far a study is, who works on what, what has failed and why."""

import argparse
import json

from rich.console import Console

from sweeps.commands.arguments import add_json, add_study
from sweeps.labels import clock, counted
from sweeps.study.heartbeat import living_workers
from sweeps.study.locks import is_locked
from sweeps.study.study import Study, open_study
from sweeps.workers.exit_codes import Exit
from sweeps.workers.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps status` takes."""
    add_study(parser)
    add_json(parser)


def run(typed: argparse.Namespace) -> int:
    """Print counts, what each worker trains, failures, and the time left or how to continue."""
    study = open_study(typed.study)
    if typed.json:
        print(json.dumps(study.counts))
        return Exit.COMPLETE
    lines = [_counts(study), *_workers(study), *(f"  {failure}" for failure in study.failures)]
    if study.left:
        lines.append(_remaining(study))
    console = Console(highlight=False)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    return Exit.COMPLETE


def _counts(study: Study) -> str:
    counts = study.counts
    parts = [f"{counts[name]} {name}" for name in counts if name != "expected" and counts[name]]
    return f"{study.name}: {counted(counts['expected'], 'trial')}: {', '.join(parts)}"


def _workers(study: Study) -> list[str]:
    return [
        f"  {worker.name}: {worker.slug}  step {worker.step} of {worker.total}"
        if worker.slug
        else f"  {worker.name}: {worker.doing or 'idle'}"
        for worker in living_workers(study.folder.workers)
    ]


def _remaining(study: Study) -> str:
    if not is_locked(study.folder.orchestrator):
        return f"not running; continue with: {study.manifest.command}"
    progress = Progress(study)
    progress.refresh()
    left_s = progress.snapshot().eta_s
    return "running" if left_s is None else f"about {clock(left_s)} left"
