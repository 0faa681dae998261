"""From an image of any kind to a square of bytes: the form in which a model is given it.

The shorter side is scaled to the resolution, the middle of the longer one is kept. What is
transparent becomes white, a file's own rotation is applied, 16 bits a value become 8.

Shapes: R rows and columns, C channels (1 grey, 3 colour).
"""

import errno
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from bvae.exceptions import DataError

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read; its other readers are never tried."""

MIN_SIDE_PX = 8  # fewer are blown up to a blur that says nothing

_MODES = {1: "L", 3: "RGB"}
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
    *(TypeError, LookupError, AttributeError, ArithmeticError),
)
"""What Pillow's readers raise on damaged files."""

_OF_THE_FILE = (None, errno.EINVAL)
"""Numbers of the OSErrors that come of a file's bytes: Pillow's own, and a seek before its start.

All others come of the disk or the process, and say nothing about the image.
"""


def read(path: Path, *, resolution: int, channels: int) -> NDArray[np.uint8]:
    """Read an image file as bytes [C, R, R].

    Raises:
        DataError: says in a few words why this file is no image to learn from; it is not named.
        OSError: the file cannot be read, whatever is in it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on files it reads all the same
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as image:
                return _of_file(image, resolution=resolution, channels=channels)
        except UnidentifiedImageError as error:
            raise DataError(f"not an image of {', '.join(FORMATS)}") from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            most = f"{Image.MAX_IMAGE_PIXELS or 0:,}"
            raise DataError(f"more than {most} pixels; make it smaller first") from error
        except _UNREADABLE as error:
            if isinstance(error, OSError) and error.errno not in _OF_THE_FILE:
                raise
            raise DataError(f"damaged ({error})") from error


def square(pixels: NDArray[np.uint8], *, resolution: int, channels: int) -> NDArray[np.uint8]:
    """Turn bytes [H, W] or [H, W, 1 or 3] into bytes [C, R, R].

    Raises:
        DataError: a side is too short.
    """
    flat = pixels[..., 0] if pixels.shape[-1] == 1 and pixels.ndim == 3 else pixels
    return _squared(Image.fromarray(flat), resolution=resolution, channels=channels)


def _of_file(image: Image.Image, *, resolution: int, channels: int) -> NDArray[np.uint8]:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a phone's JPEG: the further ones are previews
        raise DataError(f"{frames} pictures in one file; save each as a file of its own")
    _check_side(image)  # before the pixels are decoded
    upright = ImageOps.exif_transpose(image)
    plain = _of_bytes(upright, kind=image.format)
    return _squared(_opaque(plain), resolution=resolution, channels=channels)


def _check_side(image: Image.Image) -> None:
    if min(image.size) < MIN_SIDE_PX:
        width, height = image.size
        raise DataError(f"{width}x{height} pixels; expected at least {MIN_SIDE_PX} a side")


def _of_bytes(image: Image.Image, *, kind: str | None) -> Image.Image:
    """The image with values of 8 bits; Pillow's own conversion would cut 16 bits off at 255."""
    is_pgm = image.mode == "I" and kind == "PPM"  # 16 bits, in a mode of 32
    if image.mode.startswith("I;16") or is_pgm:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError("values of 32 bits, whose white is not known; save it with 8 or 16 bits")
    return image.convert("RGB") if image.mode == "LAB" else image  # Pillow has no LAB to grey


def _opaque(image: Image.Image) -> Image.Image:
    """The image on white, if any of it is transparent."""
    if not image.has_transparency_data:
        return image
    pasted = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", pasted.size, "white"), pasted)


def _squared(image: Image.Image, *, resolution: int, channels: int) -> NDArray[np.uint8]:
    _check_side(image)
    plain, side = image.convert(_MODES[channels]), (resolution, resolution)
    if plain.size != side:
        plain = ImageOps.fit(plain, side, method=Image.Resampling.LANCZOS)
    pixels = np.asarray(plain).reshape(*side, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
