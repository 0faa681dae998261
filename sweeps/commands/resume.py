"""`sweeps resume`: finish a study, wherever it is typed, as the command that began it would."""

import argparse

from sweeps.commands import hydra_app
from sweeps.commands.arguments import add_study
from sweeps.commands.run_study import conclude_last
from sweeps.plan.plan import unfinished
from sweeps.study.command import resuming
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit
from sweeps.workers.live_table import Display


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps resume` takes."""
    add_study(parser)


def run(typed: argparse.Namespace) -> int:
    """Run what is unfinished, with the study's launcher and workers; return the sweep's code."""
    study = open_study(typed.study)
    if not study.left and study.manifest.until is None:  # its images may be gone by now
        code = Exit.FAILED if study.counts["failed"] else Exit.COMPLETE
        conclude_last(study.folder, Display(), code)
        return code
    return hydra_app.run(resuming(study.manifest), unfinished(study)).code
