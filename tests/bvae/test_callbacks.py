from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bvae import callbacks
from bvae.callbacks import KeepBest, Preview, Prune, Record, Resume, Schedule
from bvae.history import History, columns
from bvae.model import BetaVAE
from bvae.trial import Monitor, TrialFolder


class Trainer(SimpleNamespace):
    """What the callbacks ask of Lightning's trainer; saves its step instead of weights."""

    def __init__(self, *, max_steps: int = 10) -> None:
        super().__init__(global_step=0, max_steps=max_steps, should_stop=False, saved=[])

    def save_checkpoint(self, path: Path, *, weights_only: bool) -> None:
        """Write the step; note what was asked for."""
        path.write_text(str(self.global_step))
        self.saved.append((self.global_step, weights_only))


class Validation(SimpleNamespace):
    """Validates the model: the score is what it is told to be at that step."""

    def run(self, model: BetaVAE) -> dict[str, float]:
        """Return the next score."""
        return {"scores/mig": self.scores.pop(0)}


def tracker() -> SimpleNamespace:
    """Return a tracker that keeps what it is told."""
    told: list[tuple[int, dict[str, float]]] = []
    return SimpleNamespace(told=told, log=lambda values, step: told.append((step, values)))


def train(trainer: Trainer, model: BetaVAE, *parts: Any, steps: range) -> None:
    """Go through steps as Lightning would."""
    for step in steps:
        trainer.global_step = step
        for part in parts:
            part.on_train_batch_end(trainer, model)
        if trainer.should_stop:
            return


@pytest.fixture
def trained(model: BetaVAE) -> BetaVAE:
    """A model that has made a step: loss 3 = recon 1 + kl 2."""
    model.latest = {
        "loss": torch.tensor(3.0),
        "recon": torch.tensor(1.0),
        "kl": torch.tensor(2.0),
    }
    return model


@pytest.fixture
def history(tmp_path: Path) -> History:
    """An empty history."""
    history = History(tmp_path / "history.csv", columns(latent_dim=3, scores=True))
    history.start_at(0)
    return history


class TestPreview:
    def drawn(
        self, history: History, model: BetaVAE, *, validate_every: int, start: int
    ) -> list[int]:
        """Train to step 40 from a step on; return the steps that were drawn."""
        steps: list[int] = []
        schedule = Schedule(log_every=100, validate_every=validate_every)
        record = Record(history, tracker(), Validation(scores=[0.1] * 40), schedule)  # type: ignore[arg-type]
        preview = Preview(record, lambda _, step: steps.append(step))
        trainer = Trainer(max_steps=40)
        trainer.global_step = start
        preview.on_train_start(trainer, model)  # type: ignore[arg-type]
        train(trainer, model, record, preview, steps=range(start + 1, 41))
        return steps

    @pytest.mark.parametrize(
        ("validate_every", "expected"),
        [(1, [10, 20, 30]), (4, [12, 20, 32]), (15, [15, 30]), (40, [])],
    )
    def test_at_the_first_validation_of_each_quarter(
        self, history: History, trained: BetaVAE, validate_every: int, expected: list[int]
    ) -> None:
        """Not at the end, where all is drawn, and never more often than it is validated."""
        assert expected == self.drawn(history, trained, validate_every=validate_every, start=0)

    def test_a_resumed_trial_draws_the_rest(self, history: History, trained: BetaVAE) -> None:
        """What was drawn before the interruption is not drawn again."""
        assert [30] == self.drawn(history, trained, validate_every=1, start=25)


class TestRecord:
    def recorded(
        self, history: History, *, schedule: Schedule, scores: list[float]
    ) -> tuple[Record, SimpleNamespace]:
        """Return a record of this schedule, and its tracker."""
        told = tracker()
        return Record(history, told, Validation(scores=scores), schedule), told  # type: ignore[arg-type]

    def test_rows_come_on_schedule_and_at_the_last_step(
        self, history: History, trained: BetaVAE
    ) -> None:
        """Losses every 4 steps, a validation every 8, both at the end."""
        record, told = self.recorded(history, schedule=Schedule(4, 8), scores=[0.1, 0.2])
        train(Trainer(max_steps=10), trained, record, steps=range(1, 11))

        rows = history.rows()
        assert ["4", "8", "10"] == [row["step"] for row in rows]
        assert ["", "0.1", "0.2"] == [row["scores/mig"] for row in rows]
        assert {("3", "1", "2")} == {
            (row["train/loss"], row["train/recon"], row["train/kl"]) for row in rows
        }
        assert [4, 8, 10] == [step for step, _ in told.told]

    def test_the_tracker_is_told_the_same(self, history: History, trained: BetaVAE) -> None:
        """What is in the history is what a dashboard shows."""
        record, told = self.recorded(history, schedule=Schedule(100, 5), scores=[0.1, 0.2])
        train(Trainer(), trained, record, steps=range(1, 6))

        ((step, values),) = told.told
        (row,) = history.rows()
        assert (step, values) == (5, {name: float(row[name]) for name in values})

    def test_every_part_of_a_loss_is_written(self, history: History, trained: BetaVAE) -> None:
        """A loss that adds a part has a column more."""
        record, _ = self.recorded(history, schedule=Schedule(1, 100), scores=[])
        trained.latest = {**(trained.latest or {}), "tc": torch.tensor(0.5)}
        train(Trainer(), trained, record, steps=range(1, 3))

        assert ["0.5", "0.5"] == [row["train/tc"] for row in history.rows()]

    def test_a_model_without_a_step_has_no_row(self, history: History, model: BetaVAE) -> None:
        """Nothing is written of losses that are not there."""
        record, _ = self.recorded(history, schedule=Schedule(1, 1), scores=[])
        train(Trainer(), model, record, steps=range(1, 3))

        assert [] == history.rows()

    def test_a_resumed_trial_continues_its_history(
        self, history: History, trained: BetaVAE
    ) -> None:
        """Rows after the step resumed from belong to an attempt that is no more."""
        record, _ = self.recorded(history, schedule=Schedule(1, 100), scores=[0.5])
        train(Trainer(), trained, record, steps=range(1, 8))

        trainer = Trainer()
        trainer.global_step = 5
        record.on_train_start(trainer, trained)  # type: ignore[arg-type]
        train(trainer, trained, record, steps=range(6, 8))

        assert ["1", "2", "3", "4", "5", "6", "7"] == [row["step"] for row in history.rows()]


class TestKeepBest:
    def test_weights_of_the_best_validation_are_kept(
        self, tmp_path: Path, history: History, model: BetaVAE
    ) -> None:
        """A later score that is worse, or as good, changes nothing."""
        record = SimpleNamespace(validated={})
        best = KeepBest(record, tmp_path / "best.ckpt")  # type: ignore[arg-type]
        trainer = Trainer()
        for step, score in enumerate([0.1, 0.3, 0.2, 0.3], start=1):
            record.validated = {"scores/mig": score}
            train(trainer, model, best, steps=range(step, step + 1))

        assert "2" == (tmp_path / "best.ckpt").read_text()
        assert [(1, True), (2, True)] == trainer.saved

    def test_a_resumed_trial_restores_the_best_so_far(self, tmp_path: Path, model: BetaVAE) -> None:
        """The weights of a better step before the interruption stay."""
        record = SimpleNamespace(validated={"scores/mig": 0.2})
        best = KeepBest(record, tmp_path / "best.ckpt")  # type: ignore[arg-type]
        best.load_state_dict({"best": 0.25})
        trainer = Trainer()
        train(trainer, model, best, steps=range(1, 2))

        assert [] == trainer.saved
        assert {"best": 0.25} == best.state_dict()

    def test_its_state_has_the_name_it_always_had(self, tmp_path: Path) -> None:
        """Lightning finds it by this key in the checkpoint of a trial that was interrupted."""
        best = KeepBest(SimpleNamespace(validated={}), tmp_path)  # type: ignore[arg-type]

        assert "Best" == best.state_key


class TestPrune:
    @pytest.mark.parametrize(
        ("max_steps", "stops_at"), [(10, 3), (3, None)], ids=["on the way", "at the last step"]
    )
    def test_a_pruned_training_ends(
        self, model: BetaVAE, max_steps: int, stops_at: int | None
    ) -> None:
        """Every score is reported; at the last step no training is left to save."""
        told: list[tuple[int, float]] = []

        def should_prune(step: int, score: float) -> bool:
            told.append((step, score))
            return step == 3

        record = SimpleNamespace(validated={"scores/mig": 0.25})
        prune = Prune(record, Monitor(should_prune=should_prune))  # type: ignore[arg-type]
        trainer = Trainer(max_steps=max_steps)
        train(trainer, model, prune, steps=range(1, max_steps + 1))

        assert [(1, 0.25), (2, 0.25), (3, 0.25)] == told
        assert (stops_at is not None) == prune.is_pruned == trainer.should_stop

    def test_a_step_without_a_score_says_nothing(self, model: BetaVAE) -> None:
        """Data without factors has no score on the way."""
        monitor = Monitor(should_prune=lambda step, score: True)
        prune = Prune(SimpleNamespace(validated={"val/loss": 3.0}), monitor)  # type: ignore[arg-type]
        train(Trainer(), model, prune, steps=range(1, 11))

        assert not prune.is_pruned


class TestResume:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """A clock that is set by hand."""
        now = SimpleNamespace(seconds=0.0)
        monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: now.seconds))
        return lambda seconds: setattr(now, "seconds", seconds)

    def test_the_state_is_saved_every_so_many_seconds(
        self, tmp_path: Path, model: BetaVAE, clock: Callable[[float], None]
    ) -> None:
        """A kill costs no more than the interval."""
        folder, trainer = TrialFolder(tmp_path), Trainer()
        resume = Resume(folder, Monitor(), interval_s=30)
        for step, seconds in enumerate([10, 31, 40, 60, 62], start=1):
            clock(seconds)
            train(trainer, model, resume, steps=range(step, step + 1))

        assert [(2, False), (5, False)] == trainer.saved
        assert "5" == folder.resume.read_text()

    def test_asked_to_stop_it_saves_and_stops(self, tmp_path: Path, model: BetaVAE) -> None:
        """The step just done is in the checkpoint."""
        seen: list[tuple[int, int]] = []
        monitor = Monitor(
            stopping=lambda: len(seen) == 3, at=lambda step, total: seen.append((step, total))
        )
        folder, trainer = TrialFolder(tmp_path), Trainer()
        train(trainer, model, Resume(folder, monitor, interval_s=30), steps=range(1, 11))

        assert [(1, 10), (2, 10), (3, 10)] == seen
        assert trainer.should_stop
        assert "3" == folder.resume.read_text()

    def test_at_the_last_step_it_is_too_late_to_stop(self, tmp_path: Path, model: BetaVAE) -> None:
        """A trial that is done is scored, whoever asks it to stop."""
        trainer = Trainer(max_steps=4)
        resume = Resume(TrialFolder(tmp_path), Monitor(stopping=lambda: True), interval_s=30)
        train(trainer, model, resume, steps=range(4, 5))

        assert not trainer.should_stop
        assert [] == trainer.saved


def test_a_checkpoint_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that fails half-way leaves the old one."""
    path = tmp_path / "resume.ckpt"
    path.write_text("old")

    class Full(Trainer):
        def save_checkpoint(self, path: Path, *, weights_only: bool) -> None:
            path.write_text("ha")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        callbacks.save(Full(), path, weights_only=False)  # type: ignore[arg-type]

    assert "old" == path.read_text()
    assert [path] == list(tmp_path.iterdir())
