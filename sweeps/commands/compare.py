"""`sweeps compare`: all studies of a folder side by side."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bvae.exceptions import BvaeError, ConfigError
from bvae.files import expanded
from sweeps.analysis.comparisons import study_names
from sweeps.analysis.movement import movement
from sweeps.analysis.summary import Summary, summarize
from sweeps.labels import shown
from sweeps.report.comparison import write_comparison
from sweeps.report.templates import sentence
from sweeps.scoring.udr import refresh
from sweeps.study.folder import comparison_in, studies_in
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps compare` takes."""
    parser.add_argument("runs", type=expanded, nargs="?", default=Path("runs"), metavar="RUNS")


def run(typed: argparse.Namespace) -> int:
    """Compare the studies of a folder; those that cannot be read are named, with the reason.

    Raises:
        ConfigError: there is no such folder, or it has fewer than two studies that can be read.
    """
    if not typed.runs.is_dir():
        raise ConfigError(f"{typed.runs}: no such folder; give one that holds studies, as in runs")
    reads, left_out = [], []
    for folder in studies_in(typed.runs):
        try:
            reads.append(read(folder.root))
        except Exception as error:  # whatever is wrong with one, the others are compared
            reason = (
                str(error) if isinstance(error, BvaeError) else f"{type(error).__name__}: {error}"
            )
            left_out.append(f"{folder.name} is left out: {reason}")
    if len(reads) < 2:
        found = f"{typed.runs}: expected two studies or more to compare, but got {len(reads)}"
        raise ConfigError("\n".join([found, *left_out]))
    for line in left_out:
        print(line)
    put_side_by_side(reads, comparison_in(typed.runs.resolve()))
    return Exit.COMPLETE


def read(folder: Path) -> Summary:
    """Return a study as it stands now."""
    return summarize(refresh(open_study(folder)))


def put_side_by_side(reads: Sequence[Summary], page: Path) -> None:
    """Write the page that compares studies; print its path, and what the best β does.

    Raises:
        ConfigError: a study is there twice.
    """
    folders = [one.study.folder.root for one in reads]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ConfigError(f"{shown(folder)}: given twice; compare a study with others")
    studies = dict(zip(study_names(folders), reads, strict=True))
    write_comparison(studies, page)
    print(shown(page))
    print(sentence(movement(studies).text))
