"""`sweeps confirm`: the best β and both its neighbours on fresh seeds, as a study of its own.

The seeds that chose a best β flatter it: noise helped to choose. What it scores on seeds that had
no say, and whether it still beats its neighbours there, is what can be relied on.
"""

import argparse
import contextlib
import uuid
from dataclasses import replace

from bvae.trial import now
from sweeps.analysis.confirmation import FreshTrials, confirmation, requested
from sweeps.analysis.summary import summarize
from sweeps.commands import hydra_app
from sweeps.commands.arguments import add_study
from sweeps.labels import shown
from sweeps.plan.plan import write_manifest
from sweeps.study import command
from sweeps.study.study import Study, open_study
from sweeps.study.trials import Value
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps confirm` takes."""
    add_study(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the command, train nothing")


def run(typed: argparse.Namespace) -> int:
    """Train the best β and its neighbours on fresh seeds, and say whether they agree."""
    return confirm(open_study(typed.study), dry_run=typed.dry_run)


def confirm(study: Study, *, dry_run: bool = False) -> int:
    """Train what is wanted by the command that is printed, and say whether it agrees.

    Returns:
        The command's exit code; of a dry run, which only prints the command, 0.

    Raises:
        ConfigError: the study has no best configuration.
    """
    wanted = requested(study)
    arguments = arguments_of(study, wanted)
    print(command.typed_anywhere(study, arguments), flush=True)
    if dry_run:
        return 0
    prepare(study, wanted, arguments)
    # where own parts, and paths in the command, are found
    with contextlib.chdir(study.manifest.parts_folder or "."):
        code = hydra_app.run(arguments).code
    if code == Exit.USAGE:
        return code
    found = confirmation(study)
    if found is None:
        print("nothing to compare yet")
        return code
    from sweeps.report.page import write_report  # vl-convert, which a dry run does not need

    print(found)
    print(f"report: {shown(write_report(summarize(study)))}")
    return code


def arguments_of(study: Study, wanted: FreshTrials) -> list[str]:
    """Return what to type after `bvae` for the wanted trials, with the study's launcher."""
    values: dict[str, list[Value]] = {
        "beta": list(wanted.betas),
        "latent_dim": [wanted.best.latent_dim],
        "seed": list(wanted.seeds),
        **{key: [value] for key, value in wanted.best.axes},
        "study": [study.folder.confirming.name],
    }
    return command.sweep(study, values)


def prepare(study: Study, wanted: FreshTrials, arguments: list[str]) -> None:
    """Put the confirming study on disk with the base and the sources of the one it confirms.

    The command then continues it, and refuses to if it would train anything else.
    """
    folder = study.folder.confirming
    if folder.manifest.exists():
        return
    made = replace(
        study.manifest,
        study_id=uuid.uuid4().hex,
        name=folder.name,
        trials=[trial.values for trial in wanted.trials],
        search=None,
        until=None,
        looks=0,
        arguments=arguments,
        created_at=now(),
    )
    write_manifest(folder, made)
