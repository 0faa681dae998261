"""The quick study with real training, killed again and again: nothing of it changes."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sweeps.study.heartbeat import Heartbeat, living_workers
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit
from sweeps.workers.processes import command_line, descendants
from tests.doubles.processes import wait_for
from tests.doubles.shells import Shell, alive, ended

pytestmark = pytest.mark.slow

QUICK = (
    "experiment=quick",
    "latent_dim=5",
    "seed=0,1",
    "checkpoint.interval_s=0.3",
    "trainer.log_every_n_steps=20",
    "data.score_every=[1,3,8,4,4]",
)
WITHIN_S = 300.0
"""Far more than a small study takes, also on a machine that does other things."""

VICTIMS = ["all", "command", "worker"]


def progress(folder: Path) -> int:
    """Return how many rows of history there are, over all trials."""
    files = folder.glob("runs/swept/trials/*/history.csv")
    return sum(len(file.read_text().splitlines()) - 1 for file in files)


def kill(command: subprocess.Popen[str], victim: str, shell: Shell) -> None:
    """Kill the command, one of its workers, or all of its process group, and see them dead."""
    started = descendants(command.pid)
    shell.started += started
    if victim == "worker":
        living: list[Heartbeat] = []
        wait_for(lambda: living.extend(living_workers(shell.study.folder.workers)) or living)
        worker = living[0]
        os.kill(worker.pid, signal.SIGKILL)
        wait_for(lambda: not alive([worker.pid]))
    elif victim == "command":
        command.kill()
        command.wait()
    else:
        os.killpg(command.pid, signal.SIGKILL)
        command.wait()
        wait_for(lambda: not alive(started))


def numbers(study: Study) -> dict[str, object]:
    """Return what training and scoring have come to, bit for bit, and the curve."""
    found: dict[str, object] = {"curve": (study.folder.report / "curve.csv").read_bytes()}
    for slug, result in study.results.items():
        trial = study.folder.trial(slug)
        found[slug] = (
            result.scores,
            result.losses,
            result.kl_per_latent,
            trial.codes.read_bytes(),
            trial.history.read_bytes(),
        )
    return found


def test_kills_change_no_bit(tmp_path: Path, repository: Path) -> None:
    """Command, workers or all at once, at random moments; trials go on from checkpoints."""
    options = (*QUICK, "beta=2,16", "trainer.max_steps=240", "tracker=none")
    ran = []
    for kills in (0, len(VICTIMS)):
        folder = tmp_path / str(kills)
        folder.mkdir()
        shell = Shell(folder, repository)
        try:
            killed_at_random(shell, folder, options, kills)
        finally:
            shell.close()
        ran.append(shell.study)

    assert numbers(ran[0]) == numbers(ran[1])
    logs = [ran[1].folder.trial(slug).log.read_text() for slug in ran[1].states]
    assert any("resumed from step" in log for log in logs)
    assert 4 == ran[1].counts["complete"]


def killed_at_random(shell: Shell, folder: Path, options: tuple[str, ...], kills: int) -> None:
    """Run a sweep to its end, through so many kills; type it again when its command is dead."""
    chance = random.Random(kills)
    victims = chance.sample(VICTIMS, kills)
    moments = sorted(chance.sample(range(1, 36), kills))  # of 4 × 12 rows of history
    command = shell.sweep(*options)
    for victim, moment in zip(victims, moments, strict=True):
        wait_until_at(moment, command, shell, folder)
        time.sleep(chance.uniform(0, 0.5))
        assert not has_ended(command), ended(command, within_s=1)
        kill(command, victim, shell)
        if victim != "worker":
            command = shell.sweep(*options)
    code, said = ended(command, within_s=WITHIN_S)
    assert Exit.COMPLETE == code, said


def wait_until_at(moment: int, command: subprocess.Popen[str], shell: Shell, folder: Path) -> None:
    """Wait until there are so many rows of history, and a worker that can be killed."""

    def is_so_far() -> bool:
        return progress(folder) >= moment and bool(living_workers(shell.study.folder.workers))

    wait_for(lambda: is_so_far() or has_ended(command), seconds=WITHIN_S)


def has_ended(command: subprocess.Popen[str]) -> bool:
    """Whether a command has ended."""
    return command.poll() is not None


def services(command: subprocess.Popen[str]) -> list[int]:
    """Return the service processes of wandb below a command."""
    return [pid for pid in descendants(command.pid) if "wandb-core" in command_line(pid)]


def test_the_service_of_wandb_is_killed(shell: Shell, tmp_path: Path) -> None:
    """Its trial is none the worse, and says what was lost; the next trial has another service."""
    options = ("beta=2", "trainer.max_steps=200", "hydra.sweeper.n_workers=1")
    command = shell.sweep(*QUICK, *options)
    wait_for(lambda: progress(tmp_path) or has_ended(command), seconds=WITHIN_S)
    (service,) = services(command)
    os.kill(service, signal.SIGKILL)
    code, said = ended(command, within_s=WITHIN_S)

    assert Exit.COMPLETE == code, said
    first, second = (shell.study.results[slug] for slug in shell.study.states)
    assert first.tracking is not None
    assert second.tracking is None
    assert first.scores.keys() == second.scores.keys()
    runs = list(shell.study.folder.root.glob("wandb/offline-run-*"))
    assert 3 == len(runs)  # of the two trials, and of the study
