"""Image files of many kinds: 30 that are no images to learn from, and those that are."""

import errno
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin, features

from bvae.data import pixels
from bvae.exceptions import DataError

NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return a whole file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def noise(kind: str = "PNG") -> bytes:
    """Return a whole file of 60x40 pixels."""
    return encoded(Image.fromarray(NOISE), kind)


def cut(kind: str, share: float = 0.5) -> bytes:
    """Return the first part of a file."""
    content = noise(kind)
    return content[: int(share * len(content))]


def animated(kind: str) -> bytes:
    """Return a film of three pictures."""
    frames = [Image.new("L", (40, 40), grey) for grey in (0, 100, 200)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def png(width: int, height: int, *, depth: int = 8, data: bytes = b"", header: int = 13) -> bytes:
    """Return a PNG that says what it likes about itself."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    described = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)[:header]
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", described)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def flipped(content: bytes, at: float) -> bytes:
    """Return a file with twenty bytes inverted."""
    start = int(at * len(content))
    changed = bytes(255 - byte for byte in content[start : start + 20])
    return content[:start] + changed + content[start + 20 :]


def without_width(content: bytes, page: int) -> bytes:
    """Return a TIFF of which a page does not say how wide it is."""
    changed, at = bytearray(content), 4
    for _ in range(page + 1):
        (start,) = struct.unpack_from("<I", content, at)
        (number,) = struct.unpack_from("<H", content, start)
        at = start + 2 + 12 * number
    entries = range(start + 2, at, 12)
    (width,) = (i for i in entries if struct.unpack_from("<H", content, i) == (256,))
    struct.pack_into("<H", changed, width, 254)
    return bytes(changed)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not an image of BMP, GIF"),
    "text": (lambda: b"these are not pixels\n", "not an image of BMP, GIF"),
    "zeros": (lambda: bytes(5000), "not an image of BMP, GIF"),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not an image of BMP"),
    "html": (lambda: b"<!doctype html><title>404</title>", "not an image of BMP"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "zip": (lambda: b"PK\x03\x04" + bytes(60), "not an image of BMP"),
    "icon": (lambda: encoded(Image.fromarray(NOISE), "ICO"), "not an image of BMP"),
    "truncated png": (lambda: cut("PNG"), "damaged"),
    "truncated jpeg": (lambda: cut("JPEG"), "damaged"),
    "truncated gif": (lambda: cut("GIF"), "damaged"),
    "truncated bmp": (lambda: cut("BMP"), "damaged"),
    "truncated tiff": (lambda: cut("TIFF"), "damaged|not an image"),
    "truncated webp": (lambda: cut("WEBP"), "damaged|not an image"),
    "truncated ppm": (lambda: cut("PPM"), "damaged"),
    "png signature alone": (lambda: cut("PNG", 0.003), "not an image|damaged"),
    "png of a short header": (lambda: png(40, 40, header=9), "not an image|damaged"),
    "png without data": (lambda: png(40, 40), "damaged"),
    "png of garbage": (lambda: png(40, 40, data=b"garbage"), "damaged"),
    "png of too little": (lambda: png(40, 40, data=zlib.compress(bytes(99))), "damaged"),
    "png of an odd depth": (lambda: png(40, 40, depth=7), "not an image|damaged"),
    "png of changed bytes": (lambda: flipped(noise(), 0.5), "damaged"),
    "png of no width": (lambda: png(0, 40), "not an image|0x40 pixels"),
    "one pixel": (lambda: encoded(Image.new("RGB", (1, 1))), "1x1 pixels; expected at least 8"),
    "a line": (lambda: encoded(Image.new("L", (500, 2))), "500x2 pixels; expected at least 8"),
    "animated gif": (lambda: animated("GIF"), "3 pictures in one file; save each as a file"),
    "animated png": (lambda: animated("PNG"), "3 pictures in one file"),
    "pages of a tiff": (lambda: animated("TIFF"), "3 pictures in one file"),
    "tiff without a width": (lambda: without_width(animated("TIFF"), 0), "not an image of BMP"),
    "page of a tiff without a width": (
        lambda: without_width(animated("TIFF"), 1),
        r"damaged \(Missing dimensions\)",
    ),
    "bomb": (lambda: png(12_000, 12_000), "more than 89,478,485 pixels; make it smaller"),
    "larger bomb": (lambda: png(100_000, 100_000), "more than 89,478,485 pixels"),
    "floats": (
        lambda: encoded(Image.fromarray(np.ones((40, 40), np.float32)), "TIFF"),
        "whose white is not known",
    ),
    "32 bits": (
        lambda: encoded(Image.fromarray(np.ones((40, 40), np.int32)), "TIFF"),
        "values of 32 bits or with a sign",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_image_is_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    """Each malformed file has a message that says what it is, and nothing else is raised."""
    make, reason = BAD[kind]
    (tmp_path / "x.png").write_bytes(make())

    with pytest.raises(DataError, match=reason):
        pixels.read(tmp_path / "x.png", resolution=32, channels=3)


def read(path: Path, content: bytes, *, channels: int = 3) -> np.ndarray:
    """Write a file and read it at 32 pixels."""
    path.write_bytes(content)
    return pixels.read(path, resolution=32, channels=channels)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an image is written."""
    return tmp_path / "x.png"


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_common_formats_are_read(kind: str, path: Path) -> None:
    """Each format gives the same picture, whatever the file is called, up to its compression."""
    flat = Image.new("RGB", (64, 48), (200, 100, 50))

    image = read(path, encoded(flat, kind))

    assert (np.uint8, (3, 32, 32)) == (image.dtype, image.shape)
    assert np.abs(image.mean(axis=(1, 2)) - [200, 100, 50]).max() < 6


def test_an_image_of_the_size_wanted_is_left_as_it_is(path: Path) -> None:
    """No pixel of it changes."""
    np.testing.assert_array_equal(
        NOISE[:32, :32].transpose(2, 0, 1), read(path, encoded(Image.fromarray(NOISE[:32, :32])))
    )


@pytest.mark.parametrize("size", [(96, 32), (32, 96), (192, 64), (24, 8)])
def test_the_middle_is_kept(size: tuple[int, int], path: Path) -> None:
    """The shorter side is scaled, and of the longer one the middle third is what is left here."""
    width, height = size
    image = np.zeros((height, width), np.uint8)
    side = min(size)
    image[height // 2 - side // 2 :, width // 2 - side // 2 :][:side, :side] = 255

    found = read(path, encoded(Image.fromarray(image)), channels=1)[0]

    assert 255 == found[12:20, 12:20].min()
    assert found.min() > 127  # the edges of what is scaled are smooth


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 90, (90, 90, 90)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (200, 0, 0, 255), (200, 0, 0)),
        ("RGBA", (200, 0, 0, 0), (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
    ],
)
def test_modes(mode: str, colour: object, expected: tuple[int, ...], path: Path) -> None:
    """Every mode becomes colour, what is transparent white."""
    image = read(path, encoded(Image.new(mode, (32, 32), colour)))  # type: ignore[arg-type]

    assert list(expected) == image[:, 5, 5].tolist()


def test_inks_become_light(path: Path) -> None:
    """A JPEG of CMYK is read as the colours that its inks show."""
    image = read(path, encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG"))

    red, green, blue = image.mean(axis=(1, 2))
    assert red > 200
    assert max(green, blue) < 60


def test_16_bits_become_8(path: Path) -> None:
    """The high byte is kept, where a plain conversion would make nearly all of it white."""
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)

    image = read(path, encoded(Image.fromarray(ramp)), channels=1)

    np.testing.assert_array_equal((ramp >> 8).astype(np.uint8), image[0])


def test_16_bits_of_a_pgm_become_8(path: Path) -> None:
    """Though Pillow opens it as values of 32 bits, their white is known."""
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(">u2")

    image = read(path, b"P5 32 32 65535\n" + ramp.tobytes(), channels=1)

    np.testing.assert_array_equal((ramp >> 8).astype(np.uint8), image[0])


def test_the_first_picture_of_a_phones_jpeg(path: Path) -> None:
    """What follows in the file is a preview, or the same through another lens."""
    first, second = (Image.new("L", (32, 32), grey) for grey in (200, 20))

    image = read(path, encoded(first, "MPO", save_all=True, append_images=[second]), channels=1)

    assert np.abs(image.astype(int) - 200).max() < 4


@pytest.mark.parametrize(("channels", "expected"), [(1, [119]), (3, [119, 119, 119])])
def test_lab_becomes_grey_or_colour(channels: int, expected: list[int], path: Path) -> None:
    """L* = 50 without a tint is the grey 119 (CIE 1976, sRGB)."""
    image = read(
        path, encoded(Image.new("LAB", (32, 32), (128, 128, 128)), "TIFF"), channels=channels
    )

    assert np.abs(image[:, 5, 5].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_failure_of_the_disk_is_no_damage(
    number: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing about the image, and comes through as it is."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Image, "open", fail)

    with pytest.raises(OSError, match=os.strerror(number)):
        read(path, noise())


def test_a_seek_before_the_start_is_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An offset below zero comes from the file, though the system refuses it."""

    def seek(*_: object, **__: object) -> None:
        with path.open("rb") as file:
            file.seek(-1)

    monkeypatch.setattr(Image, "open", seek)

    with pytest.raises(DataError, match=r"damaged \(.*Invalid argument"):
        read(path, noise())


def test_a_photograph_is_turned_upright(path: Path) -> None:
    """The rotation that a camera writes into the file is applied."""
    left = np.zeros((32, 32), np.uint8)
    left[:, :16] = 255
    exif = Image.Exif()
    exif[TiffImagePlugin.IMAGEWIDTH] = 32
    exif[0x0112] = 6  # turn by 90 degrees, clockwise

    image = read(path, encoded(Image.fromarray(left), exif=exif), channels=1)

    assert (255, 0) == (image[0, :16].min(), image[0, 16:].max())


def test_grey_of_colour(path: Path) -> None:
    """With one channel colours become their luma."""
    image = read(path, encoded(Image.new("RGB", (32, 32), (255, 0, 0))), channels=1)

    assert {76} == set(image.ravel().tolist())


EXIF_VALUES = {
    "text": (2, 5, b"wide\0"),
    "a number": (4, 1, struct.pack("<I", 99999)),
    "a fraction of nothing": (5, 1, struct.pack("<II", 1, 0)),
    "bytes": (7, 4, b"\0\1\2\3"),
    "a float": (11, 1, struct.pack("<f", 1.5)),
}


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return EXIF whose entries have any type: Pillow would write the right one."""
    at, fields, values = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, number, value in sorted(entries):
        place = struct.pack("<I", at + len(values)) if len(value) > 4 else value.ljust(4, b"\0")
        values += value if len(value) > 4 else b""
        fields += struct.pack("<HHI", tag, kind, number) + place
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    return head + fields + struct.pack("<I", 0) + values


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("tag", [0x0100, 0x011A, 0x0128, 0x0131, 0x0103, 0x8769])
@pytest.mark.parametrize("value", EXIF_VALUES)
def test_an_odd_entry_of_exif_is_no_damage(value: str, tag: int, kind: str, path: Path) -> None:
    """A rotated picture is turned upright whatever else a camera has written beside it."""
    left = np.zeros((32, 32), np.uint8)
    left[:, :16] = 255
    entries = exif((0x0112, 3, 1, struct.pack("<H", 6)), (tag, *EXIF_VALUES[value]))

    image = read(path, encoded(Image.fromarray(left), kind, exif=entries), channels=1)

    assert (image[0, :14].min(), image[0, 18:].max()) == pytest.approx((255, 0), abs=12)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_that_is_none_is_no_damage(kind: str, path: Path) -> None:
    """Without an orientation that can be read a picture is taken as it is."""
    image = read(path, encoded(Image.new("RGB", (32, 32), "red"), kind, exif=b"Exif\0\0not a tiff"))

    assert np.abs(image[:, 5, 5].astype(int) - [255, 0, 0]).max() < 5


@pytest.mark.parametrize("what", ["text", "profile"])
def test_a_png_with_a_lot_beside_its_pixels(what: str, path: Path) -> None:
    """More than Pillow reads of it: the workflow of an image generator, say."""
    long = b"x" * 2**21
    options: dict[str, object] = {"icc_profile": long}
    if what == "text":
        options = {"pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_text("workflow", "x" * 2**21, zip=True)  # type: ignore[attr-defined]

    image = read(path, encoded(Image.fromarray(NOISE), **options))

    np.testing.assert_array_equal(read(path, noise()), image)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"iCCPname\0\5profile", id="a profile packed in an unknown way"),
        pytest.param(b"zTXtkey\0\7text", id="a text packed in an unknown way"),
        pytest.param(b"tEXtkey\0text", id="a text with another checksum"),
    ],
)
def test_a_png_with_damage_beside_its_pixels(part: bytes, path: Path) -> None:
    """What Pillow cannot make sense of there is left out, and the picture is taken."""
    checksum = 0 if part.startswith(b"tEXt") else zlib.crc32(part)
    whole = noise()
    chunk = struct.pack(">I", len(part) - 4) + part + struct.pack(">I", checksum)

    image = read(path, whole[:33] + chunk + whole[33:])

    np.testing.assert_array_equal(read(path, whole), image)


def test_bits_of_a_png_with_a_lot_beside_its_pixels(path: Path) -> None:
    """They count: values above what others use would else come round to black again."""
    ramp = Image.fromarray(np.linspace(0, 4095, 32 * 32).reshape(32, 32).astype(np.uint16))
    path.write_bytes(encoded(ramp, icc_profile=b"x" * 2**21))

    assert pixels.bits_of([path]) == 12


def test_a_cut_png_with_a_lot_beside_its_pixels_is_damage(path: Path) -> None:
    """Only the pixels decide."""
    content = encoded(Image.fromarray(NOISE), icc_profile=b"x" * 2**21)

    with pytest.raises(DataError, match="damaged"):
        read(path, content[:-2000])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("most", "bits"),
    [(0, 8), (200, 8), (256, 10), (4095, 12), (4096, 14), (30_000, 16), (65_535, 16)],
)
def test_bits_are_those_of_a_sensor(most: int, bits: int, kind: str, tmp_path: Path) -> None:
    """The largest value of all files says how many of 16 bits are used."""
    for name, value in (("a", most // 2), ("b", most)):
        (tmp_path / name).write_bytes(encoded(Image.new("I;16", (32, 32), value), kind))
    (tmp_path / "c").write_bytes(noise())
    (tmp_path / "d").write_text("no image")

    assert bits == pixels.bits_of(sorted(tmp_path.iterdir()))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_12_bits_in_a_file_of_16_are_not_black(kind: str, path: Path) -> None:
    """Their white is 4095, as the files of a microscope have it."""
    ramp = np.linspace(0, 4095, 32 * 32).reshape(32, 32).astype(np.uint16)
    path.write_bytes(encoded(Image.fromarray(ramp), kind))

    image = pixels.read(path, resolution=32, channels=1, bits=lambda: 12)

    np.testing.assert_array_equal((ramp >> 4).astype(np.uint8), image[0])


def test_the_white_of_a_pgm_is_in_the_file(path: Path) -> None:
    """A dark one stays dark, whatever other files are."""
    path.write_bytes(b"P5 32 32 4095\n" + np.full((32, 32), 400, ">u2").tobytes())

    image = pixels.read(path, resolution=32, channels=1, bits=lambda: 8)

    assert {25} == set(image.ravel().tolist())


def test_avif_is_read_where_pillow_can(tmp_path: Path) -> None:
    """By its ending; under another, the message says what to do."""
    if not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    content = encoded(Image.new("RGB", (32, 32), "red"), "AVIF")

    assert 240 < read(tmp_path / "x.avif", content)[0].min()
    with pytest.raises(DataError, match="but maybe HEIC or AVIF; give it that ending"):
        read(tmp_path / "x.jpg", content)
