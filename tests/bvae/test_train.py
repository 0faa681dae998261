"""Trials for real, on the CPU: small, but through Lightning, disk and all."""

import csv
import gc
import math
import re
import shutil
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

import bvae
from bvae import checks, config, evaluate, tracking, train
from bvae import weights as weights_module
from bvae.assignment import Assignment
from bvae.codes import Codes
from bvae.data import holdout
from bvae.data.datamodule import ImageBatches
from bvae.data.datasets import open_dataset
from bvae.exceptions import DataError
from bvae.history import History
from bvae.losses import kl_per_latent, nll
from bvae.model import BetaVAE
from bvae.pictures import media
from bvae.trial import Interrupted, Monitor, RunIdentity, TrialFolder, TrialResult
from tests.doubles.pages import MARGIN, STEP, line_of_tiles

VALUES: dict[str, Any] = {
    "beta": 4.0,
    "latent_dim": 3,
    "seed": 1,
    "study": "test",
    "runs_dir": "runs",
    "objective": "mig",
    "protocol": "fast",
    "threads": 1,
    "extend": False,
    "data": {"name": "dsprites32", "path": None, "score_every": [1, 3, 8, 4, 4]},
    "model": {"name": "mlp"},
    "optimizer": {"name": "adam", "lr": 1e-3},
    "trainer": {
        "max_steps": 12,
        "batch_size": 16,
        "accelerator": "cpu",
        "precision": "32-true",
        "log_every_n_steps": 3,
        "val_every_n_steps": 6,
    },
    "checkpoint": {"keep": "last", "interval_s": 1000.0},
    "tracker": {"name": "none", "mode": "offline", "project": "test"},
}

Assign = Callable[..., Assignment]


@pytest.fixture
def assign(tmp_path: Path) -> Assign:
    """Make assignments in a folder of the test's own; keywords override nested values."""

    def assign(
        name: str = "trial", *, monitor: Monitor | None = None, **values: object
    ) -> Assignment:
        changed = {
            key: VALUES.get(key, {}) | value if isinstance(value, dict) else value
            for key, value in values.items()
        }
        return Assignment(
            config=config.parse(VALUES | changed),
            folder=TrialFolder(tmp_path / name),
            point={"beta": 4, "latent_dim": 3, "seed": 1},
            attempt=1,
            identity=RunIdentity(study="test", run_id=f"id-{name}", name=name, tags=()),
            tracker_folder=tmp_path,
            monitor=monitor or Monitor(),
        )

    return assign


def stop_at(step: int) -> Monitor:
    """Return a monitor that asks to stop once a step is reached."""
    reached = [0]
    return Monitor(stopping=lambda: reached[-1] >= step, at=lambda now, _: reached.append(now))


def trained_with_forgetting(task: Assignment, *, at: int) -> dict[str, torch.Tensor]:
    """Return the weights of a training whose Adam was replaced by a new one at a step."""
    model = train.build_model(task.config, (1, 32, 32), n_images=184_320)
    batches = ImageBatches(open_dataset("dsprites32"), batch_size=16, seed=task.config.seed)
    for step in range(task.config.trainer.max_steps):
        if step in (0, at):
            optimizer = torch.optim.Adam(
                model.parameters(), lr=task.config.optimizer["lr"], fused=True
            )
        optimizer.zero_grad()
        x = batches.batch(step)
        logits, mu, logvar, _ = model(x)
        kl = kl_per_latent(mu, logvar).mean(0).sum()
        (nll(logits, x, variance=None).mean() + 4.0 * kl).backward()
        optimizer.step()
    return model.state_dict()


def weights(folder: TrialFolder) -> dict[str, torch.Tensor]:
    """Return the kept weights."""
    loaded: dict[str, torch.Tensor] = torch.load(
        folder.checkpoints / "last.ckpt", weights_only=True
    )["state_dict"]
    return loaded


def assert_drawn_by_kept_model(task: Assignment) -> None:
    """Compare codes, the first line of reconstructions and the traversal with the weights."""
    model, codes = bvae.load(task.folder.root), Codes.read(task.folder.codes)
    dataset = open_dataset("dsprites32")
    again = evaluate.encode(model, dataset, rows=codes.rows, labels=codes.labels)
    np.testing.assert_array_equal(again.mu, codes.mu)
    chosen = np.linspace(0, len(codes.rows) - 1, 24, dtype=np.int64)[:8]
    pairs = media.reconstruct(model, dataset, codes, chosen)
    for row, expected in enumerate(pairs):
        path = task.folder.media.reconstructions
        found = line_of_tiles(path, y=MARGIN + row * STEP, number=8)
        np.testing.assert_allclose(found, expected[:, 0], atol=0.5 / 255 + 1e-6)
    frames = media.traverse(model, codes.mu[len(codes.mu) // 2])
    for row, latent in enumerate(np.argsort(-codes.kl_nats)):
        path = task.folder.media.traversal
        found = line_of_tiles(path, y=MARGIN + row * STEP, number=11)
        np.testing.assert_allclose(found, frames[latent, :, 0], atol=0.5 / 255 + 1e-6)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Assignment, TrialResult]:
    """A complete trial and its result."""
    folder = tmp_path_factory.mktemp("done")
    task = Assignment(
        config=config.parse(VALUES),
        folder=TrialFolder(folder / "trial"),
        point={"beta": 4, "latent_dim": 3, "seed": 1},
        attempt=1,
        identity=RunIdentity(study="test", run_id="done", name="done", tags=()),
        tracker_folder=folder,
    )
    return task, train.run_trial(task)


class TestCompleteTrial:
    def test_result_says_what_was_done(self, done: tuple[Assignment, TrialResult]) -> None:
        """The result holds state, scores, losses in nats, KL of each latent and images seen."""
        _, result = done

        assert ("complete", None, 12 * 16) == (result.state, result.error, result.images_seen)
        assert result.beta_norm == pytest.approx(4 * 3 / 1024)
        assert {"mig", "beta_vae", "mig_sampled", "mig_active"} <= set(result.scores)
        assert result.losses["kl"] == pytest.approx(sum(result.kl_per_latent), rel=1e-4)
        assert result.losses["loss"] == pytest.approx(
            result.losses["recon"] + 4 * result.losses["kl"]
        )
        assert ("3x2x5x4x4", "fast") == (result.scoring["lattice"], result.scoring["protocol"])

    def test_late_change(self, done: tuple[Assignment, TrialResult]) -> None:
        """The result says how much the loss still changed, as its history has it."""
        task, result = done
        with task.folder.history.open() as file:
            validations = [row for row in csv.DictReader(file) if row["val/loss"]]
        (s1, before), (s2, after) = (
            (int(x["step"]), float(x["val/loss"])) for x in validations[-2:]
        )
        at_nine_tenths = before + (after - before) * (0.9 * s2 - s1) / (s2 - s1)

        assert s1 <= 0.9 * s2 < s2 == result.steps
        assert result.loss_change == pytest.approx(after / at_nine_tenths - 1, abs=1e-6)

    def test_result_survives_json(
        self, done: tuple[Assignment, TrialResult], tmp_path: Path
    ) -> None:
        """The record reads back as it was written."""
        _, result = done
        result.write(tmp_path / "result.json")

        assert result == TrialResult.read(tmp_path / "result.json")

    def test_history_has_the_rows_asked_for(self, done: tuple[Assignment, TrialResult]) -> None:
        """Losses every 3 steps; KL, validation losses and MIG every 6."""
        task, _ = done
        with task.folder.history.open() as file:
            rows = list(csv.DictReader(file))

        assert ["3", "6", "9", "12"] == [row["step"] for row in rows]
        assert ["", "x", "", "x"] == ["x" if row["scores/mig"] else "" for row in rows]
        assert all(float(row["train/loss"]) > 0 for row in rows)

    def test_codes_cover_the_scored_lattice(self, done: tuple[Assignment, TrialResult]) -> None:
        """The stored table has a row per combination of the scored lattice."""
        task, _ = done
        codes = Codes.read(task.folder.codes)

        assert (3 * 2 * 5 * 4 * 4, 3) == codes.mu.shape

    def test_pictures_are_of_the_trained_model(self, done: tuple[Assignment, TrialResult]) -> None:
        """Reconstructions and traversal are what the kept model draws; an animation, too."""
        task, _ = done

        assert_drawn_by_kept_model(task)
        with Image.open(task.folder.media.traversal_gif) as animation:
            assert 20 == getattr(animation, "n_frames", 1)

    def test_model_can_be_loaded(self, done: tuple[Assignment, TrialResult]) -> None:
        """`bvae.load` gives the trained model: it encodes as the stored codes say."""
        task, _ = done
        model = bvae.load(task.folder.root)
        codes = Codes.read(task.folder.codes)
        images = open_dataset("dsprites32").store.images(codes.rows[:8])
        with torch.no_grad():
            mu, _ = model.encode(torch.from_numpy(images).float())

        np.testing.assert_allclose(codes.mu[:8], mu.numpy(), atol=2e-3)

    def test_only_weights_are_kept(self, done: tuple[Assignment, TrialResult]) -> None:
        """The kept checkpoint is as large as the weights: it has no moments of the optimiser."""
        task, _ = done
        kept = torch.load(task.folder.last, weights_only=True)
        size = sum(value.numel() * value.element_size() for value in kept["state_dict"].values())

        assert [{}] == [state["state"] for state in kept["optimizer_states"]]
        assert task.folder.last.stat().st_size < size + 50_000

    def test_log_tells_how_it_went(self, done: tuple[Assignment, TrialResult]) -> None:
        """Each validation, and none of Lightning's advice."""
        task, _ = done
        said = task.folder.log.read_text()

        assert re.search(r"INFO bvae: step 12 of 12: .*val/loss \d+.*, scores/mig 0?\.?\d+", said)
        assert "Tip" not in said
        assert "GPU available" not in said


class TestReproducibility:
    def test_same_seed_same_numbers(
        self, done: tuple[Assignment, TrialResult], assign: Assign
    ) -> None:
        """Two trials of one configuration end with the same weights and scores, bit for bit."""
        first, expected = done
        second = assign()
        found = train.run_trial(second)

        assert (expected.scores, expected.losses) == (found.scores, found.losses)
        for name, value in weights(first.folder).items():
            assert torch.equal(value, weights(second.folder)[name])

    def test_other_seed_other_numbers(
        self, done: tuple[Assignment, TrialResult], assign: Assign
    ) -> None:
        """Another seed is another training."""
        assert done[1].losses != train.run_trial(assign(seed=2)).losses

    def test_resumed_trial_ends_like_an_uninterrupted_one(
        self, done: tuple[Assignment, TrialResult], assign: Assign
    ) -> None:
        """Interrupted in mid-epoch and resumed: same weights, result and history, bit for bit."""
        whole, expected = done
        parts = assign(monitor=stop_at(7))
        with pytest.raises(Interrupted, match="step 9 of 12"):
            train.run_trial(parts)
        assert parts.folder.resume.exists()
        resumed = train.run_trial(replace(parts, monitor=Monitor()))

        assert (expected.scores, expected.losses) == (resumed.scores, resumed.losses)
        assert expected.kl_per_latent == resumed.kl_per_latent
        assert whole.folder.history.read_bytes() == parts.folder.history.read_bytes()
        assert "resumed from step 9 of 12" in parts.folder.log.read_text()
        assert "resumed from" not in whole.folder.log.read_text()
        for name, value in weights(whole.folder).items():
            assert torch.equal(value, weights(parts.folder)[name])

    @pytest.mark.parametrize(
        ("loss", "part", "last"),
        [
            ({"_target_": "bvae.losses.FactorVAELoss", "discriminator_width": 16}, "tc", None),
            (
                {"_target_": "bvae.losses.AnnealedVAELoss", "c_max": 6.0, "c_steps": 24},
                "capacity",
                3.0,
            ),
        ],
        ids=["factor_vae", "annealed_vae"],
    )
    def test_resumed_trial_of_another_loss(
        self,
        assign: Assign,
        loss: dict[str, Any],
        part: str,
        last: float | None,
    ) -> None:
        """Its state is resumed too; its parts are in the history and, at the end, in the result."""
        whole, parts = assign("whole", loss=loss), assign("parts", loss=loss, monitor=stop_at(7))
        expected = train.run_trial(whole)
        with pytest.raises(Interrupted, match="step 9 of 12"):
            train.run_trial(parts)
        resumed = train.run_trial(replace(parts, monitor=Monitor()))

        assert (expected.scores, expected.losses) == (resumed.scores, resumed.losses)
        assert whole.folder.history.read_bytes() == parts.folder.history.read_bytes()
        row = History(whole.folder.history, []).rows()[-1]
        assert float(row[f"val/{part}"]) == pytest.approx(expected.losses[part], rel=0.5, abs=0.1)
        assert row[f"train/{part}"]
        assert last in (None, expected.losses[part])
        for name, value in weights(whole.folder).items():
            assert torch.equal(value, weights(parts.folder)[name])

    def test_a_second_batch_is_as_large_as_the_first(
        self, assign: Assign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a loss that needs one, a step takes 2B images, and B of them count as seen."""
        loss = {"_target_": "bvae.losses.FactorVAELoss", "discriminator_width": 16}
        batch, taken = ImageBatches.batch, []

        def spy(self: ImageBatches, step: int) -> torch.Tensor:
            taken.append(len(batch(self, step)))
            return batch(self, step)

        monkeypatch.setattr(ImageBatches, "batch", spy)
        result = train.run_trial(assign(loss=loss, trainer={"max_steps": 1}))

        assert {32} == set(taken)
        assert 16 == result.images_seen

    def test_checkpoint_from_before_there_were_losses(self, assign: Assign) -> None:
        """It has no loss and no number of images, and is of the β-VAE: it is resumed."""
        task = assign(monitor=stop_at(7))
        with pytest.raises(Interrupted):
            train.run_trial(task)
        older = torch.load(task.folder.resume, weights_only=True)
        for key in ("loss", "n_images", "encoder", "decoder"):
            del older["hyper_parameters"][key]
        torch.save(older, task.folder.resume)
        train.run_trial(replace(task, monitor=Monitor()))

        assert "resumed from step 9 of 12" in task.folder.log.read_text()

    def test_trial_killed_after_training_is_not_trained_again(
        self, done: tuple[Assignment, TrialResult], assign: Assign
    ) -> None:
        """Where only the result is missing, the next attempt finds it from the kept model."""
        trained, expected = done
        task = assign()
        shutil.copytree(trained.folder.root, task.folder.root)
        again = train.run_trial(task)

        assert (expected.scores, expected.losses) == (again.scores, again.losses)
        assert (12, []) == (again.steps, again.continued_from)

    def test_damaged_checkpoint_means_starting_again(self, assign: Assign) -> None:
        """A checkpoint that cannot be read is dropped, said so, and the trial starts anew."""
        task = assign()
        task.folder.checkpoints.mkdir(parents=True)
        task.folder.resume.write_bytes(b"PK\x03\x04 torn")
        result = train.run_trial(task)

        assert "complete" == result.state
        assert "starting again" in task.folder.log.read_text()

    def test_checkpoint_of_another_model_is_not_used(self, assign: Assign) -> None:
        """A checkpoint left by another configuration is not resumed."""
        with pytest.raises(Interrupted, match=r"at step \d+ of 12"):
            train.run_trial(assign(monitor=stop_at(7)))
        other = assign(latent_dim=2)

        assert "complete" == train.run_trial(other).state
        assert "is of another model" in other.folder.log.read_text()


class TestContinue:
    def test_continued_is_as_if_only_the_moments_were_lost(
        self, done: tuple[Assignment, TrialResult], assign: Assign
    ) -> None:
        """12 steps, then 12 more: batches and noise continue, and only Adam begins anew."""
        long, parts = assign("long", trainer={"max_steps": 24}), assign("parts")
        shutil.copytree(done[0].folder.root, parts.folder.root)
        extended = train.run_trial(replace(parts, config=long.config))

        assert ("complete", 24, [12]) == (extended.state, extended.steps, extended.continued_from)
        assert 24 * 16 == extended.images_seen
        for name, value in trained_with_forgetting(long, at=12).items():
            assert torch.equal(value, weights(parts.folder)[name])

    @pytest.mark.slow
    def test_interruption_of_a_continued_trial_changes_nothing(self, assign: Assign) -> None:
        """A continued trial that is interrupted ends like one that is not, and says the same."""
        longer = assign(trainer={"max_steps": 24}).config
        whole, parts = assign("whole"), assign("parts")
        for task in (whole, parts):
            train.run_trial(task)
        expected = train.run_trial(replace(whole, config=longer))
        with pytest.raises(Interrupted, match="step 18 of 24"):
            train.run_trial(replace(parts, config=longer, monitor=stop_at(16)))
        resumed = train.run_trial(replace(parts, config=longer))

        assert expected.scores == resumed.scores
        assert [12] == expected.continued_from == resumed.continued_from
        assert whole.folder.history.read_bytes() == parts.folder.history.read_bytes()


def test_a_pruned_trial_ends_pruned(assign: Assign) -> None:
    """Told so at step 6 of 12, it ends there without scores, and it is no failure."""
    judged: list[tuple[int, float]] = []

    def should_prune(step: int, score: float) -> bool:
        judged.append((step, score))
        return True

    task = assign(monitor=Monitor(should_prune=should_prune))
    result = train.run_trial(task)

    assert ("pruned", None, 6, 6 * 16) == (
        result.state,
        result.error,
        result.steps,
        result.images_seen,
    )
    assert ({}, {}) == (result.scores, result.losses)
    assert [6] == [step for step, _ in judged]
    assert "6" == History(task.folder.history, []).rows()[-1]["step"]


class TestDevices:
    def test_after_training_the_model_is_back_on_its_device(
        self, assign: Assign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Lightning leaves it on the CPU; it is saved, with the noise, and encodes where it was."""
        events: list[str] = []

        def noted(owner: object, name: str) -> None:
            method = getattr(owner, name)

            def call(*arguments: Any, **options: Any) -> Any:
                events.append(name)
                return method(*arguments, **options)

            monkeypatch.setattr(owner, name, call)

        for owner, name in (
            (BetaVAE, "cpu"),
            (BetaVAE, "to"),
            (weights_module, "save"),
            (train.evaluate, "encode"),
        ):
            noted(owner, name)
        train.run_trial(assign(trainer={"max_steps": 2}))
        after = len(events) - events[::-1].index("cpu")

        assert ["to", "save", "encode"] == events[after : after + 3]

    @pytest.mark.filterwarnings("ignore:.*AMP with fp16 is not supported on CPU")
    def test_precision_is_the_one_trained_in(self, assign: Assign) -> None:
        """Lightning trains in bfloat16 where a CPU is asked for float16, and the result says so."""
        result = train.run_trial(assign(trainer={"precision": "16-mixed", "max_steps": 1}))

        assert ("complete", "bf16-mixed") == (result.state, result.precision)


def test_nothing_is_left_of_a_trial(assign: Assign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Model and data are freed at its end, though they and Lightning's trainer hold each other."""
    made: list[weakref.ref[Any]] = []

    def watched(owner: object, name: str) -> None:
        make = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            found = make(*arguments, **named)
            made.append(weakref.ref(found))
            return found

        monkeypatch.setattr(owner, name, call)

    watched(train, "build_model")
    watched(train.checks, "prepare")
    gc.disable()
    try:
        train.run_trial(assign(trainer={"max_steps": 2}))
        left = [reference() for reference in made]
    finally:
        gc.enable()

    assert [None, None] == left


class TestFailure:
    def test_diverging_loss_is_a_failed_result(self, assign: Assign) -> None:
        """A loss that becomes NaN ends the trial as failed, and names the step."""
        result = train.run_trial(assign(optimizer={"lr": 1e6}))

        assert "failed" == result.state
        assert result.error is not None
        assert result.error.startswith("NonFiniteLossError: expected a finite training loss, got")
        assert " at step " in result.error

    def test_any_exception_is_a_failed_result(
        self, assign: Assign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever a trial raises is recorded with type, message and traceback."""

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("no such luck")

        monkeypatch.setattr(train, "score", broken)
        result = train.run_trial(assign())

        assert result.error is not None
        assert "ZeroDivisionError: no such luck" == result.error.splitlines()[0]
        assert "Traceback" in result.error
        assert {} == result.scores

    def test_lost_tracker_fails_nothing(
        self, assign: Assign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A tracker that gives up is said in the result; the trial is complete."""

        def lossy(*_: object, **__: object) -> tracking.Tracker:
            return tracking.Tracker(lost="ConnectionResetError: service died")

        monkeypatch.setattr(tracking, "start", lossy)
        result = train.run_trial(assign())

        assert ("complete", "ConnectionResetError: service died") == (result.state, result.tracking)


class TestCheckpoints:
    def test_none_are_kept_when_none_are_wanted(self, assign: Assign) -> None:
        """checkpoint.keep=none leaves no weights, and loading says what to do."""
        task = assign(checkpoint={"keep": "none"})
        train.run_trial(task)

        with pytest.raises(DataError, match=r"checkpoint\.keep=last or best"):
            bvae.load(task.folder.root)

    def test_best_is_of_the_best_validation_score(
        self, assign: Assign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """checkpoint.keep=best keeps, scores and draws the weights of the step of the best MIG."""
        found = iter([0.5, 0.9, 0.7, 0.1])
        monkeypatch.setattr(
            train.evaluate.Validation, "run", lambda *_: {"scores/mig": next(found)}
        )
        task = assign(checkpoint={"keep": "best"}, trainer={"val_every_n_steps": 3})
        result = train.run_trial(task)
        kept = torch.load(task.folder.checkpoints / "best.ckpt", weights_only=True)

        assert 6 == kept["global_step"] == result.scored_step
        assert (12, 12 * 16) == (result.steps, result.images_seen)
        assert_drawn_by_kept_model(task)

    @pytest.mark.parametrize(
        ("before", "keep", "left"),
        [("best", "last", ["last.ckpt"]), ("last", "best", ["best.ckpt"]), ("last", "none", [])],
    )
    def test_weights_of_an_earlier_attempt_are_removed(
        self, assign: Assign, before: str, keep: str, left: list[str]
    ) -> None:
        """A trial begun with another checkpoint.keep ends with the weights that were scored."""
        steps = {"max_steps": 2, "val_every_n_steps": 1}
        train.run_trial(assign(checkpoint={"keep": before}, trainer=steps))
        task = assign(checkpoint={"keep": keep}, trainer=steps)
        result = train.run_trial(task)

        assert ("complete", 2) == (result.state, result.scored_step)
        assert left == [path.name for path in task.folder.checkpoints.iterdir()]
        if left:
            assert_drawn_by_kept_model(task)

    def test_state_is_saved_now_and_then(self, assign: Assign) -> None:
        """The training state is saved while training, so that a kill costs little."""
        task = assign(checkpoint={"interval_s": 1e-9})
        train.run_trial(task)
        saved = torch.load(task.folder.resume, weights_only=True)

        assert 10 == saved["global_step"]


@pytest.mark.parametrize(
    ("network", "optimizer", "lr"), [("conv", "adam", 1e-4), ("higgins", "adagrad", 1e-2)]
)
def test_other_networks_train_too(assign: Assign, network: str, optimizer: str, lr: float) -> None:
    """Each network gets through a trial with the optimiser of its paper."""
    task = assign(
        model={"name": network},
        optimizer={"name": optimizer, "lr": lr},
        trainer={"max_steps": 2},
    )

    assert "complete" == train.run_trial(task).state


class TestOwnImages:
    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        """A folder with twenty colourful images and a file that is none."""
        folder = tmp_path / "images"
        folder.mkdir()
        for i, colour in enumerate(np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3))):
            Image.fromarray(colour.astype(np.uint8)).resize((40, 32)).save(folder / f"{i:02d}.png")
        (folder / "99.png").write_text("no image")
        return folder

    def test_from_a_folder_to_a_result(self, assign: Assign, images: Path) -> None:
        """No scores, but losses, KL and pictures in colour; the result says what it was made of."""
        data = {"name": "folder", "path": str(images), "score_every": None, "resolution": 32}
        gaussian = {"channels": 3, "likelihood": "gaussian", "variance": 0.1}
        task = assign(objective=None, data=data | gaussian)

        result = train.run_trial(task)

        assert ("complete", None, {}) == (result.state, result.error, dict(result.scores))
        assert 3 == len(result.kl_per_latent)
        assert result.latent_factor_map is None
        known = {"name": "folder", "images": 20, "skipped": 1, "image_shape": [3, 32, 32]}
        assert known | {"likelihood": "gaussian", "variance": 0.1} == {
            key: value for key, value in result.data.items() if key not in ("content", "held_out")
        }
        assert (0, {}) == (result.data["held_out"]["images"], result.recon_excess)
        assert 64 == len(result.data["content"])
        with task.folder.history.open() as file:
            (s1, l1), (s2, l2) = (
                (int(row["step"]), float(row["val/loss"]))
                for row in csv.DictReader(file)
                if row["val/loss"]
            )
        before = l1 + (l2 - l1) * (0.9 * s2 - s1) / (s2 - s1)
        constant = 0.5 * 3 * 32 * 32 * math.log(2 * math.pi * 0.1)
        assert result.loss_change == pytest.approx((l2 - before) / (before - constant), rel=1e-4)
        assert result.beta_norm == pytest.approx(4 * 3 / (3 * 32 * 32))
        with Image.open(task.folder.media.reconstructions) as picture:
            assert "RGB" == picture.mode
        assert 0.1 == bvae.load(task.folder.root).variance


class TestHeldOut:
    @pytest.fixture
    def share(self) -> dict[str, Any]:
        """A tenth of the data, which are scored on every image as ever."""
        return {"data": {"holdout": 0.1}}

    def test_what_is_seen_and_said(self, assign: Assign, share: dict[str, Any]) -> None:
        """No step sees an image held out; history and result tell how those are reconstructed."""
        task = assign(**share)
        held_out = checks.prepare(task.config).held_out
        seen: list[np.ndarray] = []

        class Seeing(ImageBatches):
            def batch(self, step: int) -> torch.Tensor:
                seen.append(self.batch_indices(step))
                return super().batch(step)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "ImageBatches", Seeing)
            result = train.run_trial(task)

        assert "complete" == result.state, result.error
        assert 12 * 16 <= len(np.concatenate(seen))
        assert not set(np.concatenate(seen).tolist()) & set(held_out.tolist())
        assert len(held_out) == result.data["held_out"]["images"] == pytest.approx(18432, rel=0.02)
        assert result.data["held_out"] == holdout.record(held_out)
        model, dataset = bvae.load(task.folder.root), checks.prepare(task.config)
        assert evaluate.recon_excess(model, dataset) == result.recon_excess
        with task.folder.history.open() as file:
            *_, last = csv.DictReader(file)
        validated = evaluate.Validation.of(dataset, task.config.data.score_every).run(model)
        assert float(last["val/recon"]) == pytest.approx(validated["val/recon"], rel=1e-6)
        assert 3 * 2 * 5 * 4 * 4 == len(Codes.read(task.folder.codes).mu)

    def test_a_resumed_trial_ends_like_an_uninterrupted_one(
        self, assign: Assign, share: dict[str, Any]
    ) -> None:
        """Same weights, result and history, bit for bit."""
        whole, parts = assign("whole", **share), assign("parts", monitor=stop_at(7), **share)
        expected = train.run_trial(whole)
        with pytest.raises(Interrupted, match="step 9 of 12"):
            train.run_trial(parts)
        resumed = train.run_trial(replace(parts, monitor=Monitor()))

        assert (expected.scores, expected.losses) == (resumed.scores, resumed.losses)
        assert (expected.data, expected.recon_excess) == (resumed.data, resumed.recon_excess)
        assert whole.folder.history.read_bytes() == parts.folder.history.read_bytes()
        for name, value in weights(whole.folder).items():
            assert torch.equal(value, weights(parts.folder)[name])

    def test_without_a_share_nothing_changes(
        self, done: tuple[Assignment, TrialResult], assign: Assign, share: dict[str, Any]
    ) -> None:
        """The share is what makes the difference."""
        whole, expected = done
        same = assign("same", data={"holdout": 0.0})
        other = assign("other", **share)
        for task in (same, other):
            train.run_trial(task)

        assert whole.folder.history.read_bytes() == same.folder.history.read_bytes()
        assert whole.folder.history.read_bytes() != other.folder.history.read_bytes()
        assert {} == expected.recon_excess


def test_lightning_has_the_private_names_that_are_replaced() -> None:
    """It has no public way to leave signals alone; a name that is gone would be set in vain."""
    connector = getattr(pl.Trainer(logger=False, accelerator="cpu"), "_signal_connector", None)
    assert callable(getattr(connector, "register_signal_handlers", None)), (
        "train.py replaces _signal_connector.register_signal_handlers of Lightning 2.6.6, but "
        f"{pl.__version__} lacks it; find out what handles SIGTERM there"
    )
