"""`sweeps list`: the studies of a folder, with their counts."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bvae.exceptions import BvaeError, ConfigError
from bvae.files import expanded
from sweeps.study.folder import studies_in
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps list` takes."""
    parser.add_argument("runs", type=expanded, nargs="?", default=Path("runs"), metavar="RUNS")


def run(typed: argparse.Namespace) -> int:
    """Print a row for each study; one that cannot be read says so in its row.

    Raises:
        ConfigError: there is no such folder.
    """
    if not typed.runs.is_dir():
        raise ConfigError(f"{typed.runs}: no such folder; give one that holds studies, as in runs")
    folders = studies_in(typed.runs)
    if not folders:
        print(f"no study in {typed.runs}")
        return Exit.COMPLETE
    table = Table(box=None, pad_edge=False)
    for heading in ("study", "complete", "failed", "left", "created"):
        table.add_column(heading, justify="left" if heading in ("study", "created") else "right")
    for folder in folders:
        table.add_row(*_row(folder.root))
    Console(highlight=False).print(table, markup=False)
    return Exit.COMPLETE


def _row(folder: Path) -> list[str]:
    try:
        study = open_study(folder)
        counts = study.counts
    except BvaeError as error:
        return [folder.name, "", "", "", str(error)]
    complete = f"{counts['complete']}/{counts['expected']}"
    return [study.name, complete, str(counts["failed"]), str(study.left), study.manifest.created_at]
