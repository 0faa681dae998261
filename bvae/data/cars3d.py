"""Cars3D (Reed et al., 2015): renderings of 183 cars, read from the archive as it was published.

`data/cars/car_*_mesh.mat` holds one car: `im` uint8 [128, 128, 3, 24, 4], rows, columns, colours,
azimuths, elevations. Scaled to 64 x 64, with elevation the slowest factor and the car the fastest,
as in disentanglement_lib. Cars are in the order of their names.

The authors publish no checksum; that here is nmichlo/disent's (`_groundtruth__cars3d.py`), and
another loader's.

Shapes: E elevations, A azimuths, b images of a chunk.
"""

import io
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bvae.data import pixels
from bvae.data.lattice import FactorLattice
from bvae.data.official import OfficialData, reading

_URL = "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz"
_SIDE = 64


def _read(path: Path, data: OfficialData) -> Iterator[NDArray[np.uint8]]:
    """The images in chunks [b, 3, 64, 64], one for each elevation."""
    elevations, azimuths, number = data.lattice.sizes
    expected = f"hold {number} files data/cars/car_*_mesh.mat"
    with reading(path, expected=expected, url=data.url):
        cars = dict(_cars(path, (elevations, azimuths)))
        if len(cars) != number:
            raise ValueError(f"found {len(cars)}")
    for elevation in range(elevations):
        views = np.stack([cars[name][elevation] for name in sorted(cars)], axis=1)
        yield views.reshape(-1, *data.image_shape)


def _cars(path: Path, angles: tuple[int, int]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Name and images [E, A, 3, 64, 64] of each car; the archive is read once, never unpacked."""
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            if fnmatchcase(member.name, "*/cars/car_*_mesh.mat") and member.isfile():
                file = archive.extractfile(member)
                assert file is not None, "it is a file"
                yield member.name, _car(member.name, file.read(), angles)


def _car(name: str, content: bytes, angles: tuple[int, int]) -> NDArray[np.uint8]:
    from scipy.io import loadmat  # takes a third of a second, and one data set needs it

    # the stubs know names of files only
    images = loadmat(io.BytesIO(content), variable_names=["im"])["im"]  # type: ignore[arg-type]
    if images.shape != (128, 128, 3, *reversed(angles)) or images.dtype != np.uint8:
        raise ValueError(f"found im {images.dtype} {list(images.shape)} in {name}")
    views = images.transpose(4, 3, 0, 1, 2).reshape(-1, 128, 128, 3)
    small = [pixels.square(view, resolution=_SIDE, channels=3) for view in views]
    return np.stack(small).reshape(*angles, 3, _SIDE, _SIDE)


DATA = OfficialData(
    "cars3d",
    _URL.rpartition("/")[2],
    _URL,
    {"": "4e866a7919c1beedf53964e6f7a23686"},
    FactorLattice(("elevation", "azimuth", "object_type"), (4, 24, 183)),
    _read,
)
