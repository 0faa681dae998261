"""The tiles of a page of pictures, found by its measures rather than by the code that drew it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MARGIN, TILE, STEP = 12, 96, 98
"""In pixels: round the page, the side of a tile, from one tile to the next."""


def line_of_tiles(path: Path, *, y: int, number: int) -> NDArray[np.float64]:
    """Return the tiles [number, 32, 32] in 0..1 of the line that begins at y and ends the page."""
    with Image.open(path) as picture:
        page = np.asarray(picture.convert("L"))
    left = page.shape[1] - MARGIN - (STEP * number - 2)
    corners = [left + STEP * i for i in range(number)]
    # a pixel of an image is a square of 3, of which this is the middle
    tiles = [page[y + 1 : y + TILE : 3, x + 1 : x + TILE : 3] for x in corners]
    return np.stack(tiles) / 255
