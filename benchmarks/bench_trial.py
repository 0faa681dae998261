"""What a trial costs beside its training steps, and what two workers at once reach.

Run: make bench ONLY=trial

Ratios within one run: the machine's own speed, and whatever else runs on it, cancels out.
"""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir

from bvae import checks, config, train
from bvae.assignment import Assignment
from bvae.config import Config
from bvae.data.datamodule import ImageBatches
from bvae.trial import RunIdentity, TrialFolder, TrialResult
from sweeps.plan.settings import register


class Row(NamedTuple):
    """One line of the table."""

    name: str
    value: str
    bound: str


STEPS = 3000  # of the quick study
STEPS_TOGETHER = 1000
ROUNDS = 3


def settings(*, tracker: str, steps: int = STEPS) -> Config:
    """The configuration of a trial of the quick study, on the CPU."""
    register()
    typed = ["experiment=quick", f"tracker={tracker}", f"trainer.max_steps={steps}"]
    with initialize_config_dir(str(config.directory()), version_base="1.3"):
        return config.parse(compose("config", [*typed, "trainer.accelerator=cpu"]))


def raw_steps(settings: Config) -> float:
    """Seconds of the same training steps in a plain loop over the same batches."""
    dataset = checks.prepare(settings)
    model = train.build_model(settings, dataset.store.image_shape, n_images=len(dataset))
    batches = ImageBatches(dataset, batch_size=settings.trainer.batch_size, seed=settings.seed)
    (optimizer,), _ = model.configure_optimizers()
    start = time.perf_counter()
    for step in range(settings.trainer.max_steps):
        x = batches.batch(step)
        loss = model.losses(x, model(x))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def trial(settings: Config) -> tuple[float, float]:
    """Seconds of a whole trial, and of its encoding pass and scoring."""
    result = trial_result(settings)
    return result.wall_time_s, result.timings["encode_s"] + result.timings["score_s"]


def trial_result(settings: Config) -> TrialResult:
    """Train and score a trial in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        task = Assignment(
            config=settings,
            folder=TrialFolder(Path(folder) / "trial"),
            point={"beta": 4, "latent_dim": 10, "seed": 0},
            attempt=1,
            identity=RunIdentity(study="bench", run_id="bench", name="bench", tags=()),
            tracker_folder=Path(folder),
        )
        result = train.run_trial(task)
    if result.state != "complete":
        raise RuntimeError(result.error)
    return result


def overhead() -> Iterator[Row]:
    """A trial in a warm worker against its steps + encoding + scoring, and against no tracker."""
    torch.set_num_threads(1)
    tracked, plain = settings(tracker="wandb"), settings(tracker="none")
    trial(plain), trial(tracked), raw_steps(plain)  # imports, caches, wandb's service
    whole, untracked = [], []
    for _ in range(ROUNDS):
        steps = raw_steps(plain)
        wall, scoring = trial(tracked)
        wall_plain, scoring_plain = trial(plain)
        whole.append(wall / (steps + scoring))
        untracked.append((wall - scoring) / (wall_plain - scoring_plain))
    yield Row("trial / (raw steps + encoding + scoring)", _ratio(whole), "<= 1.10")
    yield Row("trial with W&B / without", _ratio(untracked), "<= 1.05")


def _timed(work: Callable[[], object], ready: Barrier, seconds: Any) -> None:
    torch.set_num_threads(1)
    work()
    ready.wait()
    start = time.perf_counter()
    work()
    seconds.put(time.perf_counter() - start)


def _raw() -> None:
    raw_steps(settings(tracker="none", steps=STEPS_TOGETHER))


def _trial() -> None:
    trial(settings(tracker="none", steps=STEPS_TOGETHER))


def at_once(work: Callable[[], object], processes: int) -> float:
    """Seconds until so many processes that start together have done the work, once warm."""
    context = multiprocessing.get_context("spawn")
    ready, seconds = context.Barrier(processes), context.Queue()
    started = [
        context.Process(target=_timed, args=(work, ready, seconds)) for _ in range(processes)
    ]
    for process in started:
        process.start()
    found = [seconds.get() for _ in started]
    for process in started:
        process.join()
    return max(found)


def two_workers() -> Iterator[Row]:
    """Throughput that a second worker adds, against what a second raw torch process adds."""
    raw, trials = [], []
    for _ in range(ROUNDS):
        raw.append(2 * at_once(_raw, 1) / at_once(_raw, 2))
        trials.append(2 * at_once(_trial, 1) / at_once(_trial, 2))
    yield Row("throughput of two raw processes / one", _ratio(raw), "")
    yield Row("throughput of two workers / one", _ratio(trials), "")
    gains = [gain / gain_raw for gain, gain_raw in zip(trials, raw, strict=True)]
    yield Row("the second over the first", _ratio(gains), ">= 0.95")


def _ratio(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def rows() -> list[Row]:
    """Measure everything."""
    return [*overhead(), *two_workers()]
