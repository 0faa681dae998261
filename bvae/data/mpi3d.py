"""MPI3D (rr-learning/disentanglement_dataset): a robot's arm, drawn simply, realistically, filmed.

`images` is uint8 [1036800, 64, 64, 3]: every combination of seven factors once, the last one
fastest. The files of the NeurIPS 2019 challenge, which disentanglement_lib reads, hold four colours
and shapes of the six: 460,800 images; they are other files, of which no checksum is published.

The authors publish no checksums; those here are nmichlo/disent's (`_groundtruth__mpi3d.py`).

Shapes: b images of a chunk.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bvae.data.lattice import FactorLattice
from bvae.data.official import OfficialData, read_npz

_URL = "https://storage.googleapis.com/disentanglement_dataset/Final_Dataset"
_LATTICE = FactorLattice(
    (
        *("object_color", "object_shape", "object_size", "camera_height", "background_color"),
        *("horizontal_axis", "vertical_axis"),
    ),
    (6, 6, 2, 3, 3, 40, 40),
)


def _read(path: Path, data: OfficialData) -> Iterator[NDArray[np.uint8]]:
    """The images in chunks [b, 3, 64, 64]: the 13 GB are never held all at once."""
    for images in read_npz(path, "images", np.dtype(np.uint8), (64, 64, 3), url=data.url):
        yield np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _data(name: str, md5: str) -> OfficialData:
    file = f"{name}.npz"
    return OfficialData(name, file, f"{_URL}/{file}", {"": md5}, _LATTICE, _read)


TOY = _data("mpi3d_toy", "55889cb7c7dfc655d6e0277beee88868")
REALISTIC = _data("mpi3d_realistic", "59a6225b88b635365f70c91b3e52f70f")
REAL = _data("mpi3d_real", "0f33f609918fb5c97996692f91129802")
