"""`sweeps stop`: every worker of a study, on any machine, saves what it runs and stops."""

import argparse

from sweeps.commands.arguments import add_study
from sweeps.labels import counted
from sweeps.study.heartbeat import living_workers
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps stop` takes."""
    add_study(parser)


def run(typed: argparse.Namespace) -> int:
    """Write the stop file that every worker checks for."""
    study = open_study(typed.study)
    study.folder.stop.write_text("`sweeps stop`")
    number = len(living_workers(study.folder.workers))
    trials = "its trial" if number == 1 else "their trials"
    print(f"{counted(number, 'worker')} will save {trials} and stop")
    return Exit.COMPLETE
