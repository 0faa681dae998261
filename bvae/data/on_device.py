"""The packed images of a store on a graphics card, and unpacked there.

A batch of bits is then 1/32 of what float32 would be, and nothing but its rows is sent.

Shapes: n images in the store, b of them in a batch, C channels, H rows, W columns.
"""

import math

import torch
from torch import Tensor

from bvae.data.store import BINARY, ImageStore

SHARE = 4
"""The images may take a quarter of the memory that is free: workers may share a card."""


class DeviceStore:
    """The rows of a store on a device; `images` are, to the bit, those that are unpacked here."""

    def __init__(self, store: ImageStore, device: torch.device) -> None:
        self._packed = torch.tensor(store.packed, device=device)
        self._shape = store.image_shape
        self._is_binary = store.white == BINARY
        # looked up, not divided: a card multiplies by the reciprocal, which rounds otherwise
        greys = torch.arange(store.white + 1, dtype=torch.float32) / store.white
        self._greys = greys.to(device)
        self._shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)

    def images(self, rows: Tensor) -> Tensor:
        """Images at these rows [b]: float32 [b, C, H, W] in 0..1."""
        pixels = self._packed[rows.to(self._packed.device, non_blocking=True)]
        if self._is_binary:
            bits = (pixels.unsqueeze(2) >> self._shifts) & 1
            return bits.flatten(1)[:, : math.prod(self._shape)].reshape(-1, *self._shape).float()
        return self._greys[pixels.int()].reshape(-1, *self._shape)


def on_card(store: ImageStore, device: torch.device) -> DeviceStore | None:
    """Return the store's images on a CUDA device with room for them, else None."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return DeviceStore(store, device) if SHARE * store.packed.nbytes <= free else None
