"""From a plan to a study that has been run: its data, its trials, its report."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bvae import checks, contrast
from bvae.exceptions import ConfigError
from bvae.part_sources import has_parts
from sweeps.labels import counted, shown
from sweeps.plan.plan import Plan
from sweeps.study.command import sweeps
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import AlreadyRunningError, read_heartbeat
from sweeps.study.study import Study, open_study
from sweeps.study.timeouts import TIMEOUTS
from sweeps.workers.exit_codes import INTERRUPTIONS, Exit
from sweeps.workers.in_process import run_here
from sweeps.workers.launchers import OF_WORKERS
from sweeps.workers.live_table import Display
from sweeps.workers.orchestrator import running


class Ended(NamedTuple):
    """How a command has ended, and the folder of its study, if it ran one."""

    code: Exit
    root: Path | None = None


def run_study(
    planned: Plan,
    display: Display,
    work: Callable[[Study], tuple[Exit, Study]],
    *,
    joins: bool = True,
    on_end: str | None = None,
) -> Ended:
    """Run a study, or join a command that does, and run `on_end` then; see `_run_or_join`."""
    ended = _run_or_join(planned, display, work, joins=joins)
    if on_end is not None:
        _run_at_end(on_end, ended, display)
    return ended


def _run_at_end(command: str, ended: Ended, display: Display) -> None:
    """Let a shell run a command; that it fails is said, and changes nothing."""
    told = {"BVAE_STUDY": str(ended.root), "BVAE_EXIT": str(int(ended.code))}
    own = {name: value for name, value in os.environ.items() if OF_WORKERS.get(name) != value}
    failed = subprocess.run(command, shell=True, env=own | told, check=False).returncode
    if failed:
        display.say(f"hydra.sweeper.on_end: {command} failed with exit code {failed}")


def _run_or_join(
    planned: Plan,
    display: Display,
    work: Callable[[Study], tuple[Exit, Study]],
    *,
    joins: bool,
) -> Ended:
    """Run a study as the one command that does, or add trials to what another command runs.

    Args:
        planned: the study.
        display: shows what is done.
        work: runs the study's trials where no other command does; returns the exit code, and the
            study as it was opened last.
        joins: whether else to work along with the other command, or to leave all to it.
    """
    folder = planned.folder
    try:
        with running(folder):
            study = begin(planned, display)
            code, study = work(study)
            _conclude(study, display, code)
        return Ended(code, folder.root)
    except AlreadyRunningError as error:
        other = read_heartbeat(folder.orchestrator)
        if other is not None and other.doing:  # what has no room for more trials
            raise
        display.say(str(error))
    study = begin(planned, display)
    if not joins:
        display.say(f"{counted(study.left, 'trial')} left to it")
        return Ended(Exit.LEFT if study.left else Exit.COMPLETE, folder.root)
    display.say("this command works along as one more worker")
    is_search = planned.sweeps and planned.manifest.search is not None
    code = run_here(study, None if is_search else planned.asked, display=display, joins=True)
    conclude_last(folder, display, code)
    return Ended(code, folder.root)


def conclude_last(folder: StudyFolder, display: Display, code: Exit) -> None:
    """Write the report, unless the command that was joined has trials left, and writes it then."""
    while True:
        try:
            with running(folder):
                return _conclude(open_study(folder.root), display, code)
        except AlreadyRunningError:
            left = open_study(folder.root).left
            if left or code in INTERRUPTIONS:
                return display.say(f"{counted(left, 'trial')} left to the other command")
        # it is concluding: what it writes may lack this command's last trial
        time.sleep(TIMEOUTS.poll)


def _conclude(study: Study, display: Display, code: Exit) -> None:
    """Write the report; where trials are left or have failed, their code stands without one."""
    from sweeps.commands.conclude import conclude  # pandas, which only the end of a study needs

    try:
        conclude(study, display, code)
    except (OSError, ConfigError) as error:
        if code is Exit.COMPLETE:
            raise
        display.say(f"no report: {error}; draw it with: {sweeps('report', study.folder.root)}")


def prepare(planned: Plan) -> None:
    """Build all data that trials are trained on, as far as they are not in the cache."""
    wanted = {
        (repr(one.data), repr(one.loss), one.trainer.batch_size): one for one in planned.configs
    }
    for one in wanted.values():
        dataset, share = checks.prepare(one), one.data.holdout
        if dataset.content and (
            note := contrast.note(dataset.store, one.data.path or "data.source")
        ):
            print(note, file=sys.stderr)
        if share and has_parts(one):
            from bvae import first_pass  # torch

            first_pass.check_batches(one, dataset)
        if share and not len(dataset.held_out):
            print(
                f"data.holdout={share:g} would hold out fewer than two of {len(dataset)} images: "
                "none are held out, and val/… is of images that are trained on",
                file=sys.stderr,
            )


def begin(planned: Plan, display: Display) -> Study:
    """Put the study on disk, and say what is about to happen."""
    study = planned.write()
    counts = study.counts
    for note in planned.notes:
        display.say(note)
    done = counts["complete"] + counts["pruned"] + counts["failed"]
    message = f"{study.name}: {counted(counts['expected'], 'trial')} in {shown(study.folder.root)}"
    if done:
        message += f", {done} already done, {counts['expected'] - done} to run"
    display.say(message)
    if counts["failed"]:
        failed = counted(counts["failed"], "trial")
        command = sweeps("retry", study.folder.root)
        display.say(f"{failed} failed before; run again with: {command}")
    return study
