"""`sweeps report`: the page of a study as it stands now, or of several side by side."""

import argparse
from pathlib import Path

from sweeps.analysis.summary import Summary
from sweeps.commands.arguments import add_study
from sweeps.commands.compare import put_side_by_side, read
from sweeps.commands.conclude import write_table
from sweeps.labels import shown
from sweeps.report.page import write_report
from sweeps.study.folder import comparison_in
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps report` takes."""
    add_study(parser)
    parser.add_argument(
        "others", type=Path, metavar="DIR", nargs="*", help="studies to compare it with"
    )
    parser.add_argument(
        "--embed-all", action="store_true", help="every configuration's pictures in the page itself"
    )


def run(typed: argparse.Namespace) -> int:
    """Write the report and trials.csv, or a page that compares several studies; print its path."""
    first = read(typed.study)
    if typed.others:
        reads = [first, *map(read, typed.others)]
        put_side_by_side(reads, _page(reads))
        return Exit.COMPLETE
    write_table(first.study, first.table)
    print(shown(write_report(first, embed_all=typed.embed_all)))
    return Exit.COMPLETE


def _page(reads: list[Summary]) -> Path:
    """Return where a comparison goes: of two into the second's report, of more beside the last."""
    first, last = reads[0].study.folder, reads[-1].study.folder
    if len(reads) == 2:
        return last.comparison(first.name)
    return comparison_in(last.root.parent)
