"""The command as it is typed, and every way to end it before all is done; no process is left."""

import os
import signal
from pathlib import Path

import pytest

from sweeps import load_study
from sweeps.study.heartbeat import living_workers
from sweeps.workers.exit_codes import Exit
from sweeps.workers.processes import descendants
from tests.doubles.processes import end, start, wait_for
from tests.doubles.shells import Shell, alive, ended, interrupt
from tests.doubles.studies import make_study, trials
from tests.doubles.sweeping import of_steps, orchestrate

pytestmark = pytest.mark.slow

GRID = ("beta=1,4", "latent_dim=2", "seed=0,1")
FAKE = ("tracker=none", "hydra.sweeper.n_workers=2")
LONG = "trainer.max_steps=6000"
"""A minute a trial."""


def fake(trial: str, *options: str) -> tuple[str, ...]:
    """Return the options of a sweep whose trials a double runs."""
    return (*GRID, *FAKE, f"hydra.sweeper.trial={trial}", *options)


@pytest.mark.parametrize(
    ("trial", "launcher"),
    [
        ("tests.doubles.fakes.stepping", "local"),
        ("tests.doubles.fakes.stubborn", "local"),
        ("tests.doubles.fakes.stepping", "joblib"),
    ],
)
def test_ctrl_c(shell: Shell, trial: str, launcher: str) -> None:
    """Code 130 within 10 s, whether or not trials react; the trials are requeued."""
    command = shell.sweep(*fake(trial, LONG, f"hydra/launcher={launcher}"))
    shell.at_work(2)
    interrupt(command)
    code, said = ended(command, within_s=10)

    assert Exit.INTERRUPTED == code, said
    wait_for(lambda: not alive(shell.started), seconds=2)
    assert "left; continue with: sweeps resume /" in said
    assert "Traceback" not in said
    assert 4 == shell.study.counts["pending"]
    saved = [shell.study.folder.trial(slug).resume.exists() for slug in shell.study.states]
    assert sum(saved) == (2 if trial == "tests.doubles.fakes.stepping" else 0)


def test_ctrl_c_twice(shell: Shell) -> None:
    """It ends at once, and so do workers that do not react."""
    command = shell.sweep(*fake("tests.doubles.fakes.stubborn"))
    shell.at_work(2)
    interrupt(command)
    wait_for(shell.study.folder.stop.exists)
    interrupt(command)
    code, said = ended(command, within_s=2)

    assert Exit.INTERRUPTED == code, said
    wait_for(lambda: not alive(shell.started), seconds=2)
    assert 4 == shell.study.counts["pending"]


def test_the_terminal_is_closed(shell: Shell) -> None:
    """Code 129 with nobody to tell, though the kernel and the shell both hang up; all is saved.

    `sweeps worker` goes on, and saves on SIGQUIT.
    """
    command = shell.sweep(*fake("tests.doubles.fakes.stepping", LONG))
    shell.at_work(2)
    assert command.stdout is not None
    command.stdout.close()
    os.killpg(command.pid, signal.SIGHUP)
    wait_for(shell.study.folder.stop.exists)
    os.killpg(command.pid, signal.SIGHUP)

    assert Exit.HUNG_UP == command.wait(20)
    wait_for(lambda: not alive(shell.started), seconds=2)
    assert 4 == shell.study.counts["pending"]
    assert 2 == sum(shell.study.folder.trial(slug).resume.exists() for slug in shell.study.states)

    worker = shell.type("sweeps", "worker", "runs/swept")
    wait_for(lambda: 3 == sum(map(len, shell.runs())), seconds=60)
    os.killpg(worker.pid, signal.SIGQUIT)
    assert Exit.INTERRUPTED == ended(worker, within_s=30)[0]  # of which eight are its own
    assert 4 == shell.study.counts["pending"]


@pytest.mark.parametrize("launcher", ["local", "joblib"])
def test_the_command_is_killed(shell: Shell, launcher: str) -> None:
    """Its workers finish the trials they are at, and stop; the same command does the rest."""
    options = ("trainer.max_steps=200", f"hydra/launcher={launcher}")
    command = shell.sweep(*fake("tests.doubles.fakes.stepping", *options))
    shell.at_work(2)
    command.kill()
    ended(command, within_s=20)  # its workers hold the other end of the pipe
    wait_for(lambda: not alive(shell.started))
    counts = shell.study.counts
    assert (2, 2) == (counts["complete"], counts["pending"])

    code, said = ended(shell.sweep(*fake("tests.doubles.fakes.stepping", *options)), within_s=60)

    assert (Exit.COMPLETE, 4) == (code, shell.study.counts["complete"]), said
    assert [["from 0", "ran"]] * 4 == shell.runs()


def test_a_killed_worker_is_replaced_at_once(shell: Shell) -> None:
    """Left alone, submitit waits 15 s for the result of the dead."""
    command = shell.sweep(*fake("tests.doubles.fakes.stepping", LONG))
    shell.at_work(2)
    known = set(descendants(command.pid))
    os.kill(living_workers(shell.study.folder.workers)[0].pid, signal.SIGKILL)

    wait_for(lambda: set(descendants(command.pid)) - known, seconds=10)
    shell.at_work(2)


def test_stop_and_an_extra_worker(shell: Shell) -> None:
    """`sweeps stop` ends it with code 3; `sweeps worker` alone can do what is left."""
    command = shell.sweep(*fake("tests.doubles.fakes.stepping", "trainer.max_steps=300"))
    shell.at_work(2)
    assert 0 == ended(shell.type("sweeps", "stop", "runs/swept"), within_s=20)[0]
    code, said = ended(command, within_s=20)
    assert Exit.LEFT == code, said
    assert [] == alive(shell.started)

    code, said = ended(shell.type("sweeps", "worker", "runs/swept"), within_s=60)

    assert (Exit.COMPLETE, 4) == (code, shell.study.counts["complete"]), said
    assert 4 == sum(runs.count("ran") for runs in shell.runs())
    assert 2 == sum(len(runs) == 3 for runs in shell.runs())  # from 0, from where it was, ran


def test_a_worker_joins_a_running_study(shell: Shell) -> None:
    """It takes trials beside the command's own, none of them twice."""
    options = ("trainer.max_steps=400", "hydra.sweeper.n_workers=1")
    command = shell.sweep(*fake("tests.doubles.fakes.stepping", *options))
    shell.at_work(1)
    joined = shell.type("sweeps", "worker", "runs/swept")

    assert 0 == ended(joined, within_s=60)[0]
    code, said = ended(command, within_s=60)
    assert (Exit.COMPLETE, 4) == (code, shell.study.counts["complete"]), said
    assert [["from 0", "ran"]] * 4 == shell.runs()
    logs = shell.study.folder.logs.glob("worker-*.log")
    assert all("complete" in log.read_text() for log in logs)


def test_the_budget_is_spent(tmp_path: Path) -> None:
    """Code 3; nobody is left, and the running trials are saved."""
    study = make_study(
        tmp_path / "tested", trial="tests.doubles.fakes.stepping", compositions=of_steps(6000)
    )

    assert Exit.LEFT == end(start(orchestrate, study.folder.root, 2, 2 / 60))
    assert [] == living_workers(study.folder.workers)
    assert 4 == load_study(study.folder.root).counts["pending"]
    files = list(study.folder.trials.glob("*/checkpoints/resume.ckpt"))
    assert 2 == len(files)
    assert all(int(file.read_text()) < 1000 for file in files)  # a step takes at least 0.01 s


def test_all_fail_alike(tmp_path: Path) -> None:
    """Code 1 before the rest is tried."""
    listed = trials(beta=[2.0], seed=range(400))
    study = make_study(
        tmp_path / "tested", listed, trial="tests.doubles.fakes.failing", max_attempts=1
    )

    assert Exit.FAILED == end(start(orchestrate, study.folder.root, 2))
    counts = load_study(study.folder.root).counts
    assert 5 <= counts["failed"] < 400
    assert [] == living_workers(study.folder.workers)
