"""`sweeps list`: the studies of a folder, with their counts and sizes."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bvae.exceptions import ConfigError
from bvae.files import bytes_in, expanded
from sweeps.labels import size
from sweeps.study.folder import studies_in
from sweeps.study.study import Study, open_study
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
    for heading in ("study", "complete", "failed", "left", "size", "created"):
        table.add_column(heading, justify="left" if heading in ("study", "created") else "right")
    damaged = []
    for folder in folders:
        try:
            table.add_row(*_row(open_study(folder.root)))
        except Exception as error:  # whatever is in one, the others are listed
            reason = str(error).partition("; ")[0].replace(f"{folder.root.resolve()}/", "")
            damaged.append(f"{folder.name}: {reason}")
    console = Console(highlight=False)
    console.print(table, markup=False)
    for line in damaged:
        console.print(line, markup=False, soft_wrap=True)
    return Exit.COMPLETE


def _row(study: Study) -> list[str]:
    counts = study.counts
    complete = f"{counts['complete']}/{counts['expected']}"
    on_disk = size(bytes_in(study.folder.root))
    begun = study.manifest.created_at
    return [study.folder.name, complete, str(counts["failed"]), str(study.left), on_disk, begun]
