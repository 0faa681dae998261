"""From an image of any kind to a square of bytes: the form in which a model is given it.

The shorter side is scaled to the resolution, the middle of the longer one is kept. What is
transparent becomes white, a file's own rotation is applied, 16 bits a value become 8. Whatever else
is written beside the pixels is left alone: only pixels that cannot be decoded are damage.

Cameras and microscopes write 10, 12 or 14 bits into files of 16, and nothing in the file says so.
The largest value in all the files of a data set decides for all of them.

Shapes: R rows and columns, C channels (1 grey, 3 colour).
"""

import errno
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from bvae.exceptions import DataError

Used = TypeVar("Used")

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read; its other readers are never tried."""

_MORE_FORMATS = {".avif": "AVIF", **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF")}
"""Those of endings that are read where Pillow can (`bvae.data.listing`)."""

WIDTHS = (8, 10, 12, 14, 16)
"""Bits a value that sensors have."""

MIN_SIDE_PX = 8  # fewer are blown up to a blur that says nothing

_MODES = {1: "L", 3: "RGB"}
_ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG = b"\x89PNG\r\n\x1a\n"
_OF_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
"""Parts of a PNG that say what its pixels are."""
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
    *(TypeError, LookupError, AttributeError, ArithmeticError),
)
"""What Pillow's readers raise on damaged files."""

_OF_THE_FILE = (None, errno.EINVAL)
"""Numbers of the OSErrors that come of a file's bytes: Pillow's own, and a seek before its start.

All others come of the disk or the process, and say nothing about the image.
"""


def read(
    path: Path, *, resolution: int, channels: int, bits: Callable[[], int] = lambda: 16
) -> NDArray[np.uint8]:
    """Read an image file as bytes [C, R, R].

    Args:
        path: of the file.
        resolution: R.
        channels: C.
        bits: returns how many bits are used of values of 16; asked where there are such.

    Raises:
        DataError: says in a few words why this file is no image to learn from; it is not named.
        OSError: the file cannot be read, whatever is in it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on files it reads all the same
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _with_image(
                path,
                lambda image: _of_file(image, resolution=resolution, channels=channels, bits=bits),
            )
        except UnidentifiedImageError as error:
            formats = ", ".join(_formats(path))
            raise DataError(f"not an image of {formats}{_hint(path)}") from error
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


def bits_of(paths: Iterable[Path]) -> int:
    """Return how many bits the values of the files with 16 of them use, as sensors have them."""
    most = 0
    for path in paths:
        with warnings.catch_warnings(), suppress(*_UNREADABLE):  # told when it is read
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            most = max(most, _with_image(path, _largest_of_16_bits))
    return next(bits for bits in WIDTHS if most < 2**bits)


def _largest_of_16_bits(image: Image.Image) -> int:
    return int(np.asarray(image).max()) if image.mode.startswith("I;16") else 0


def _with_image(path: Path, use: Callable[[Image.Image], Used]) -> Used:
    """Return what `use` makes of a file's image; where what is beside its pixels fails, without."""
    formats = _formats(path)
    try:
        with Image.open(path, formats=formats) as image:
            return use(image)
    except (ValueError, SyntaxError, UnidentifiedImageError):
        bare = _without_text(path)
        if bare is None:
            raise
        with Image.open(bare, formats=formats) as image:
            return use(image)


def _formats(path: Path) -> tuple[str, ...]:
    more = _MORE_FORMATS.get(path.suffix.lower())
    return (*FORMATS, more) if more else FORMATS


def _hint(path: Path) -> str:
    with path.open("rb") as file:
        kind = file.read(12)[4:]
    if kind.startswith(b"ftyp"):
        return ", but maybe HEIC or AVIF; give it that ending"
    return ""


def _without_text(path: Path) -> io.BytesIO | None:
    """A PNG without the texts and profiles beside its pixels, which may be too large for Pillow."""
    content = path.read_bytes()
    if not content.startswith(_PNG):
        return None
    kept, at = [_PNG], len(_PNG)
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4].rjust(4, b"\0"))
        name, end = content[at + 4 : at + 8], at + 12 + length
        if name in _OF_PIXELS:
            kept.append(content[at:end])
        at = end
    return io.BytesIO(b"".join(kept))


def _of_file(
    image: Image.Image, *, resolution: int, channels: int, bits: Callable[[], int]
) -> NDArray[np.uint8]:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a phone's JPEG: the further ones are previews
        raise DataError(f"{frames} pictures in one file; save each as a file of its own")
    _check_side(image)  # before the pixels are decoded
    plain = _of_bytes(_upright(image), kind=image.format, bits=bits)
    return _squared(_opaque(plain), resolution=resolution, channels=channels)


def _check_side(image: Image.Image) -> None:
    if min(image.size) < MIN_SIDE_PX:
        width, height = image.size
        raise DataError(f"{width}x{height} pixels; expected at least {MIN_SIDE_PX} a side")


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF says; `ImageOps.exif_transpose` would write that anew, too."""
    image.load()
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except _UNREADABLE:  # whatever is in there
        turn = None
    return image if turn is None else image.transpose(turn)


def _of_bytes(image: Image.Image, *, kind: str | None, bits: Callable[[], int]) -> Image.Image:
    """The image with values of 8 bits; Pillow's own conversion would cut 16 bits off at 255."""
    if image.mode == "I" and kind == "PPM":  # 16 bits in a mode of 32; its white is in the file
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> (bits() - 8)).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError(
            "values of 32 bits or with a sign, whose white is not known; save it with 8 or 16 bits"
        )
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
