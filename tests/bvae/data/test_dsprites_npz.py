import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bvae.data.dsprites_npz import Comparison, compare, md5_of, read_images
from bvae.exceptions import DataError


def read_all(path: Path) -> np.ndarray:
    """All images of a file at once."""
    return np.concatenate(list(read_images(path)))


def test_the_checksum_is_that_of_the_file(npz: Path) -> None:
    """The MD5 is that of the bytes of the file."""
    expected = hashlib.md5(npz.read_bytes(), usedforsecurity=False).hexdigest()
    assert md5_of(npz) == expected


@pytest.mark.parametrize(
    ("name", "reason"), [("absent.npz", "No such file"), ("", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path, name: str, reason: str) -> None:
    """A path where there is no file is an error that says where to get the official one."""
    with pytest.raises(DataError, match=rf"cannot read .*{reason}.*; download it from https://"):
        md5_of(tmp_path / name)


def test_images_come_in_order(npz: Path, npz_arrays: dict[str, np.ndarray]) -> None:
    """The images are those of the file, in its order."""
    np.testing.assert_array_equal(read_all(npz), npz_arrays["imgs"])


def test_images_come_in_chunks(tmp_path: Path) -> None:
    """A large array comes in several chunks, none of which is lost."""
    images = np.zeros((5000, 64, 64), np.uint8)
    images[:, 0, 0] = np.arange(5000) % 2
    np.savez_compressed(tmp_path / "large.npz", imgs=images)
    chunks = list(read_images(tmp_path / "large.npz"))
    assert [len(chunk) for chunk in chunks] == [4096, 904]
    np.testing.assert_array_equal(np.concatenate(chunks), images)


def test_our_own_images_do_not_differ(npz: Path) -> None:
    """A file of our own drawings has no differences."""
    assert compare(npz) == Comparison(images=24, differing_images=0, differing_pixels=0)


def test_differences_are_counted(npz: Path, npz_arrays: dict[str, np.ndarray]) -> None:
    """Images and pixels that differ are counted, wherever they are."""
    npz_arrays["imgs"][2, 5, 5:7] ^= 1
    npz_arrays["imgs"][-1, 63, 63] ^= 1
    np.savez_compressed(npz, **npz_arrays)
    assert compare(npz) == Comparison(images=24, differing_images=2, differing_pixels=3)


def test_images_are_compared_by_their_classes(npz: Path, npz_arrays: dict[str, np.ndarray]) -> None:
    """The classes in the file say what to draw, not the place of an image."""
    backwards = {name: array[::-1] for name, array in npz_arrays.items() if name != "metadata"}
    np.savez_compressed(npz, **backwards)
    assert compare(npz).differing_images == 0
    np.savez_compressed(npz, **npz_arrays | {"imgs": backwards["imgs"]})
    assert compare(npz).differing_images == 24


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        pytest.param(np.zeros((2, 64, 64), bool), r"found bool \[2, 64, 64\]", id="type"),
        pytest.param(np.zeros((2, 32, 32), np.uint8), r"found uint8 \[2, 32, 32\]", id="shape"),
        pytest.param(
            np.asfortranarray(np.zeros((2, 64, 64), np.uint8)), "stored by columns", id="order"
        ),
        pytest.param(
            np.array([print] * 2, object), "Python objects, which are never unpickled", id="pickle"
        ),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    """Images of another type, shape or layout are refused, and nothing is unpickled."""
    np.savez_compressed(tmp_path / "other.npz", imgs=array)
    with pytest.raises(DataError, match=rf"an npz with imgs uint8 \['n', 64, 64\].*{reason}"):
        read_all(tmp_path / "other.npz")


def cut(path: Path) -> None:
    """Keeps the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    """Overwrites compressed data in a file."""
    content = bytearray(path.read_bytes())
    start = content.index(b"imgs.npy") + 60
    content[start : start + 200] = bytes(200)
    path.write_bytes(bytes(content))


def leave_out(path: Path) -> None:
    """Writes a file without images."""
    np.savez(path, latents_classes=np.zeros((2, 6), int))


def promise_more(path: Path) -> None:
    """Writes a file whose images end too early."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("imgs.npy", "w") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2, 64, 64)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(64 * 64))


def newer_header(path: Path) -> None:
    """Writes a file whose array has a header of version 2."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("imgs.npy", "w") as file:
        np.lib.format.write_array(file, np.zeros((2, 64, 64), np.uint8), version=(2, 0))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_text("no archive"), "not a zip file"),
        (cut, "not a zip file"),
        (scramble, "Error|Bad CRC"),
        (leave_out, "no item named 'imgs.npy'"),
        (promise_more, "cannot reshape"),
        (newer_header, r"a header of version \(2, 0\)"),
    ],
)
def test_a_spoilt_file_is_reported(npz: Path, spoil: Callable[[Path], object], reason: str) -> None:
    """Whatever is wrong with the file, one error says so, and where to get the right one."""
    spoil(npz)
    with pytest.raises(DataError, match=rf"expected .*dsprites.npz.*({reason}).*; download https"):
        read_all(npz)


@pytest.mark.parametrize("number", [23, 25, 5000])
def test_another_number_of_classes_is_reported(
    npz: Path, npz_arrays: dict[str, np.ndarray], number: int
) -> None:
    """A file that has not one row of classes for each image cannot be compared."""
    classes = np.resize(npz_arrays["latents_classes"], (number, 6))
    np.savez_compressed(npz, **npz_arrays | {"latents_classes": classes})
    with pytest.raises(DataError, match="as many classes as images"):
        compare(npz)


def test_impossible_classes_are_reported(npz: Path, npz_arrays: dict[str, np.ndarray]) -> None:
    """A file with classes that dSprites does not have cannot be compared."""
    npz_arrays["latents_classes"][0, 1] = 3
    np.savez_compressed(npz, **npz_arrays)
    with pytest.raises(DataError, match=r"expected shape in 0\.\.2"):
        compare(npz)
