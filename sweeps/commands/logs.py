"""`sweeps logs`: the log of a trial, and why it failed."""

import argparse

from sweeps.commands.arguments import add_study, add_trial
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps logs` takes."""
    add_study(parser)
    add_trial(parser)


def run(typed: argparse.Namespace) -> int:
    """Print a trial's log, and its error if it has failed."""
    study = open_study(typed.study)
    slug = study.slug_of(typed.trial)
    log = study.folder.trial(slug).log
    print(log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "(no log yet)")
    result = study.results.get(slug)
    if result is not None and result.error:
        print(result.error)
    return Exit.COMPLETE
