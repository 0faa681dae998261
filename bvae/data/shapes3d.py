"""3D Shapes (google-deepmind/3d-shapes): its official file, given by the user, checked and read.

`images` is uint8 [480000, 64, 64, 3]: every combination of six factors once, the last one fastest.

Shapes: n images in the file, b images of a chunk.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bvae.data.lattice import FactorLattice
from bvae.exceptions import ConfigError, DataError

SHA256 = "0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785"
URL = "https://storage.googleapis.com/3d-shapes/3dshapes.h5"
LATTICE = FactorLattice(
    ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation"),
    (10, 10, 10, 8, 4, 15),
)
IMAGE_SHAPE = (3, 64, 64)

_CHUNK = 1024  # images read at once


def read_images(path: Path, *, number: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images in chunks [b, 3, 64, 64].

    Raises:
        ConfigError: h5py is not installed.
        DataError: the file does not hold that number of such images.
    """
    try:
        import h5py  # an extra: for the one data set that is published as HDF5
    except ImportError as error:
        raise ConfigError(
            "shapes3d is read with h5py, which is not installed: pip install h5py"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            images = file["images"]
            if images.shape != (number, 64, 64, 3) or images.dtype != np.uint8:
                raise ValueError(f"found {images.dtype} {list(images.shape)}")
            for start in range(0, number, _CHUNK):
                yield np.ascontiguousarray(images[start : start + _CHUNK].transpose(0, 3, 1, 2))
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"expected {path} to hold images uint8 [{number}, 64, 64, 3], "
            f"but could not read that: {error}; download {URL} again"
        ) from error
