"""The dSprites images (google-deepmind/dsprites-dataset, 2017), drawn instead of downloaded.

Their author drew polygons with LOVE2D on a graphics card (issue 2 of that repository). What the
pixels show of it: a canvas of side 64; corners rounded to 1/256 of a pixel; a pixel on when its
centre is inside the outline, without anti-aliasing; a centre on the outline inside at a left or
lower edge only. The measures below were fitted to official images: they give all 12 genuine images
and all 320 frames of the official animation bit for bit. Over the whole set they switch on
128,328,864 pixels; the mean of the official file (0.042494423521889584, measured in nmichlo/disent,
disent/dataset/util/stats.py) makes 128,328,862.

Coordinates: x to the right, y down, the centre of pixel (row i, column j) at (j + 1/2, i + 1/2).
At another resolution R the same canvas has R pixels along a side, each with 256 sub-pixels.

Shapes: n images, R rows or columns, L outlines, E edges of an outline, C crossings of a row.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bvae.exceptions import ConfigError, DataError

FACTOR_NAMES = ("shape", "scale", "orientation", "x", "y")
FACTOR_SIZES = (3, 6, 40, 32, 32)
VERSION = 1
"""Of the drawing: a change of any pixel raises it, so that no old file is read as a new one."""

_CANVAS = 64
_SUBPIXELS = 256
_CHUNK = 1024  # images drawn at once, to bound the memory of a call

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def render(factors: ArrayLike, resolution: int = 64) -> Pixels:
    """Draw one image for each row of factors.

    Args:
        factors: [n, 5] integer classes: shape (0 square, 1 ellipse, 2 heart), scale, orientation
            (counter-clockwise), x, y.
        resolution: R, pixels along one side.

    Returns:
        [n, R, R] of 0 and 1.

    Raises:
        DataError: factors is not [n, 5] of integers, or holds a class that does not exist.
        ConfigError: the resolution is below 1.
    """
    classes = _checked(factors)
    if resolution < 1:
        raise ConfigError(f"expected a resolution of at least 1 pixel, but got {resolution}")
    images = np.empty((len(classes), resolution, resolution), np.uint8)
    for start in range(0, len(classes), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        images[chunk] = _draw(classes[chunk], resolution)
    return images


def _checked(factors: ArrayLike) -> Ints:
    array = np.asarray(factors)
    if array.ndim != 2 or array.shape[1] != len(FACTOR_SIZES) or array.dtype.kind not in "iu":
        raise DataError(
            f"expected integer factors [n, 5] ({', '.join(FACTOR_NAMES)}), "
            f"but got {array.dtype} {list(array.shape)}"
        )
    wrong = [
        f"{name} in 0..{size - 1}, but got {column.min()}..{column.max()}"
        for name, size, column in zip(FACTOR_NAMES, FACTOR_SIZES, array.T, strict=True)
        if ((column < 0) | (column >= size)).any()
    ]
    if wrong:
        raise DataError(f"expected {'; '.join(wrong)}")
    return array.astype(np.int64)


def _draw(classes: Ints, resolution: int) -> Pixels:
    """Images [n, R, R]: a pixel is on when an odd number of edges cross its row to its left.

    Sprites that differ in x only are crossed on the same edges: these are found once for all.
    """
    x, y = _corners(classes, resolution)
    outlines = classes[:, [0, 1, 2, 4]]  # what y depends on
    _, first, outline = np.unique(outlines, axis=0, return_index=True, return_inverse=True)
    beyond = np.full((len(x), 1), _SUBPIXELS * resolution)
    x = np.concatenate([x, x[:, :1], beyond], axis=1)  # [n, E + 2]: closed, then out of sight
    offset = x.shape[1] * np.arange(len(x))[:, None]
    masks = np.tri(resolution + 1, resolution, -1, np.uint8) ^ 1  # row k: on from pixel k
    images = np.zeros((len(x), resolution, resolution), np.uint8)
    for edge, rise, height in zip(*_crossings(y[first], resolution), strict=True):
        start = offset + edge[outline]  # [n, R]
        x0, x1 = x.take(start), x.take(start + 1)
        # whole numbers: a crossing at the centre of a pixel comes out exactly
        crossing = x0 + (x1 - x0) * rise[outline] / height[outline]
        column = np.ceil(crossing / _SUBPIXELS - 0.5).clip(0, resolution)
        images ^= masks.take(column.astype(np.intp), axis=0)
    return images


def _crossings(y: Floats, resolution: int) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Which edges of the outlines cross the rows of pixel centres, and how far along.

    Args:
        y: [L, E] corners, in sub-pixels; edge e ends at corner e + 1.
        resolution: R.

    Returns:
        [C, L, R] edge, its rise up to the row, and its height; where fewer than C edges cross,
        the whole of edge E.
    """
    centres = _SUBPIXELS * (np.arange(resolution) + 0.5)
    above = y[:, None, :] < centres[:, None]  # [L, R, E]
    outline, row, edge = np.nonzero(above != np.roll(above, -1, axis=-1))
    place = outline * resolution + row
    rank = np.arange(len(place)) - np.searchsorted(place, place)  # 0, 1, ... along each row
    shape = (rank.max(initial=0) + 1, len(y), resolution)
    edges, rises, heights = np.full(shape, y.shape[1]), np.ones(shape), np.ones(shape)
    y0, y1 = y[outline, edge], np.roll(y, -1, axis=1)[outline, edge]
    edges[rank, outline, row] = edge
    rises[rank, outline, row] = centres[row] - y0
    heights[rank, outline, row] = y1 - y0
    return edges, rises, heights


def _corners(classes: Ints, resolution: int) -> tuple[Floats, Floats]:
    """Coordinates x and y [n, E] of the corners, in whole sub-pixels."""
    shape, scale, orientation, x, y = classes.T[:, :, None]
    size = 0.5 + 0.1 * scale
    # 40 classes span 0..2 pi with both ends: the last one draws the first again
    angle = 2 * np.pi * orientation / 39
    cos, sin = size * np.cos(angle), size * np.sin(angle)
    u, v = _SHAPES[shape[:, 0]].transpose(2, 0, 1)
    scaling = _SUBPIXELS * resolution / _CANVAS
    return (
        np.rint((_anchor(x) + u * cos + v * sin) * scaling),
        np.rint((_anchor(y) + v * cos - u * sin) * scaling),
    )


def _anchor(position: Ints) -> Floats:
    """Position classes 0..31 span the middle half of the canvas with both ends."""
    anchor: Floats = 16 + 32 * position / 31
    return anchor


def _square() -> Floats:
    return 9.6 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def _ellipse() -> Floats:
    t = 2 * np.pi * np.arange(100) / 100
    return 9.6 * np.stack([1.33 * np.cos(t), np.sin(t) / 1.33], axis=1)


def _heart() -> Floats:
    t = 2 * np.pi * np.arange(150) / 150
    height = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return 9.6 * np.stack([np.sin(t) ** 3, -height / 14.5 - 0.15], axis=1)


def _of_equal_length(*polygons: Floats) -> Floats:
    """Outlines [3, E, 2], filled up with their last corner: an edge of no length crosses no row."""
    most = max(len(polygon) for polygon in polygons)
    return np.stack([np.pad(p, ((0, most - len(p)), (0, 0)), mode="edge") for p in polygons])


_SHAPES = _of_equal_length(_square(), _ellipse(), _heart())
