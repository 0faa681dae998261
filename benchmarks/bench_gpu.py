"""What a graphics card reaches: trials against plain loops, workers that share it, bf16, memory.

Run: make bench ONLY=gpu (at most 8 minutes on one card; one line where there is none)

A plain loop is the same model's steps over images that lie on the card, without Lightning, history,
validation, heartbeat or checkpoints; both in the same run.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from hydra import compose, initialize_config_dir

from benchmarks.bench_trial import Row, at_once, trial, trial_result
from bvae import checks, config, train
from bvae.config import NETWORKS, Config
from bvae.data.datamodule import ImageBatches
from bvae.data.on_device import DeviceStore
from sweeps.plan.settings import register

BUDGET_S = 420
"""No part is begun after so long; each takes less than a minute."""

STEPS = 2000
SEEDS = 4
CARD = torch.device("cuda")
ACCELERATOR = "gpu"
DATA = "dsprites"


def settings(network: str, *, precision: str = "32-true", seed: int = 0) -> Config:
    """A trial of one of our networks on the card, of 64x64 images where these are its own."""
    register()
    typed = [
        f"model={network}",
        f"data={'dsprites32' if network == 'mlp' else DATA}",
        "tracker=none",
        f"trainer.accelerator={ACCELERATOR}",
        f"trainer.precision={precision}",
        f"trainer.max_steps={STEPS}",
        f"seed={seed}",
    ]
    with initialize_config_dir(str(config.directory()), version_base="1.3"):
        return config.parse(compose("config", typed))


def plain_loop(settings: Config) -> float:
    """Seconds of the same training steps over images that lie on the card."""
    dataset = checks.prepare(settings)
    model = train.build_model(settings, dataset.store.image_shape, n_images=len(dataset)).to(CARD)
    batches = ImageBatches(dataset, batch_size=settings.trainer.batch_size, seed=settings.seed)
    images = DeviceStore(dataset.store, CARD)
    (optimizer,), _ = model.configure_optimizers()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for step in range(settings.trainer.max_steps):
        (x,) = batches.batches(range(step, step + 1), images)
        outputs = model(x)
        loss = model.loss(x=x, **outputs._asdict(), step=step)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def unpacked(settings: Config, *, on_card: bool) -> float:
    """Images a second that reach the card as float32, without any training."""
    dataset = checks.prepare(settings)
    batches = ImageBatches(dataset, batch_size=settings.trainer.batch_size, seed=0)
    images = DeviceStore(dataset.store, CARD) if on_card else None
    torch.cuda.synchronize()
    start = time.perf_counter()
    for first in range(0, STEPS, train.STEPS_A_TURN):
        for batch in batches.batches(range(first, first + train.STEPS_A_TURN), images):
            batch.to(CARD)
    torch.cuda.synchronize()
    return STEPS * settings.trainer.batch_size / (time.perf_counter() - start)


def of_network(network: str) -> Iterator[Row]:
    """A trial against a plain loop, the images a second of both, and the memory."""
    chosen = settings(network)
    short = replace(chosen, trainer=replace(chosen.trainer, max_steps=min(100, STEPS)))
    plain_loop(short), trial(short)  # kernels are loaded, caches filled
    torch.cuda.reset_peak_memory_stats()
    steps_s = plain_loop(chosen)
    wall_s, scoring_s = trial(chosen)
    images = STEPS * chosen.trainer.batch_size
    yield Row(
        f"{network}: trial / (plain loop + encoding + scoring)",
        f"{wall_s / (steps_s + scoring_s):.3f}",
        "<= 1.10",
    )
    yield Row(f"{network}: images/s of the plain loop", f"{images / steps_s:,.0f}", "")
    yield Row(f"{network}: images/s of the trial", f"{images / (wall_s - scoring_s):,.0f}", "")
    peak = torch.cuda.max_memory_allocated() / 1e9
    yield Row(f"{network}: peak memory on the card", f"{peak:.2f} GB", "")


def of_data() -> Iterator[Row]:
    """Images that are unpacked on the card, against those that are sent to it."""
    chosen = settings("conv")
    for on_card, name in ((False, "unpacked here, and sent"), (True, "unpacked on the card")):
        yield Row(f"images/s {name}", f"{unpacked(chosen, on_card=on_card):,.0f}", "")


def _shared() -> None:
    trial(settings("mlp"))


def of_workers() -> Iterator[Row]:
    """Trials an hour with one, two and four workers on the card."""
    for workers in (1, 2, 4):
        an_hour = 3600 * workers / at_once(_shared, workers)
        yield Row(f"trials an hour, workers_per_device={workers}", f"{an_hour:,.0f}", "")


def of_precision() -> Iterator[Row]:
    """The same seeds in float32 and in bf16: by how much the mean score differs, in seed noise."""
    results = {
        precision: [
            trial_result(settings("conv", precision=precision, seed=k)) for k in range(SEEDS)
        ]
        for precision in ("32-true", "bf16-mixed")
    }
    seconds = {p: statistics.median(r.timings["train_s"] for r in rs) for p, rs in results.items()}
    yield Row("conv: bf16 / float32, training", f"{_ratio(seconds):.3f}", "")
    for name in ("mig", "beta_vae"):
        scores = {p: [r.scores[name] for r in found] for p, found in results.items()}
        noise = statistics.stdev(scores["32-true"]) * (2 / SEEDS) ** 0.5
        apart = statistics.mean(scores["bf16-mixed"]) - statistics.mean(scores["32-true"])
        yield Row(f"conv: {name}, bf16 - float32", f"{apart:+.3f}", f"within {2 * noise:.3f}")


def _ratio(seconds: dict[str, float]) -> float:
    return seconds["bf16-mixed"] / seconds["32-true"]


def rows() -> list[Row]:
    """Measure everything there is time for."""
    if not torch.cuda.is_available():
        return [Row("no card here", "", "")]
    torch.set_num_threads(1)
    start = time.monotonic()
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        **{network: partial(of_network, network) for network in NETWORKS},
        "data": of_data,
        "workers": of_workers,
        "precision": of_precision,
    }
    found = [Row(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", "", "")]
    for name, part in parts.items():
        if time.monotonic() - start > BUDGET_S:
            found.append(Row(f"{name}: left out, {BUDGET_S} s are over", "", ""))
        else:
            found += part()
    return found
