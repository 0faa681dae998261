"""`sweeps workspace`: a W&B workspace over the runs of a study, or of two side by side."""

import argparse

from bvae.files import expanded
from sweeps.commands.arguments import add_study
from sweeps.study.study import open_study
from sweeps.tracking.workspace import build, outline, push
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps workspace` takes."""
    add_study(parser)
    parser.add_argument("other", type=expanded, metavar="DIR", nargs="?", help="a second study")
    parser.add_argument("--push", action="store_true", help="write it to W&B, or change it there")


def run(typed: argparse.Namespace) -> int:
    """Build a workspace and print what is in it; write it to W&B if asked to."""
    studies = [open_study(folder) for folder in (typed.study, typed.other) if folder is not None]
    for line in outline(build(studies)):
        print(line)
    print(push(studies) if typed.push else "valid; --push writes it to W&B")
    return Exit.COMPLETE
