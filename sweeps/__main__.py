"""The command `sweeps`: look at studies, and act on them, while they run or after."""

if __name__ == "__main__":  # before anything is imported
    from bvae.import_path import search_here_last

    search_here_last()

import argparse
import importlib
import sys
from collections.abc import Callable, Collection, Sequence

from sweeps.commands.entry import enter

COMMANDS = {
    "status": "Say how far a study is.",
    "best": "Say which configuration is best for each latent size, and how sure that is.",
    "report": "Write the report anew; of several studies, put them side by side.",
    "compare": "Put all studies of a folder side by side.",
    "confirm": "Train the best β and its neighbours on fresh seeds.",
    "resume": "Finish what is unfinished, as the command that began the study would.",
    "logs": "Print the log of a trial, and why it failed.",
    "stop": "Ask all workers to save their trials and stop.",
    "worker": "Run trials of a study, as one more worker, until none is left.",
    "retry": "Queue failed trials again.",
    "drop": "Take trials out of a study; their folders go to its trash.",
    "clean": "Remove weights, old pictures, and W&B files that are uploaded.",
    "rescore": "Add scores of another protocol, from the stored codes.",
    "traverse": "Draw one latent of a trial's model over its range.",
    "sync": "Upload to W&B what it does not have yet.",
    "workspace": "Build a W&B workspace of a study, or of two side by side.",
    "dashboard": "Show studies in optuna-dashboard, on this machine only.",
    "baselines": "Score codes that need no training, beside the paper's.",
    "list": "List the studies of a folder.",
}
"""Each is a module of `sweeps.commands`, imported when it is typed: `status` needs no pandas."""

MODULES = {"list": "list_studies"}
"""The modules that are not called as their command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; mistakes end in one message and code 2."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(enter(lambda: _run(given)))


def _run(given: Sequence[str]) -> int:
    typed = parser(given[:1]).parse_args(given)
    run: Callable[[argparse.Namespace], int] = typed.run
    return run(typed)


def parser(asked: Collection[str] = COMMANDS.keys()) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the arguments of the commands asked for."""
    whole = argparse.ArgumentParser(prog="sweeps", description=__doc__)
    subcommands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, sentence in COMMANDS.items():
        command = subcommands.add_parser(name, help=sentence, description=sentence)
        if name in asked:
            module = importlib.import_module(f"sweeps.commands.{MODULES.get(name, name)}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return whole


if __name__ == "__main__":
    main()
