"""Image i of the data set of these tests holds the number i in its 16 pixels."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from bvae.data.datamodule import ImageBatches
from bvae.data.datasets import ImageDataset
from bvae.data.store import BYTES, ImageStore
from bvae.exceptions import ConfigError

N, BATCH = 50, 8


def numbered(number: int = N) -> ImageDataset:
    """A data set without factors."""
    packed = np.arange(number, dtype=">u2").view(np.uint8).reshape(number, 2)
    return ImageDataset("numbered", ImageStore(packed, (1, 4, 4)), None)


def numbers(images: torch.Tensor) -> list[float]:
    """The numbers that images [b, 1, 4, 4] hold."""
    return (images.reshape(-1, 16).double() @ 2.0 ** torch.arange(15, -1, -1).double()).tolist()


class Recorder(pl.LightningModule):
    """The smallest model that trains; it writes down the numbers of the images it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(16, 1)
        self.seen: list[list[float]] = []

    def training_step(self, batches: list[torch.Tensor]) -> torch.Tensor:
        """One step on the one batch of images [b, 1, 4, 4]."""
        (images,) = batches
        self.seen.append(numbers(images))
        return self.layer(images.flatten(1)).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=0.01)


class SaveAtSeven(pl.Callback):
    """Writes a checkpoint in the middle of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """After the seventh step."""
        if trainer.global_step == 7:
            trainer.save_checkpoint(self.path)


def fit(
    *, max_steps: int, checkpoint: Path | None = None, callbacks: list[pl.Callback] | None = None
) -> tuple[pl.Trainer, list[list[float]]]:
    """Trains for max_steps in all; returns the trainer and the numbers seen at each step."""
    trainer = pl.Trainer(
        max_steps=max_steps,
        accelerator="cpu",
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
    )
    model = Recorder()
    batches = ImageBatches(numbered(), batch_size=BATCH, seed=3)
    trainer.fit(model, datamodule=batches, ckpt_path=checkpoint)
    return trainer, model.seen


def test_a_batch_is_the_images_of_its_rows() -> None:
    """A batch holds 0.0 and 1.0, of the rows that are said to be in it, in that order."""
    batches = ImageBatches(numbered(), batch_size=BATCH, seed=0)
    images = batches.batch(4)
    assert images.dtype == torch.float32
    assert images.shape == (BATCH, 1, 4, 4)
    assert set(images.unique().tolist()) == {0.0, 1.0}
    assert numbers(images) == batches.batch_indices(4).tolist()


def test_bytes_become_shares_of_white() -> None:
    """Images of bytes come as 0 to 1, their colours as they are."""
    rows = np.array([[0, 51, 255, 102] * 3], np.uint8)
    batches = ImageBatches(
        ImageDataset("bytes", ImageStore(rows, (3, 2, 2), BYTES), None), batch_size=1, seed=0
    )
    expected = torch.tensor([0, 0.2, 1, 0.4] * 3).reshape(1, 3, 2, 2)
    torch.testing.assert_close(batches.batch(0), expected)


@pytest.mark.parametrize("batch_size", [1, BATCH, N])
def test_an_epoch_repeats_no_image(batch_size: int) -> None:
    """Within an epoch no image comes twice, and only a last partial batch is left out."""
    batches = ImageBatches(numbered(), batch_size=batch_size, seed=0)
    per_epoch = N // batch_size
    for epoch in range(2):
        steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
        rows = np.concatenate([batches.batch_indices(step) for step in steps])
        assert len(set(rows.tolist())) == per_epoch * batch_size
        assert set(rows.tolist()) <= set(range(N))


def test_epochs_and_seeds_have_their_own_orders() -> None:
    """Another epoch or another seed means another order."""
    orders = [
        ImageBatches(numbered(), batch_size=N, seed=seed).batch_indices(epoch).tolist()
        for seed in range(3)
        for epoch in range(3)
    ]
    assert len({tuple(order) for order in orders}) == 9


def test_a_batch_depends_on_seed_and_step_only() -> None:
    """A batch is the same whatever was asked for before, and from a new object."""
    batches = ImageBatches(numbered(), batch_size=BATCH, seed=5)
    forwards = [batches.batch_indices(step).tolist() for step in range(30)]
    backwards = [batches.batch_indices(step).tolist() for step in reversed(range(30))]
    again = ImageBatches(numbered(), batch_size=BATCH, seed=5).batch_indices(29).tolist()
    assert forwards == backwards[::-1]
    assert again == forwards[29]


def test_batches_are_what_they_were() -> None:
    """These rows were drawn with NumPy 2.4; results already written assume them."""
    batches = ImageBatches(numbered(), batch_size=BATCH, seed=7)
    assert batches.batch_indices(0).tolist() == [31, 33, 48, 26, 20, 22, 43, 21]
    assert batches.batch_indices(N // BATCH + 2).tolist() == [46, 48, 2, 13, 45, 28, 23, 1]


class TestHeldOut:
    HELD_OUT = np.array([0, 7, 8, 30, 49])

    @pytest.fixture
    def dataset(self) -> ImageDataset:
        """Of fifty images five are held out."""
        return replace(numbered(), held_out=self.HELD_OUT)

    def test_they_are_in_no_batch(self, dataset: ImageDataset) -> None:
        """An epoch has each of the other images, once."""
        batches = ImageBatches(dataset, batch_size=9, seed=0)
        for epoch in range(3):
            images = torch.cat([batches.batch(5 * epoch + k) for k in range(5)])
            assert sorted({*range(N)} - {*self.HELD_OUT.tolist()}) == sorted(numbers(images))

    def test_a_batch_depends_on_seed_and_step_only(self, dataset: ImageDataset) -> None:
        """It is the same whatever was asked for before, and from a new object."""
        batches = ImageBatches(dataset, batch_size=BATCH, seed=5)
        forwards = [batches.batch_indices(step).tolist() for step in range(12)]
        again = ImageBatches(dataset, batch_size=BATCH, seed=5)

        assert forwards[::-1] == [again.batch_indices(k).tolist() for k in reversed(range(12))]

    def test_a_batch_has_no_more_than_the_others(self, dataset: ImageDataset) -> None:
        """The images held out do not fill it."""
        with pytest.raises(ConfigError, match=r"a batch size in 1\.\.45, .* but got 46"):
            ImageBatches(dataset, batch_size=46, seed=0)


def test_a_resumed_run_meets_the_same_batches(tmp_path: Path) -> None:
    """A run resumed from step 7 sees the batches of an uninterrupted one."""
    _, uninterrupted = fit(max_steps=15, callbacks=[SaveAtSeven(tmp_path / "middle.ckpt")])
    trainer, before = fit(max_steps=7)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    _, after_end = fit(max_steps=15, checkpoint=tmp_path / "end.ckpt")
    _, after_middle = fit(max_steps=15, checkpoint=tmp_path / "middle.ckpt")
    assert len(uninterrupted) == 15
    assert before == uninterrupted[:7]
    assert after_end == after_middle == uninterrupted[7:]


def test_a_run_sees_the_batches_that_are_announced() -> None:
    """Training step k gets batch k, across epochs."""
    _, seen = fit(max_steps=15)
    batches = ImageBatches(numbered(), batch_size=BATCH, seed=3)
    assert seen == [batches.batch_indices(step).tolist() for step in range(15)]


def test_batches_without_a_trainer() -> None:
    """Outside a trainer the batches start at the first, each time anew."""
    batches = ImageBatches(numbered(), batch_size=BATCH, seed=0)
    stream = batches.train_dataloader()
    for _ in range(2):
        first, second, *_ = zip(stream, range(2), strict=False)
        assert numbers(first[0][0]) == batches.batch_indices(0).tolist()
        assert numbers(second[0][0]) == batches.batch_indices(1).tolist()


def test_lists_end_at_pauses_and_at_the_last_step() -> None:
    """Batches come in lists up to the next pause, and none goes beyond the last step."""
    batches = ImageBatches(numbered(), batch_size=BATCH, seed=0, pauses=(4, 6))
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    batches.trainer = SimpleNamespace(global_step=3, max_steps=14, strategy=strategy)
    lists = itertools.islice(batches.train_dataloader(), 5)
    taken = [[numbers(images) for images in listed] for listed in lists]
    expected = [batches.batch_indices(step).tolist() for step in range(3, 14)]

    assert [1, 2, 2, 4, 2] == [len(listed) for listed in taken]
    assert expected == [images for listed in taken for images in listed]


@pytest.mark.parametrize(
    ("batch_size", "seed", "message"),
    [
        (
            N + 1,
            0,
            r"^expected a batch size in 1\.\.50, the images of numbered for a step, but got 51$",
        ),
        (0, 0, r"batch size in 1\.\.50.*but got 0"),
        (8, -1, "^expected a seed of at least 0, but got -1$"),
        (0, -1, r"batch size.*but got 0; expected a seed of at least 0, but got -1"),
    ],
)
def test_impossible_batches_are_refused(batch_size: int, seed: int, message: str) -> None:
    """A batch has between one and all images, a seed is not negative; all mistakes are told."""
    with pytest.raises(ConfigError, match=message):
        ImageBatches(numbered(), batch_size=batch_size, seed=seed)


class TestSecondBatch:
    def test_a_step_has_other_images_too(self) -> None:
        """A batch is of twice as many images, none of them twice, and a function of its number."""
        batches, again = (
            ImageBatches(numbered(), batch_size=BATCH, seed=3, second_batch=True) for _ in range(2)
        )
        again.batch(7)  # in another epoch

        for step in (0, 2, 3):
            rows = batches.batch_indices(step).tolist()
            assert 2 * BATCH == len(set(rows))
            assert rows == again.batch_indices(step).tolist()

    def test_more_than_half_of_the_images_are_refused(self) -> None:
        """There are no other images for the second batch."""
        ImageBatches(numbered(), batch_size=25, seed=0, second_batch=True)
        with pytest.raises(
            ConfigError,
            match=r"batch size in 1\.\.25, the images of numbered for a step, but got 26",
        ):
            ImageBatches(numbered(), batch_size=26, seed=0, second_batch=True)
