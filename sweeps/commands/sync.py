"""`sweeps sync`: what W&B does not have yet is uploaded, run by run; it can be typed again."""

import argparse
from collections.abc import Sequence

from bvae import tracking
from sweeps.commands.arguments import add_study
from sweeps.study.study import Study, open_study
from sweeps.tracking.offline_files import fragments
from sweeps.tracking.sync import Handled, Outcome, names_of, summary, upload_all
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps sync` takes."""
    add_study(parser)
    parser.add_argument(
        "--all", action="store_true", help="also trials without a run, as of tracker=none"
    )


def run(typed: argparse.Namespace) -> int:
    """Upload what is left, a line for each file; exit with 0 only if all of it is there."""
    study = open_study(typed.study)
    missing = _make_missing(study) if typed.all else []
    found = fragments(study.folder.wandb)
    left = [fragment for fragment in found if not fragment.synced.exists()]
    names = names_of(study)
    handled: list[Handled] = []
    if left:
        tracking.check_login()
    for number, done in enumerate(upload_all(study, left), start=1):
        handled.append(done)
        name = names.get(done.fragment.run_id, done.fragment.run_id)
        why = f": {done.reason}" if done.reason else ""
        print(f"[{number}/{len(left)}] {name}  {done.outcome.value}{why}", flush=True)
    print(summary(handled, already=len(found) - len(left)))
    return Exit.FAILED if missing else _code(handled)


def _make_missing(study: Study) -> list[str]:
    """Make the runs that there are none of; say what could not be made."""
    from sweeps.tracking.late_runs import make_missing  # pandas

    tracking.check_login()
    missing = list(make_missing(study))
    for line in missing:
        print(line)
    return missing


def _code(handled: Sequence[Handled]) -> Exit:
    outcomes = {done.outcome for done in handled}
    if outcomes & {Outcome.FAILED, Outcome.UNREADABLE}:
        return Exit.FAILED
    return Exit.LEFT if Outcome.RUNNING in outcomes else Exit.COMPLETE
