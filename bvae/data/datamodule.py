"""Training batches, straight from the packed rows of a store.

Batch k is a function of (seed, k) and of nothing else: a run that is stopped and resumed meets the
batches that it would have met. There are no loader processes: to unpack a batch takes less time
than to receive it from one.

Shapes: n images, B batch size, C channels, H rows, W columns.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from bvae.data.datasets import ImageDataset
from bvae.exceptions import ConfigError


class ImageBatches(pl.LightningDataModule):
    """Endless batches of a data set: each epoch a new order, its last partial batch left out.

    Args:
        dataset: n images.
        batch_size: B, in 1..n.
        seed: at least 0.

    Raises:
        ConfigError: batch_size or seed is out of range.
    """

    def __init__(self, dataset: ImageDataset, *, batch_size: int, seed: int) -> None:
        super().__init__()
        _check(dataset, batch_size, seed)
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def train_dataloader(self) -> "BatchStream":
        """Return the batches from the trainer's step on."""
        return BatchStream(self)

    def batch(self, step: int) -> Tensor:
        """Batch number step: float32 [B, C, H, W] of 0 and 1."""
        return torch.from_numpy(self.dataset.store.images(self.batch_indices(step))).float()

    def batch_indices(self, step: int) -> NDArray[np.int64]:
        """The B rows of batch number step >= 0."""
        epoch, place = divmod(step, len(self.dataset) // self.batch_size)
        start = place * self.batch_size
        return self._epoch_order(epoch)[start : start + self.batch_size]

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        """A permutation of the n rows that depends on (seed, epoch) only."""
        if self._order is None or self._order[0] != epoch:
            key = np.array([self.seed, epoch], np.uint64)
            generator = np.random.Generator(np.random.Philox(key=key))
            self._order = epoch, generator.permutation(len(self.dataset))
        return self._order[1]


class BatchStream:
    """The batches from the step that the trainer has reached, at one batch an optimizer step."""

    def __init__(self, batches: ImageBatches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Tensor]:
        trainer = self._batches.trainer
        first = 0 if trainer is None else trainer.global_step
        return map(self._batches.batch, itertools.count(first))


def _check(dataset: ImageDataset, batch_size: int, seed: int) -> None:
    wrong = []
    if not 1 <= batch_size <= len(dataset):
        wrong.append(
            f"expected a batch size in 1..{len(dataset)}, the images of {dataset.name}, "
            f"but got {batch_size}"
        )
    if not 0 <= seed < 2**64:
        wrong.append(f"expected a seed of at least 0, but got {seed}")
    if wrong:
        raise ConfigError("; ".join(wrong))
