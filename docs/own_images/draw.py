"""Draws the pictures of the README's "your own images": `python docs/own_images/draw.py FOLDER`.

4,000 PNG files of 32 pixels: a house of some height and colour on a meadow of some brightness, and
a sun somewhere above. Each of the four is a number drawn at random; none is written down, so that
a study of the folder has no labels to go by.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 32
FINE = 4  # drawn at four times the size, for smooth edges


def main() -> None:
    """Draw the pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=4000)
    typed = parser.parse_args()
    typed.folder.mkdir(parents=True, exist_ok=True)
    properties = np.random.default_rng(0).random((typed.number, 4))
    for i, row in enumerate(properties):
        Image.fromarray(picture(*row)).save(typed.folder / f"house-{i:04d}.png")


def picture(height: float, colour: float, meadow: float, sun: float) -> NDArray[np.uint8]:
    """Draw one picture [32, 32, 3] from four numbers in 0..1."""
    fine = SIDE_PX * FINE
    rows, columns = np.mgrid[:fine, :fine] / fine
    image = np.empty((fine, fine, 3))
    image[:] = [0.35, 0.55, 0.85]
    image[rows > 0.75] = (0.2 + 0.8 * meadow) * np.array([0.55, 0.9, 0.35])
    image[np.hypot(columns - 0.15 - 0.7 * sun, rows - 0.17) < 0.13] = [1.0, 0.95, 0.4]
    top = 0.7 - 0.35 * height
    house = (np.abs(columns - 0.5) < 0.2) & (rows > top) & (rows < 0.85)
    image[house] = (1 - colour) * np.array([0.9, 0.15, 0.1]) + colour * np.array([1.0, 1.0, 1.0])
    small = image.reshape(SIDE_PX, FINE, SIDE_PX, FINE, 3).mean(axis=(1, 3))
    return np.rint(255 * small).astype(np.uint8)


if __name__ == "__main__":
    main()
