"""What a command would run: its trials, what is done already, how long the rest may take."""

from collections.abc import Sequence

from bvae import config
from bvae.machine import Machine
from sweeps.labels import clock, counted, shown
from sweeps.plan.plan import Plan
from sweeps.study.results import is_short
from sweeps.study.study import Study
from sweeps.study.trials import Trial
from sweeps.workers.devices import Share
from sweeps.workers.live_table import Display

SHOWN = 100
"""Trials that are listed; of more, nobody reads the list."""


def preview(planned: Plan, *, share: Share, machine: Machine, display: Display) -> None:
    """Say it; nothing is written."""
    study = Study(planned.folder, planned.manifest)
    for note in planned.notes:
        display.say(note)
    for trial in study.trials[:SHOWN]:
        display.say(f"  {study.states[trial.slug]:9} {trial.overrides}")
    if len(study.trials) > SHOWN:
        display.say(f"  … and {len(study.trials) - SHOWN} more")
    left = [trial for trial in study.trials if study.states[trial.slug] in ("pending", "running")]
    done = len(study.trials) - len(left)
    unfound = study.manifest.unfound
    if unfound:
        display.say(f"  and {unfound} that the search will choose")
    display.say(
        f"{study.name}: {counted(len(study.trials) + unfound, 'trial')} in "
        f"{shown(study.folder.root)}, "
        f"{done} already done, {len(left) + unfound} to run"
    )
    if left:
        display.say(f"{counted(share.workers, 'worker')}: {share.why}")
        display.say(_estimate(study, left, n_workers=share.workers, machine=machine))


def _steps_left(study: Study, trial: Trial, max_steps: int) -> int:
    shorter = study.results.get(trial.slug)
    trained = shorter.steps if shorter is not None and is_short(shorter, study.manifest) else 0
    return max_steps - (trained or 0)


def _estimate(study: Study, left: Sequence[Trial], *, n_workers: int, machine: Machine) -> str:
    """Say how long the trials may train, from one timed step for each choice but β and seed."""
    from bvae.step_time import step_time_s  # torch, which only this needs

    known: dict[tuple[object, ...], tuple[int, float]] = {}  # steps, and how long one takes
    steps = 0
    total_s = 0.0
    for trial in left:
        kind = tuple(pair for pair in trial.coordinates if pair[0] not in ("beta", "seed"))
        if kind not in known:
            parsed = config.parse(study.manifest.config_of(trial))
            known[kind] = (parsed.trainer.max_steps, step_time_s(parsed))
        max_steps, time_s = known[kind]
        steps_left = _steps_left(study, trial, max_steps)
        steps += steps_left
        total_s += steps_left * time_s
    times = [time_s for _, time_s in known.values()]
    workers = min(n_workers, len(left))
    if not machine.cards:  # more threads than processors wait for one another
        total_s *= max(1.0, workers * study.manifest.threads / machine.cpus)
    like_these = 1 + study.manifest.unfound / len(left)  # what a search will choose
    steps, total_s = round(steps * like_these), total_s * like_these
    ms = dict.fromkeys(f"{1000 * time_s:.3g}" for time_s in (min(times), max(times)))
    return (
        f"about {clock(total_s / workers)} of training on {counted(workers, 'worker')}: "
        f"{steps} steps, {' to '.join(ms)} ms a step, timed here; scoring comes on top"
    )
