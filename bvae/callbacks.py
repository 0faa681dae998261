"""What happens beside a training step: rows of history, checkpoints, and leaving when asked to."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from bvae.evaluate import Probe
from bvae.files import replace_atomically
from bvae.history import History
from bvae.model import BetaVAE
from bvae.tracking import Tracker
from bvae.trial import Monitor, TrialFolder

log = logging.getLogger("bvae")

N_QUARTERS = 4

PROBED_SCORE = "scores/mig"
"""What a model in training is judged by: its definition knows no β."""


@dataclass(frozen=True)
class Pace:
    """Every how many steps the losses are written down, and the model is looked at."""

    log_every: int
    probe_every: int

    def is_due(self, every: int, trainer: pl.Trainer) -> bool:
        """Whether something done every so many steps, and at the last one, is due now."""
        return trainer.global_step % every == 0 or trainer.global_step == trainer.max_steps


class Record(pl.Callback):
    """Writes the history, and tells the tracker the same."""

    def __init__(self, history: History, tracker: Tracker, probe: Probe, pace: Pace) -> None:
        self._history = history
        self._tracker = tracker
        self._probe = probe
        self._pace = pace
        self.probed: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the history, or go on with it from the step resumed from."""
        self._history.start_at(trainer.global_step)
        if trainer.global_step > 0:
            log.info("going on from step %d of %d", trainer.global_step, trainer.max_steps)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Add a row when one is due."""
        if not isinstance(pl_module, BetaVAE) or pl_module.latest is None:
            return
        self.probed = {}
        if self._pace.is_due(self._pace.probe_every, trainer):
            self.probed = self._probe.look(pl_module)
            log.info(
                "step %d of %d: %s", trainer.global_step, trainer.max_steps, _seen(self.probed)
            )
        if self.probed or self._pace.is_due(self._pace.log_every, trainer):
            latest = pl_module.latest
            row = {
                f"train/{name}": getattr(latest, name).item() for name in ("loss", "recon", "kl")
            }
            self._history.add(trainer.global_step, row | self.probed)
            self._tracker.log(row | self.probed, step=trainer.global_step)


def _seen(probed: Mapping[str, float]) -> str:
    """Write what a look has found, but for the KL of each latent."""
    return ", ".join(
        f"{name} {value:.4g}" for name, value in probed.items() if not name.startswith("kl/")
    )


class Sketch(pl.Callback):
    """Draws the model on its way, at the first look of each further quarter of the training.

    Args:
        record: knows when there is a look.
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
        if self._record.probed and self._quarter < quarter < N_QUARTERS:
            self._quarter = quarter
            if isinstance(pl_module, BetaVAE):
                self._draw(pl_module, trainer.global_step)

    def _quarter_of(self, trainer: pl.Trainer) -> int:
        return N_QUARTERS * trainer.global_step // trainer.max_steps


class Extension(pl.Callback):
    """Lets a complete trial be trained on: its last state is kept but for the optimiser's moments.

    Adam's are twice the size of the weights. A trial that is trained on begins them anew, so it
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
        """Note the step that training goes on from without moments."""
        self.continued_from = list(checkpoint.get("continued_from", []))
        step = checkpoint["global_step"]
        has_moments = any(state["state"] for state in checkpoint["optimizer_states"])
        if not has_moments and step < trainer.max_steps:
            self.continued_from.append(step)


class Prune(pl.Callback):
    """Tells the monitor every score on the way, and stops the training when told to give up."""

    def __init__(self, record: Record, monitor: Monitor) -> None:
        self._record = record
        self._monitor = monitor
        self.is_hopeless = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Ask; at the last step the answer comes too late to save anything."""
        score = self._record.probed.get(PROBED_SCORE)
        if score is None or not self._monitor.hopeless(trainer.global_step, score):
            return
        if trainer.global_step < trainer.max_steps:
            self.is_hopeless = trainer.should_stop = True


class Best(pl.Callback):
    """Keeps the weights of the step at which the model looked best."""

    def __init__(self, record: Record, path: Path) -> None:
        self._record = record
        self._path = path
        self._best = float("-inf")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Save when the last look was the best so far."""
        value = self._record.probed.get(PROBED_SCORE, float("-inf"))
        if value > self._best:
            self._best = value
            save(trainer, self._path, weights_only=True)

    def state_dict(self) -> dict[str, float]:
        """Return what a resumed trial must know."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Go on with the best so far."""
        self._best = state_dict["best"]


class Resume(pl.Callback):
    """Saves the training state every so many seconds, and before leaving when asked to stop."""

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
