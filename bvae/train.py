"""One trial, start to end: train, encode once, score, draw, and hand back the result.

The trial's folder is filled on the way; committing `result.json` is left to the caller, which knows
whether the trial is still its own.
"""

import contextlib
import functools
import gc
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import OmegaConf

from bvae import checks, evaluate, tracked_trial, weights
from bvae.assignment import Assignment
from bvae.beta_norm import beta_norm
from bvae.callbacks import Continue, KeepBest, Preview, Prune, Record, Resume, Schedule
from bvae.codes import factor_record, score
from bvae.config import BETA_VAE, Config, Part
from bvae.data import holdout
from bvae.data.datamodule import ImageBatches
from bvae.data.datasets import ImageDataset
from bvae.exceptions import DataError, MachineFaultError, is_of_machine
from bvae.files import write_atomically
from bvae.history import History, columns, late_change
from bvae.image_shape import ImageShape
from bvae.logs import Lines
from bvae.losses import least_nll
from bvae.model import BetaVAE
from bvae.pictures import media
from bvae.tracking import Tracker
from bvae.trial import (
    Interrupted,
    Pruned,
    TrialFolder,
    TrialResult,
    described,
    now,
)
from bvae.versions import versions

log = logging.getLogger("bvae")

STEPS_A_TURN = 10
"""Steps between two turns of Lightning's loop, when no row of history is due: a trial can be
stopped, and its state saved, at each turn."""


class Stopwatch:
    """Seconds spent in the parts of a trial."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a block under a name."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def run_trial(task: Assignment) -> TrialResult:
    """Train and score one model; an exception becomes a failed result.

    Raises:
        Interrupted: the monitor asked to stop; the training state is in the trial's folder.
        ConfigError: the tracker cannot be started as configured.
        Exception: `is_of_machine`; what was saved last is in the trial's folder.
    """
    start = time.perf_counter()
    torch.set_num_threads(task.config.threads)
    torch.backends.cudnn.deterministic = True  # else convolutions on a card sum in any order
    write_atomically(task.folder.config, OmegaConf.to_yaml(OmegaConf.structured(task.config)))
    result = TrialResult(
        point=dict(task.point),
        state="failed",
        attempt=task.attempt,
        threads=task.config.threads,
        started_at=now(),
        versions=versions(),
    )
    tracker = _start_tracker(task)
    with _log_file(task.folder.log):
        try:
            result = _complete(task, tracker, result)
        except Interrupted:
            tracker.finish(exit_code=130)
            raise
        except Pruned as end:
            result = _pruned(result, task.config, step=end.step)
        except Exception as error:  # failure is data: whatever a trial raises is its result
            if is_of_machine(error):
                tracker.finish(exit_code=1)
                raise
            log.exception("the trial failed")
            result = replace(result, error=described(error))
    tracked_trial.finish(tracker, result, name=task.identity.name, alert=task.config.tracker.alert)
    # Lightning's trainer, the model and the data refer to each other: Python would free them, and
    # the data's mapping, many trials later
    gc.collect()
    seconds = round(time.perf_counter() - start, 3)
    return replace(result, wall_time_s=seconds, tracking=tracker.lost)


def _pruned(result: TrialResult, config: Config, *, step: int) -> TrialResult:
    log.info("pruned at step %d", step)
    images_seen = step * config.trainer.batch_size
    return replace(result, state="pruned", steps=step, images_seen=images_seen)


def _complete(task: Assignment, tracker: Tracker, result: TrialResult) -> TrialResult:
    config, folder, watch = task.config, task.folder, Stopwatch()
    try:
        dataset = checks.prepare(config)
    except DataError as error:  # here they are not as they were when the study was begun
        raise MachineFaultError(str(error)) from error
    labels, rows = evaluate.scored_part(dataset, config.data.score_every)
    model = build_model(config, dataset.store.image_shape, n_images=len(dataset.trained_on))
    with watch.part("train_s"):
        trained = fit(task, model, dataset, tracker)
    model.to(trained.trainer.strategy.root_device)  # Lightning leaves it on the CPU
    scored_step = weights.keep(config.checkpoint.keep, folder, trained.trainer, model)
    with watch.part("encode_s"):
        codes = evaluate.encode(model, dataset, rows=rows, labels=labels)
        losses = evaluate.losses(model, dataset, codes)
        recon_excess = evaluate.recon_excess(model, dataset)
    with watch.part("score_s"):
        scored = score(codes, protocol=config.protocol, seed=config.seed, own=config.scores)
    with watch.part("write_s"):
        codes.write(folder.codes)
        media.draw(model, dataset, codes, folder=folder.media)
    with watch.part("track_s"):
        tracked_trial.log_outcome(
            tracker,
            scored.values,
            kl_nats=codes.kl_nats.tolist(),
            active_latents=codes.active_latents,
            pictures=folder.media,
            step=trained.steps,
        )
    weights.remove_others(config.checkpoint.keep, folder)
    return replace(
        result,
        state="complete",
        beta_norm=beta_norm(
            config.beta,
            latent_dim=config.latent_dim,
            image_size=prod(dataset.store.image_shape),
        ),
        device=str(trained.trainer.strategy.root_device),
        precision=trained.trainer.precision,
        scores=scored.values,
        scoring=scored.details,
        losses=losses,
        kl_per_latent=[float(f"{kl:.6g}") for kl in codes.kl_nats],
        active_latents=codes.active_latents,
        latent_factor_map=factor_record(codes),
        data=_data_record(config, dataset),
        images_seen=trained.steps * config.trainer.batch_size,
        steps=trained.steps,
        scored_step=scored_step,
        loss_change=trained.loss_change,
        recon_excess=recon_excess,
        continued_from=trained.continued_from,
        timings=watch.seconds,
    )


def build_model(config: Config, image_shape: ImageShape, *, n_images: int) -> BetaVAE:
    """Build the model, its first weights a function of the seed alone.

    Args:
        config: of the trial.
        image_shape: of its images.
        n_images: how many of these are trained on.
    """
    torch.manual_seed(config.seed)
    return BetaVAE(
        network=config.model.name,
        encoder=config.model.encoder,
        decoder=config.model.decoder,
        image_shape=image_shape,
        latent_dim=config.latent_dim,
        beta=config.beta,
        optimizer=_optimizer(config.optimizer),
        lr=config.optimizer["lr"],
        loss=None if config.loss == BETA_VAE else config.loss,
        variance=config.data.variance,
        n_images=n_images,
    )


def _optimizer(part: Part) -> str | Part:
    """Return the optimiser's name, with its arguments if it has any beside the learning rate."""
    settings = {key: value for key, value in part.items() if key != "lr"}
    return settings if len(settings) > 1 else str(settings.get("name"))


def _data_record(config: Config, dataset: ImageDataset) -> dict[str, object]:
    """Return what the images are and what their pixels are taken for, as the result holds it."""
    return {
        "name": dataset.name,
        "content": dataset.content,
        "images": len(dataset),
        "skipped": dataset.n_skipped,
        "held_out": holdout.record(dataset.held_out),
        "image_shape": list(dataset.store.image_shape),
        "likelihood": config.data.likelihood,
        "variance": config.data.variance,
    }


@dataclass(frozen=True)
class Trained:
    """What training leaves: the trainer, how much the loss still changed, earlier ends."""

    trainer: pl.Trainer
    loss_change: float | None
    continued_from: list[int]

    @property
    def steps(self) -> int:
        """Steps of the optimiser, those before an interruption included."""
        return self.trainer.global_step


def fit(task: Assignment, model: BetaVAE, dataset: ImageDataset, tracker: Tracker) -> Trained:
    """Train from the start, resume an interrupted attempt, or continue a shorter trial.

    Raises:
        Interrupted: the monitor asked to stop.
        Pruned: the monitor said that it is to be pruned.
        NonFiniteLossError: the loss became NaN or infinite.
    """
    config = task.config
    with_factors = dataset.labels is not None
    history = History(
        task.folder.history, columns(latent_dim=config.latent_dim, scores=with_factors)
    )
    schedule = Schedule(
        log_every=config.trainer.log_every_n_steps, validate_every=config.trainer.val_every_n_steps
    )
    validation = evaluate.Validation.of(dataset, config.data.score_every)
    record = Record(history, tracker, validation, schedule)
    resume = Resume(task.folder, task.monitor, interval_s=config.checkpoint.interval_s)
    best = KeepBest(record, task.folder.best)
    continuation = Continue()
    prune = Prune(record, task.monitor)
    trainer = pl.Trainer(
        max_steps=config.trainer.max_steps,
        accelerator=config.trainer.accelerator,
        devices=1,
        precision=config.trainer.precision,  # type: ignore[arg-type]
        callbacks=[
            record,
            Preview(record, functools.partial(_preview, task, dataset, validation, tracker)),
            *([best] if config.checkpoint.keep == "best" else []),
            continuation,
            prune,
            resume,
        ],
        # A trial is one process, also where SLURM would have Lightning think otherwise.
        plugins=[LightningEnvironment()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=task.folder.root,
    )
    _leave_signals_alone(trainer)
    pauses = (STEPS_A_TURN, schedule.log_every, schedule.validate_every)
    batches = ImageBatches(
        dataset,
        batch_size=config.trainer.batch_size,
        seed=config.seed,
        pauses=pauses,
        second_batch=model.second_batch,
    )
    trainer.fit(model, datamodule=batches, ckpt_path=_furthest(task.folder, model))
    if prune.is_pruned:
        raise Pruned(trainer.global_step)
    if trainer.global_step < config.trainer.max_steps:
        raise Interrupted(f"at step {trainer.global_step} of {config.trainer.max_steps}")
    least = least_nll(prod(dataset.store.image_shape), variance=model.variance)
    change = late_change(history.rows(), least=least)
    return Trained(trainer, change, continuation.continued_from)


def _leave_signals_alone(trainer: pl.Trainer) -> None:
    """Keep Lightning from handling SIGTERM: the monitor says when to stop, and its state is saved.

    Lightning would raise a SIGTERMException in the midst of its loop, which is no Interrupted, and
    may do so where nothing has been saved.
    """
    connector = trainer._signal_connector  # there is no public way
    connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]


def _preview(
    task: Assignment,
    dataset: ImageDataset,
    validation: evaluate.Validation,
    tracker: Tracker,
    model: BetaVAE,
    step: int,
) -> None:
    codes = evaluate.encode(model, dataset, rows=validation.rows, labels=None)
    folder = task.folder.preview(step)
    media.preview(model, dataset, codes, folder=folder)
    tracked_trial.log_pictures(tracker, folder, step=step)


def _furthest(folder: TrialFolder, model: BetaVAE) -> Path | None:
    """Return the checkpoint to resume from, else the one of a complete trial to continue."""
    return _resumable(folder.resume, model) or _resumable(folder.last, model)


def _resumable(path: Path, model: BetaVAE) -> Path | None:
    """Return the checkpoint if the model can load it, after removing one that it cannot."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)["hyper_parameters"]
    except FileNotFoundError:
        return None
    except Exception as error:  # torch has no root of its own for what a damaged file may raise
        log.warning("starting again: %s cannot be read (%s)", path.name, error)
    else:
        # of the β-VAE, the only loss there was, checkpoints have none of these keys
        older = dict.fromkeys(("loss", "encoder", "decoder"))
        older["n_images"] = model.hparams["n_images"]
        if older | found == dict(model.hparams):
            return path
        log.warning("starting again: %s is of another model", path.name)
    path.unlink()
    return None


def _start_tracker(task: Assignment) -> Tracker:
    config = task.config
    image_size = prod(checks.described(config).image_shape)
    return tracked_trial.start(
        config,
        config.tracker,
        beta_norm=beta_norm(config.beta, latent_dim=config.latent_dim, image_size=image_size),
        identity=task.identity,
        folder=task.tracker_folder,
    )


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Send what is logged, and what is warned of, to the trial's own log and nowhere else.

    Lightning would write to the terminal, where a table of the whole study may stand.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # Lightning's own messages are advice to the author of the trainer
    handler.addFilter(lambda record: record.name == "bvae" or record.levelno > logging.INFO)
    names = ("bvae", "pytorch_lightning", "lightning_fabric", "py.warnings")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = [handler]
    log.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers = handlers
        handler.close()
