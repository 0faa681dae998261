"""`sweeps worker`: one more worker for a study, in this process."""

import argparse
import signal
import sys

from bvae.exceptions import MachineFaultError
from sweeps.commands.arguments import add_study
from sweeps.study.heartbeat import new_worker_name
from sweeps.study.locks import is_locked
from sweeps.study.study import open_study
from sweeps.study.timeouts import TIMEOUTS
from sweeps.workers.exit_codes import Exit
from sweeps.workers.logs import log_to
from sweeps.workers.stopping import StopRequest, stopping_on
from sweeps.workers.worker import Worker, of_machine


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
        stopping_on(stop_request, signal.SIGINT, signal.SIGTERM, within_s=TIMEOUTS.exit_within),
    ):
        try:
            Worker(study, name=name, detached=True, stop_request=stop_request).work()
        except MachineFaultError as fault:
            print(f"stopping: {of_machine(fault)}", file=sys.stderr)
            return Exit.LEFT
    return Exit.INTERRUPTED if stop_request.is_signalled else Exit.COMPLETE
