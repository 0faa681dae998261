"""Training batches, straight from the packed rows of a store.

Batch k is a function of (seed, k) and of nothing else: a run that is stopped and resumed meets the
batches that it would have met. There are no loader processes: to unpack a batch takes less time
than to receive it from one. On a card with room for them, the packed rows lie there.

Shapes: n images that are trained on, B batch size, C channels, H rows, W columns.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from bvae.data.datasets import ImageDataset
from bvae.data.on_device import DeviceStore, on_card
from bvae.data.store import ImageStore
from bvae.exceptions import ConfigError


class ImageBatches(pl.LightningDataModule):
    """Endless batches of a data set: each epoch a new order, its last partial batch left out.

    Args:
        dataset: its n images that are not held out are the batches'.
        batch_size: B, in 1..n.
        seed: at least 0.
        second_batch: whether a step takes B further images, which come after the first B in one
            batch of 2B; then B is in 1..n/2.
        pauses: the trainer gets the batches up to the next multiple of one of these in a list: its
            loop costs half a millisecond a turn, which is a tenth of a small model's step.

    Raises:
        ConfigError: batch_size or seed is out of range.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        *,
        batch_size: int,
        seed: int,
        pauses: Sequence[int] = (1,),
        second_batch: bool = False,
    ) -> None:
        super().__init__()
        self._rows = dataset.trained_on
        a_step = 2 if second_batch else 1
        _check(dataset, batch_size, seed, most=len(self._rows) // a_step)
        self.pauses = tuple(pauses)
        self.dataset = dataset
        self.batch_size = a_step * batch_size
        self.seed = seed
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def train_dataloader(self) -> "BatchStream":
        """Return the batches from the trainer's step on."""
        return BatchStream(self)

    def batches(self, steps: range, images: DeviceStore | None) -> list[Tensor]:
        """Batches of these steps, on the card if the images are; their rows are sent in one go."""
        if images is None:
            return [self.batch(step) for step in steps]
        rows = np.concatenate([self.batch_indices(step) for step in steps])
        return list(images.images(torch.from_numpy(rows)).chunk(len(steps)))

    def batch(self, step: int) -> Tensor:
        """Batch number step: float32 [B, C, H, W] in 0..1, or 2B images with a second batch."""
        return tensor(self.dataset.store, self.batch_indices(step))

    def batch_indices(self, step: int) -> NDArray[np.int64]:
        """The rows of the images of batch number step >= 0."""
        epoch, place = divmod(step, len(self._rows) // self.batch_size)
        start = place * self.batch_size
        return self._epoch_order(epoch)[start : start + self.batch_size]

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        """The n rows in an order that depends on (seed, epoch) only."""
        if self._order is None or self._order[0] != epoch:
            key = np.array([self.seed, epoch], np.uint64)
            generator = np.random.Generator(np.random.Philox(key=key))
            self._order = epoch, generator.permutation(self._rows)
        return self._order[1]


def tensor(store: ImageStore, rows: NDArray[np.int64]) -> Tensor:
    """Images of a store at these rows [b]: float32 [b, C, H, W] in 0..1."""
    images = torch.from_numpy(store.images(rows)).float()
    return images if store.white == 1 else images.div_(store.white)


class BatchStream:
    """Lists of batches from the step that the trainer has reached, each up to the next pause.

    One optimizer step takes one batch. A list ends at the trainer's last step.
    """

    def __init__(self, batches: ImageBatches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[Tensor]]:
        trainer = self._batches.trainer
        step = 0 if trainer is None else trainer.global_step
        last = -1 if trainer is None else trainer.max_steps
        images = None
        if trainer is not None:
            images = on_card(self._batches.dataset.store, trainer.strategy.root_device)
        while True:
            until = next_pause(step, self._batches.pauses)
            if step < last < until:
                until = last
            yield self._batches.batches(range(step, until), images)
            step = until


def next_pause(step: int, pauses: Sequence[int]) -> int:
    """Return the next multiple of one of the pauses.

    >>> next_pause(50, (10, 25, 100)), next_pause(72, (10, 25, 100))
    (60, 75)
    """
    return min((step // every + 1) * every for every in pauses)


def _check(dataset: ImageDataset, batch_size: int, seed: int, *, most: int) -> None:
    wrong = []
    if not 1 <= batch_size <= most:
        wrong.append(
            f"expected a batch size in 1..{most}, the images of {dataset.name} for a step, "
            f"but got {batch_size}"
        )
    if not 0 <= seed < 2**64:
        wrong.append(f"expected a seed of at least 0, but got {seed}")
    if wrong:
        raise ConfigError("; ".join(wrong))
