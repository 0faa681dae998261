"""The command `sweeps`: look at studies, and act on them, while they run or after."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bvae.exceptions import BvaeError
from sweeps.commands import baselines, commands, rescore, traverse
from sweeps.tracking import sync
from sweeps.workers.exit_codes import Exit

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand and exit with its code; mistakes end in one message and code 2."""
    typed = parser().parse_args(arguments)
    run: Command = typed.run
    try:
        code = run(typed)
        sys.stdout.flush()
    except BrokenPipeError:  # `sweeps status | head` is no mistake; nobody reads what is left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.COMPLETE
    except (BvaeError, OSError) as error:  # a folder that cannot be read or written
        print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        code = Exit.USAGE
    sys.exit(code)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(prog="sweeps", description=__doc__)
    subcommands = whole.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = subcommands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    def add_for_study(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = add(name, run, text)
        command.add_argument("study", type=Path, metavar="DIR", help="a study's folder")
        return command

    status = add_for_study("status", commands.status, "Say how far a study is.")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    best = add_for_study("best", commands.best, "Say which cell is best for each latent size.")
    best.add_argument("--score", help="by this score instead of the study's objective")
    best.add_argument("--json", action="store_true", help="print one JSON object")
    report = add_for_study(
        "report", commands.report, "Write the report anew; of two studies, put them side by side."
    )
    report.add_argument("other", type=Path, metavar="DIR", nargs="?", help="a second study")
    report.add_argument(
        "--embed-all", action="store_true", help="every cell's pictures in the page itself"
    )
    confirm = add_for_study(
        "confirm", commands.confirm, "Train the best β and its neighbours on fresh seeds."
    )
    confirm.add_argument("--dry-run", action="store_true", help="print the command, train nothing")
    logs = add_for_study("logs", commands.logs, "Print the log of a trial, and why it failed.")
    logs.add_argument("trial", help="a trial's name, or enough of it to be the only one")
    add_for_study("stop", commands.stop, "Ask all workers to save what they run and leave.")
    add_for_study("worker", commands.worker, "Work on a study until no trial is left.")
    retry = add_for_study("retry", commands.retry, "Queue failed trials again.")
    retry.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only trials with this value, for example beta=4; may be repeated",
    )
    rescore.add_arguments(
        add_for_study("rescore", rescore.run, "Score a study anew from its stored codes.")
    )
    traverse.add_arguments(
        add_for_study("traverse", traverse.run, "Draw one latent of a model over its range.")
    )
    add_for_study("sync", sync.run, "Upload to W&B what it does not have yet.")
    workspace = add_for_study(
        "workspace", commands.workspace, "Build a W&B workspace of a study, or of two side by side."
    )
    workspace.add_argument("other", type=Path, metavar="DIR", nargs="?", help="a second study")
    workspace.add_argument(
        "--push", action="store_true", help="write it to W&B, or change it there"
    )
    dashboard = add_for_study(
        "dashboard", commands.dashboard, "Show a study in optuna-dashboard, on this machine only."
    )
    dashboard.add_argument("--port", type=int, default=8080, help="default: 8080; 0 for any")
    baselines.add_arguments(
        add("baselines", baselines.run, "Score codes that need no training, beside the paper's.")
    )
    runs = add("list", commands.list_studies, "List the studies of a folder.")
    runs.add_argument("runs", type=Path, nargs="?", default=Path("runs"), metavar="RUNS")
    return whole


if __name__ == "__main__":
    main()
