"""3D Shapes (google-deepmind/3d-shapes): its official file, given by the user, checked and read.

`images` is uint8 [480000, 64, 64, 3]: every combination of six factors once, the last one fastest.

Shapes: n images in the file, b images of a chunk.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bvae.data.lattice import FactorLattice
from bvae.data.official import OfficialData, reading
from bvae.exceptions import ConfigError

_CHUNK = 1024  # images read at once


def _read(path: Path, data: OfficialData) -> Iterator[NDArray[np.uint8]]:
    """The images in chunks [b, 3, 64, 64].

    Raises:
        ConfigError: h5py is not installed.
        DataError: the file does not hold the images of the lattice.
    """
    try:
        import h5py  # an extra: for the one data set that is published as HDF5
    except ImportError as error:
        raise ConfigError(
            "shapes3d is read with h5py, which is not installed: pip install h5py"
        ) from error
    number = len(data.lattice)
    expected = f"hold images uint8 [{number}, 64, 64, 3]"
    with reading(path, expected=expected, url=data.url), h5py.File(path, "r") as file:
        images = file["images"]
        if images.shape != (number, 64, 64, 3) or images.dtype != np.uint8:
            raise ValueError(f"found {images.dtype} {list(images.shape)}")
        for start in range(0, number, _CHUNK):
            yield np.ascontiguousarray(images[start : start + _CHUNK].transpose(0, 3, 1, 2))


DATA = OfficialData(
    "shapes3d",
    "3dshapes.h5",
    "https://storage.googleapis.com/3d-shapes/3dshapes.h5",
    {"": "0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785"},
    FactorLattice(
        ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation"),
        (10, 10, 10, 8, 4, 15),
    ),
    _read,
    algorithm="sha256",
)
