"""Stand-ins for training: what `hydra.sweeper.trial` may name, quick and without torch.

Each turns an `Assignment` into a `TrialResult`, as `bvae.train.run_trial` does.
"""

import itertools
import math
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

from bvae.assignment import Assignment
from bvae.files import write_atomically
from bvae.trial import Interrupted, TrialResult, now

BASE = TrialResult(point={}, state="complete", attempt=1, threads=1, started_at="")


def instant(task: Assignment) -> TrialResult:
    """Complete at once, with a score that is an inverted U over β; say so in the folder."""
    _record(task, "ran")
    beta, seed = float(str(task.point["beta"])), int(str(task.point["seed"]))
    score = 0.5 - 0.05 * abs(math.log2(beta / 4)) + 0.001 * seed
    return replace(
        BASE,
        point=dict(task.point),
        attempt=task.attempt,
        threads=task.config.threads,
        started_at=now(),
        beta_norm=beta * task.config.latent_dim / 1024,
        wall_time_s=0.01,
        device="cpu",
        scores={"mig": score, "beta_vae": score + 0.3},
        scoring={"protocol": "fast"},
        losses={"recon": 40.0, "kl": 5.0, "loss": 40.0 + beta * 5.0},
        kl_per_latent=[5.0] + [0.0] * (task.config.latent_dim - 1),
        active_latents=1,
        images_seen=1000,
    )


def noisy(task: Assignment) -> TrialResult:
    """As `instant`, but seeds differ by a standard deviation of .08; three latents are active."""
    place = f"{task.point['beta']} {task.config.latent_dim} {task.point['seed']}"
    ended = instant(task)
    score = ended.scores["mig"] + random.Random(place).gauss(0, 0.08)
    return replace(ended, scores={"mig": score}, active_latents=3)


def stepping(task: Assignment) -> TrialResult:
    """Go 0.01 s a step for `trainer.max_steps` steps, on from the step saved when interrupted."""
    done = int(task.folder.resume.read_text()) if task.folder.resume.exists() else 0
    _record(task, f"from {done}")
    total = task.config.trainer.max_steps
    for step in range(done + 1, total + 1):
        time.sleep(0.01)
        task.monitor.at(step, total)
        if task.monitor.stopping():
            write_atomically(task.folder.resume, str(step))
            raise Interrupted(f"at step {step} of {total}")
    return instant(task)


def resuming(task: Assignment) -> TrialResult:
    """Go 0.01 s a step until asked to stop, and complete at once when run again."""
    done = int(task.folder.resume.read_text()) if task.folder.resume.exists() else 0
    _record(task, f"from {done}")
    for step in itertools.count(done + 1) if not done else ():
        time.sleep(0.01)
        task.monitor.at(step, task.config.trainer.max_steps)
        if task.monitor.stopping():
            write_atomically(task.folder.resume, str(step))
            raise Interrupted(f"at step {step}")
    return instant(task)


def learning(task: Assignment) -> TrialResult:
    """Report the last score at every step; end there if pruned."""
    last = instant(task)
    for step in range(1, task.config.trainer.max_steps + 1):
        if (
            task.monitor.should_prune(step, last.scores["mig"])
            and step < task.config.trainer.max_steps
        ):
            return replace(last, state="pruned", scores={}, losses={}, steps=step)
    return replace(last, steps=task.config.trainer.max_steps)


def failing(task: Assignment) -> TrialResult:
    """Raise, for every β above 1."""
    if float(str(task.point["beta"])) > 1:
        _record(task, "raised")
        raise ValueError(f"no luck at beta={task.point['beta']}\nsecond line")
    return instant(task)


def failing_once(task: Assignment) -> TrialResult:
    """Raise at the first attempt at each trial."""
    if task.attempt == 1:
        raise ValueError("no luck yet")
    return instant(task)


def deadly(task: Assignment) -> TrialResult:
    """Kill the process that works on a β above 1."""
    if float(str(task.point["beta"])) > 1:
        _record(task, "died")
        os.kill(os.getpid(), signal.SIGKILL)
    return instant(task)


def deadly_once(task: Assignment) -> TrialResult:
    """Kill the process that first works on a trial."""
    if not (task.folder.root / "runs.txt").exists():
        _record(task, "died")
        os.kill(os.getpid(), signal.SIGKILL)
    return instant(task)


def eventful(task: Assignment) -> TrialResult:
    """Raise for β = 2; kill the process that first works on β = 4; complete every other trial."""
    return {"2": failing, "4": deadly_once}.get(str(task.point["beta"]), instant)(task)


def stubborn(task: Assignment) -> TrialResult:
    """Take a minute, whatever the monitor asks."""
    task.monitor.at(1, 2)
    _record(task, "began")
    time.sleep(60)
    return instant(task)


def held_up(task: Assignment) -> TrialResult:
    """Wait, at the first run of a trial, for a file `go` in its folder; ignore requests to stop."""
    folder = task.folder.root
    if not (folder / "runs.txt").exists():
        _record(task, "held up")
        while not (folder / "go").exists():
            time.sleep(0.01)
    return instant(task)


def _record(task: Assignment, text: str) -> None:
    """Add a line to `runs.txt` of the trial's folder: how often it was run can be counted."""
    path: Path = task.folder.root / "runs.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{text}\n")
