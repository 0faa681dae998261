"""Folders with images in them, and with everything else that people's folders hold."""

import errno
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bvae.data import folder, hashes
from bvae.data.datasets import describe, open_dataset
from bvae.exceptions import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def save(path: Path, grey: int, size: tuple[int, int] = (32, 32)) -> None:
    """Write an image of one grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with four images, one of them in a folder below."""
    root = tmp_path / "images"
    for grey, name in ((10, "a.png"), (20, "b.JPG"), (30, "c.bmp"), (40, "more/d.png")):
        save(root / name, grey)
    return root


def greys(root: Path) -> list[int]:
    """Open a folder; return the grey of each image."""
    dataset = open_dataset("folder", path=root, resolution=32, channels=1)
    return [int(image.mean()) for image in dataset.store.images(np.arange(len(dataset)))]


def again(root: Path) -> folder.FolderContents:
    """Look at a folder as another process would."""
    folder.forget()
    return folder.contents(root)


class TestLook:
    def test_images_are_found_below_too_and_in_order(self, images: Path) -> None:
        """By their path; other and hidden files are none."""
        (images / "notes.txt").write_text("no image")
        save(images / ".hidden.png", 0)

        assert ("a.png", "b.JPG", "c.bmp", "more/d.png") == folder.contents(images).names

    @pytest.mark.parametrize("make", [Path.mkdir, lambda root: save(root / "x" / ".y.png", 0)])
    def test_an_empty_folder_is_refused(self, make: object, tmp_path: Path) -> None:
        """No images, no study."""
        make(tmp_path / "none")  # type: ignore[operator]

        with pytest.raises(DataError, match=r"expected images in .*none \(\.bmp .*but got none"):
            folder.contents(tmp_path / "none")

    def test_a_file_is_no_folder(self, images: Path) -> None:
        """The path of one image is not that of a folder."""
        with pytest.raises(DataError, match=r"expected a folder of images, but .*a\.png is none"):
            folder.contents(images / "a.png")

    def test_a_file_that_cannot_be_read(
        self, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The content of the folder is not known then."""

        def fail(*_: object) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(hashlib, "file_digest", fail)

        with pytest.raises(DataError, match=r"cannot read .*a\.png: Input/output error"):
            folder.contents(images)


class TestContent:
    def test_a_copy_elsewhere_is_the_same(self, images: Path, tmp_path: Path) -> None:
        """Names and bytes count, neither times nor the place."""
        known = folder.contents(images).sha256
        os.utime(images / "a.png", (1, 1))
        images.rename(tmp_path / "moved")

        assert known == folder.contents(tmp_path / "moved").sha256

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: save(root / "a.png", 11),
            lambda root: save(root / "e.png", 50),
            lambda root: (root / "a.png").unlink(),
            lambda root: (root / "a.png").rename(root / "z.png"),
        ],
        ids=["other bytes", "one more", "one less", "another name"],
    )
    def test_a_changed_folder_is_another_data_set(self, change: object, images: Path) -> None:
        """And has a store of its own."""
        before, known = greys(images), folder.contents(images).sha256
        change(images)  # type: ignore[operator]

        assert known != again(images).sha256
        assert before != greys(images)


class TestOpening:
    def test_images_are_read_once(self, images: Path, cache: Path) -> None:
        """A second opening maps the store, also when the files are gone."""
        assert [10, 20, 30, 40] == greys(images)
        for path in images.glob("*.*"):
            path.unlink()

        assert [10, 20, 30, 40] == greys(images)
        (store,) = cache.glob("*.npy")
        assert store.name.startswith(f"folder-{folder.contents(images).sha256[:16]}-32x1-v")

    def test_unreadable_ones_are_listed_and_skipped(
        self, images: Path, cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The others make the data set; a note keeps the list, for later openings too."""
        (images / "b.JPG").write_text("no image")
        save(images / "tiny.png", 0, (1, 1))

        for _ in range(2):
            dataset = open_dataset("folder", path=images, resolution=32, channels=1)
            assert (3, 2) == (len(dataset), dataset.n_skipped)

        (note,) = cache.glob("*.skipped.txt")
        said = capsys.readouterr().err
        for line in (
            "b.JPG: not an image of BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP",
            "tiny.png: 1x1 pixels; expected at least 8 a side",
        ):
            assert line in said
            assert line in note.read_text("utf-8")
        assert 1 == said.count("2 files are left out")

    def test_a_failure_of_the_disk_ends_the_build(
        self, images: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An image that could not be read this once is not left out for good."""
        folder.contents(images)
        (images / "b.JPG").rename(images / "elsewhere")

        with pytest.raises(DataError, match=r"cannot read .*b\.JPG: No such file.*try again"):
            greys(images)
        assert not [*cache.glob("folder-*")]
        (images / "elsewhere").rename(images / "b.JPG")
        assert [10, 20, 30, 40] == greys(images)

    def test_nothing_is_left_when_none_can_be_read(self, images: Path, cache: Path) -> None:
        """The error lists them all, and no store is half-written."""
        for path in images.rglob("*.*"):
            path.write_text("no image")

        with pytest.raises(DataError, match=r"no image in .*(?s:.)*more/d\.png: not an image"):
            open_dataset("folder", path=images, resolution=32, channels=1)
        assert not [*cache.glob("folder-*")]

    def test_mixed_sizes_make_one(self, images: Path) -> None:
        """Every image is brought to the same size."""
        save(images / "e.png", 50, (200, 37))

        assert [10, 20, 30, 50, 40] == greys(images)

    def test_a_name_of_any_bytes_is_listed(self, images: Path, cache: Path) -> None:
        """A name that is no text, or of two lines, stands on one line of the note."""
        (Path(os.fsdecode(os.fsencode(images) + b"/\xff\n.png"))).write_text("no image")

        assert 1 == open_dataset("folder", path=images, resolution=32, channels=1).n_skipped

    def test_what_is_skipped_does_not_hang_on_the_store(self, images: Path) -> None:
        """It is counted anew at each opening, with what cannot be decoded."""
        (images / "b.JPG").write_text("no image")
        (images / "notes.txt").touch()
        (images / "gone.png").symlink_to("nothing")
        numbers = []
        for change in (lambda: None, lambda: None, (images / "gone.png").unlink):
            change()
            folder.forget()
            opened = open_dataset("folder", path=images, resolution=32, channels=1)
            numbers.append((len(opened), opened.n_skipped))

        assert [(3, 3), (3, 3), (3, 2)] == numbers

    def test_12_bits_in_files_of_16(self, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The largest value of all images is taken for white, in steps of a sensor's bits."""
        for name, value in (("a", 0), ("b", 2048), ("c", 4000)):
            Image.new("I;16", (32, 32), value).save(images / f"e{name}.png")

        assert [10, 20, 30, 0, 128, 250, 40] == greys(images)
        assert "none is above 4095, which is taken for white" in capsys.readouterr().err

    def test_a_second_process_opens_no_image(
        self, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor does the same one under another name of the folder."""
        now = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now + 10**10)
        known = greys(images)
        opened: list[Path] = []
        monkeypatch.setattr(hashes, "_hashed", opened.append)
        monkeypatch.chdir(images.parent)

        folder.forget()
        assert known == greys(images) == greys(Path("images"))
        assert not opened

    def test_hidden_images_alone(self, images: Path, tmp_path: Path) -> None:
        """Nothing is taken, and what is left out is told."""
        (tmp_path / "x").mkdir()
        images.rename(tmp_path / "x" / ".images")

        with pytest.raises(DataError, match=r"got none; .*hidden and system folders: 1 \(\.images"):
            folder.contents(tmp_path / "x")

    def test_sizes_and_channels(self, images: Path) -> None:
        """64 pixels and three channels unless told otherwise."""
        assert (3, 64, 64) == describe("folder", path=images).image_shape
        assert (1, 128, 128) == (
            open_dataset("folder", path=images, resolution=128, channels=1).store.image_shape
        )
