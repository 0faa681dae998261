"""`sweeps report`: the page of a study as it stands now, or of several side by side."""

import argparse
from pathlib import Path

from rich.console import Console

from bvae.exceptions import ConfigError
from bvae.files import expanded
from sweeps.analysis.summary import Summary
from sweeps.commands.arguments import add_study
from sweeps.commands.compare import put_side_by_side, read
from sweeps.commands.conclude import write_table
from sweeps.commands.live_report import watch
from sweeps.labels import shown
from sweeps.report.page import write_report
from sweeps.study.folder import comparison_in
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps report` takes."""
    add_study(parser)
    parser.add_argument(
        "others", type=expanded, metavar="DIR", nargs="*", help="studies to compare it with"
    )
    parser.add_argument(
        "--embed-all", action="store_true", help="every configuration's pictures in the page itself"
    )
    parser.add_argument(
        "--watch", action="store_true", help="write it anew while the study runs, until its end"
    )


def run(typed: argparse.Namespace) -> int:
    """Write the report and trials.csv, or a page that compares several studies; print its path.

    Raises:
        ConfigError: several studies are to be watched.
    """
    if typed.others and typed.watch:
        raise ConfigError("--watch: is of one study; give a single DIR")
    if typed.watch:
        return watch(typed.study, lambda: _write(typed))
    if typed.others:
        reads = [read(folder) for folder in (typed.study, *typed.others)]
        put_side_by_side(reads, _page(reads))
        return Exit.COMPLETE
    with Console(stderr=True).status("reading the trials, drawing the page"):
        page = _write(typed)
    print(shown(page))
    return Exit.COMPLETE


def _write(typed: argparse.Namespace) -> Path:
    found = read(typed.study)
    write_table(found.study, found.table)
    return write_report(found, embed_all=typed.embed_all)


def _page(reads: list[Summary]) -> Path:
    """Return where a comparison goes: of two into the second's report, of more beside the last."""
    first, last = reads[0].study.folder, reads[-1].study.folder
    if len(reads) == 2:
        return last.comparison(first.name)
    return comparison_in(last.root.parent)
