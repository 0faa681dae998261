"""What happens beside a training step: validation, rows of history, checkpoints, stopping."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from bvae.evaluate import Validation
from bvae.files import replace_atomically
from bvae.history import History
from bvae.model import BetaVAE
from bvae.tracking import Tracker
from bvae.trial import Monitor, TrialFolder

log = logging.getLogger("bvae")

N_QUARTERS = 4

VALIDATION_SCORE = "scores/mig"
"""The validation score: it is defined without β, so trials of different β can be compared."""


@dataclass(frozen=True)
class Schedule:
    """Every how many steps the losses are logged, and the model is validated."""

    log_every: int
    validate_every: int

    def is_due(self, every: int, trainer: pl.Trainer) -> bool:
        """Whether something done every so many steps, and at the last one, is due now."""
        return trainer.global_step % every == 0 or trainer.global_step == trainer.max_steps


class Record(pl.Callback):
    """Validates the model, and writes the history and the tracker's rows."""

    def __init__(
        self, history: History, tracker: Tracker, validation: Validation, schedule: Schedule
    ) -> None:
        self._history = history
        self._tracker = tracker
        self._validation = validation
        self._schedule = schedule
        self.validated: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the history, or continue it from the step resumed from."""
        self._history.start_at(trainer.global_step)
        if trainer.global_step > 0:
            log.info("resumed from step %d of %d", trainer.global_step, trainer.max_steps)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Add a row when one is due."""
        if not isinstance(pl_module, BetaVAE) or pl_module.latest is None:
            return
        self.validated = {}
        if self._schedule.is_due(self._schedule.validate_every, trainer):
            self.validated = self._validation.run(pl_module)
            log.info(
                "step %d of %d: %s",
                trainer.global_step,
                trainer.max_steps,
                _in_words(self.validated),
            )
        if self.validated or self._schedule.is_due(self._schedule.log_every, trainer):
            row = {f"train/{name}": part.item() for name, part in pl_module.latest.items()}
            self._history.add(trainer.global_step, row | self.validated)
            self._tracker.log(row | self.validated, step=trainer.global_step)


def _in_words(validated: Mapping[str, float]) -> str:
    """Write what a validation has found, but for the KL of each latent."""
    return ", ".join(
        f"{name} {value:.4g}" for name, value in validated.items() if not name.startswith("kl/")
    )


class Preview(pl.Callback):
    """Draws the model in training, at the first validation of each further quarter of the steps.

    Args:
        record: says at which steps the model was validated.
        draw: draws a model, and tells the tracker, at a step.
    """

    def __init__(self, record: Record, draw: Callable[[BetaVAE, int], None]) -> None:
        self._record = record
        self._draw = draw
        self._quarter = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave out the quarters that were drawn before an interruption."""
        self._quarter = self._quarter_of(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Draw if it is time; what is drawn at the end is more, and not drawn here."""
        quarter = self._quarter_of(trainer)
        if self._record.validated and self._quarter < quarter < N_QUARTERS:
            self._quarter = quarter
            if isinstance(pl_module, BetaVAE):
                self._draw(pl_module, trainer.global_step)

    def _quarter_of(self, trainer: pl.Trainer) -> int:
        return N_QUARTERS * trainer.global_step // trainer.max_steps


class Continue(pl.Callback):
    """Lets a complete trial be continued: its last state is kept but for the optimiser's moments.

    Adam's are twice the size of the weights. A trial that is continued begins them anew, so it
    does not end quite like one that was trained as long in one go; `continued_from` says so.
    """

    def __init__(self) -> None:
        self.continued_from: list[int] = []

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave the moments out of what is saved at the last step."""
        if trainer.global_step >= trainer.max_steps:
            for state in checkpoint["optimizer_states"]:
                state["state"] = {}
        checkpoint["continued_from"] = self.continued_from

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the step that training continues from without moments."""
        self.continued_from = list(checkpoint.get("continued_from", []))
        step = checkpoint["global_step"]
        has_moments = any(state["state"] for state in checkpoint["optimizer_states"])
        if not has_moments and step < trainer.max_steps:
            self.continued_from.append(step)


class Prune(pl.Callback):
    """Gives the monitor every validation score, and stops the training when it says to prune."""

    def __init__(self, record: Record, monitor: Monitor) -> None:
        self._record = record
        self._monitor = monitor
        self.is_pruned = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Ask; at the last step the answer comes too late to save anything."""
        score = self._record.validated.get(VALIDATION_SCORE)
        if score is None or not self._monitor.should_prune(trainer.global_step, score):
            return
        if trainer.global_step < trainer.max_steps:
            self.is_pruned = trainer.should_stop = True


class KeepBest(pl.Callback):
    """Keeps the weights of the step of the best validation score."""

    def __init__(self, record: Record, path: Path) -> None:
        self._record = record
        self._path = path
        self._best = float("-inf")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Save when the last validation score is the best so far."""
        value = self._record.validated.get(VALIDATION_SCORE, float("-inf"))
        if value > self._best:
            self._best = value
            save(trainer, self._path, weights_only=True)

    @property
    def state_key(self) -> str:
        """Return the name of its state in checkpoints: the name that this class had before."""
        return "Best"

    def state_dict(self) -> dict[str, float]:
        """Return what a resumed trial must know."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Restore the best so far."""
        self._best = state_dict["best"]


class Resume(pl.Callback):
    """Saves the training state every so many seconds, and before it stops when asked to."""

    def __init__(self, folder: TrialFolder, monitor: Monitor, *, interval_s: float) -> None:
        self._path = folder.resume
        self._monitor = monitor
        self._interval_s = interval_s
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Report the step; save if it is time; save and stop if asked to."""
        self._monitor.at(trainer.global_step, trainer.max_steps)
        if trainer.global_step >= trainer.max_steps:
            return
        stopping = self._monitor.stopping()
        if stopping or time.monotonic() - self._saved_at > self._interval_s:
            save(trainer, self._path, weights_only=False)
            self._saved_at = time.monotonic()
        trainer.should_stop = trainer.should_stop or stopping


def save(trainer: pl.Trainer, path: Path, *, weights_only: bool) -> None:
    """Write a checkpoint that is whole or absent."""
    replace_atomically(
        path, lambda temporary: trainer.save_checkpoint(temporary, weights_only=weights_only)
    )
