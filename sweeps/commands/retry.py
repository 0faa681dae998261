"""`sweeps retry`: failed trials are queued again, with all their attempts."""

import argparse

from sweeps.commands.arguments import add_study, add_where, meant_by
from sweeps.labels import counted
from sweeps.queue.queue import Queue
from sweeps.study.command import sweeps
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps retry` takes."""
    add_study(parser)
    add_where(parser)


def run(typed: argparse.Namespace) -> int:
    """Queue the failed trials again that are meant; say how to run them."""
    study = open_study(typed.study)
    meant = meant_by(typed.where, study.trials)
    slugs = [trial.slug for trial in meant if study.states[trial.slug] == "failed"]
    queued = Queue(study).retry(slugs)
    how = f"; run them with: {sweeps('resume', study.folder.root)}" if queued else ""
    print(f"{counted(len(queued), 'failed trial')} queued again{how}")
    return Exit.COMPLETE
