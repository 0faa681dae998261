"""`sweeps retry`: failed trials are queued again, with all their attempts."""

import argparse

from bvae.exceptions import ConfigError
from sweeps.commands.arguments import add_study
from sweeps.labels import counted
from sweeps.queue.queue import Queue
from sweeps.study.study import Study, open_study
from sweeps.study.trials import canonical, text
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps retry` takes."""
    add_study(parser)
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only trials with this value, for example beta=4; may be repeated",
    )


def run(typed: argparse.Namespace) -> int:
    """Queue the failed trials again that are meant; say how to run them."""
    study = open_study(typed.study)
    wanted = dict(_condition(study, where) for where in typed.where)
    slugs = [
        trial.slug
        for trial in study.trials
        if study.states[trial.slug] == "failed"
        and all(text(trial.values[key]) == value for key, value in wanted.items())
    ]
    queued = Queue(study).retry(slugs)
    how = f"; run them with: {study.manifest.command}" if queued else ""
    print(f"{counted(len(queued), 'failed trial')} queued again{how}")
    return Exit.COMPLETE


def _condition(study: Study, where: str) -> tuple[str, str]:
    """Return a key and the value wanted, as a trial writes it: 4.0 is 4."""
    key, equals, value = where.partition("=")
    known = study.trials[0].values
    if not equals or key not in known:
        raise ConfigError(f"--where {where}: expected KEY=VALUE with a key of {', '.join(known)}")
    try:
        return key, text(canonical(float(value)))
    except ValueError:
        return key, value
