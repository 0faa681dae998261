"""`sweeps report`: the page of a study as it stands now, or of two studies side by side."""

import argparse
from pathlib import Path

from rich.console import Console

from bvae.exceptions import ConfigError
from sweeps.analysis.summary import summarize
from sweeps.commands.arguments import add_second_study, add_study
from sweeps.commands.conclude import write_table
from sweeps.commands.live_report import watch
from sweeps.labels import shown
from sweeps.report.comparison import write_comparison
from sweeps.report.page import write_report
from sweeps.scoring.udr import refresh
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps report` takes."""
    add_study(parser)
    add_second_study(parser)
    parser.add_argument(
        "--embed-all", action="store_true", help="every configuration's pictures in the page itself"
    )
    parser.add_argument(
        "--watch", action="store_true", help="write it anew while the study runs, until its end"
    )


def run(typed: argparse.Namespace) -> int:
    """Write the report and trials.csv, or a page that compares two studies; print its path."""
    if typed.watch:
        if typed.other is not None:
            raise ConfigError("--watch: is of one study; give a single DIR")
        return watch(typed.study, lambda: _write(typed))
    if typed.other is not None:
        study = refresh(open_study(typed.study))
        print(shown(write_comparison(study, refresh(open_study(typed.other)))))
        return Exit.COMPLETE
    with Console(stderr=True).status("reading the trials, drawing the page"):
        page = _write(typed)
    print(shown(page))
    return Exit.COMPLETE


def _write(typed: argparse.Namespace) -> Path:
    read = summarize(refresh(open_study(typed.study)))
    write_table(read.study, read.table)
    return write_report(read, embed_all=typed.embed_all)
