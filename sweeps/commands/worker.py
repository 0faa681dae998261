"""`sweeps worker`: one more worker for a study, in this process."""

import argparse

from sweeps.commands.arguments import add_study
from sweeps.study.heartbeat import new_worker_name
from sweeps.study.locks import is_locked
from sweeps.study.study import open_study
from sweeps.workers.exit_codes import Exit
from sweeps.workers.logs import log_to
from sweeps.workers.processes import ENDINGS
from sweeps.workers.stopping import EXIT_WITHIN_S, StopRequest, stopping_on
from sweeps.workers.worker import Worker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps worker` takes."""
    add_study(parser)


def run(typed: argparse.Namespace) -> int:
    """Run trials of a study until none is left, beside its other workers."""
    study = open_study(typed.study)
    folder, name = study.folder, new_worker_name()
    if not is_locked(folder.orchestrator):
        folder.stop.unlink(missing_ok=True)  # of a command that has ended
    print(f"{name} works on {study.name}; Ctrl-C saves the running trial and stops", flush=True)
    stop_request = StopRequest(folder)
    with (
        log_to(folder.worker_log(name)),
        stopping_on(stop_request, *ENDINGS, within_s=EXIT_WITHIN_S),
    ):
        Worker(study, name=name, detached=True, stop_request=stop_request).work()
    return stop_request.exit_code or Exit.COMPLETE
