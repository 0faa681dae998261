"""`sweeps drop`: trials leave a study; what is there of them goes to its trash."""

import argparse

from sweeps.commands.arguments import add_study, add_where, meant_by
from sweeps.labels import counted, shown
from sweeps.queue.queue import Queue
from sweeps.study.command import sweeps
from sweeps.study.heartbeat import WorkerRegistry
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps drop` takes."""
    add_study(parser)
    add_where(parser, required=True)


def run(typed: argparse.Namespace) -> int:
    """Drop the trials that are meant, and name them."""
    study = open_study(typed.study)
    folder = study.folder
    slugs = [trial.slug for trial in meant_by(typed.where, study.trials)]
    moved = Queue(study).drop(slugs, WorkerRegistry(folder.workers))
    for slug in slugs:
        print(f"  {slug}")
    print(f"{counted(len(slugs), 'trial')} dropped; their runs on W&B stay")
    if moved:
        print(f"{counted(len(moved), 'folder')} moved to {shown(folder.trash)}")
    print(f"draw the report anew: {sweeps('report', folder.root)}")
    return Exit.COMPLETE
