from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bvae.data import on_device
from bvae.data.datamodule import ImageBatches
from bvae.data.datasets import ImageDataset
from bvae.data.on_device import DeviceStore, on_card
from bvae.data.store import BINARY, BYTES, ImageStore

CPU = torch.device("cpu")
CARD = SimpleNamespace(type="cuda")


def store(white: int, shape: tuple[int, int, int] = (3, 5, 7), number: int = 6) -> ImageStore:
    """Images of noise; of 105 pixels, which fill no whole bytes."""
    pixels = np.random.default_rng(0).integers(0, white + 1, (number, *shape), dtype=np.uint8)
    rows = pixels.reshape(number, -1)
    packed = np.packbits(rows, axis=1) if white == BINARY else rows
    packed.flags.writeable = False  # as a file that is mapped
    return ImageStore(packed, shape, white)


@pytest.mark.parametrize("white", [BINARY, BYTES])
class TestDeviceStore:
    def test_images_are_the_same_to_the_bit(self, white: int) -> None:
        """As unpacked by NumPy."""
        images = store(white)
        rows = np.array([5, 0, 0, 3])
        expected = torch.from_numpy(images.images(rows)).float().div_(white)

        found = DeviceStore(images, CPU).images(torch.from_numpy(rows))

        assert torch.float32 == found.dtype
        assert torch.equal(expected, found)

    def test_nothing_waits_for_the_device(self, white: int) -> None:
        """A meta tensor has no values that could be asked for."""
        kept = DeviceStore(store(white), torch.device("meta"))
        rows = torch.zeros(4, dtype=torch.int64)

        assert (4, 3, 5, 7) == kept.images(rows).shape

    def test_batches_are_those_of_the_host(self, white: int) -> None:
        """Each of its own size, in the same order."""
        dataset = ImageDataset("noise", store(white), labels=None)
        batches = ImageBatches(dataset, batch_size=2, seed=1)
        here = batches.batches(range(2, 5), None)

        there = batches.batches(range(2, 5), DeviceStore(dataset.store, CPU))

        assert [True] * 3 == [torch.equal(*pair) for pair in zip(here, there, strict=True)]


@pytest.mark.parametrize(("free", "is_there"), [(4 * 6 * 14, True), (4 * 6 * 14 - 1, False)])
def test_images_go_to_a_card_with_room(
    monkeypatch: pytest.MonkeyPatch, free: int, is_there: bool
) -> None:
    """For four times as much: six images of 105 bits."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 10**9))
    monkeypatch.setattr(on_device, "DeviceStore", lambda *_: "there")

    assert ("there" if is_there else None) == on_card(store(BINARY), CARD)  # type: ignore[arg-type]


def test_images_stay_here_without_a_card() -> None:
    """As on every CPU."""
    assert on_card(store(BINARY), CPU) is None
