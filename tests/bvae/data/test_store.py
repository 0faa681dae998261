"""Stores of 8 images of 1 x 3 x 5 pixels: 15 bits, so that a row ends inside a byte."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from filelock import FileLock

from bvae.data.store import BYTES, ImageStore, cache_dir, open_store
from bvae.exceptions import DataError

SHAPE = (1, 3, 5)
IMAGES = np.random.default_rng(0).integers(0, 2, (8, *SHAPE), np.uint8)

Draw = Callable[[], Iterable[np.ndarray]]
Start = Callable[[Path], subprocess.Popen[str]]

# draws images of ones, but waits for a line on stdin before the second half of them
BUILDER = """
import sys
from pathlib import Path
import numpy as np
from bvae.data.store import open_store

def draw():
    yield np.ones((4, 1, 3, 5), np.uint8)
    print("half-way", flush=True)
    sys.stdin.readline()
    yield np.ones((4, 1, 3, 5), np.uint8)

store = open_store(Path(sys.argv[1]), number=8, image_shape=(1, 3, 5), draw=draw)
print(store.images(np.arange(8)).sum())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store of a test stands."""
    return tmp_path / "cache" / "images-v1.npy"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that opens a store in BUILDER's way; ends it with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(path: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", BUILDER, str(path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(command, text=True, **pipes))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def open_images(path: Path, draw: Draw | None = None) -> ImageStore:
    """The store of IMAGES, drawn in two chunks unless told otherwise."""
    chunks = draw or (lambda: iter([IMAGES[:5], IMAGES[5:]]))
    return open_store(path, number=8, image_shape=SHAPE, draw=chunks)


def not_drawn() -> NoReturn:
    """Stands for images that must not be drawn."""
    raise AssertionError("drawn again")


def test_images_come_back_in_the_order_asked() -> None:
    """The images at given rows are those that were packed, in that order."""
    store = ImageStore(np.packbits(IMAGES.reshape(8, -1), axis=1), SHAPE)
    rows = np.array([7, 0, 3, 3])
    assert len(store) == 8
    np.testing.assert_array_equal(store.images(rows), IMAGES[rows])


def test_a_store_is_built_once(path: Path) -> None:
    """The first opening builds the file and any later one only maps it."""
    first = open_images(path)
    second = open_images(path, draw=not_drawn)
    np.testing.assert_array_equal(first.images(np.arange(8)), IMAGES)
    np.testing.assert_array_equal(second.images(np.arange(8)), IMAGES)


def test_images_of_bytes(path: Path) -> None:
    """Grey and colours are kept as they are, a byte each."""
    images = np.random.default_rng(1).integers(0, 256, (8, *SHAPE), np.uint8)
    store = open_store(path, number=8, image_shape=SHAPE, draw=lambda: iter([images]), white=BYTES)
    assert (BYTES, (8, 15)) == (store.white, store.packed.shape)
    np.testing.assert_array_equal(store.images(np.array([7, 0])), images[[7, 0]])


def test_fewer_images_than_there_may_be(path: Path) -> None:
    """Where images may be left out, the file holds those that came, and is opened as it is."""
    options = {"number": 8, "image_shape": SHAPE, "may_lack": True}
    open_store(path, draw=lambda: iter([IMAGES[:3], IMAGES[3:6]]), **options)
    again = open_store(path, draw=not_drawn, **options)
    np.testing.assert_array_equal(again.images(np.arange(6)), IMAGES[:6])
    assert np.load(path).shape == (6, 2)
    with pytest.raises(DataError, match="expected 8 images, but got 0"):
        open_store(path.with_name("none.npy"), draw=lambda: iter([]), **options)


def test_a_store_is_mapped_and_read_only(path: Path) -> None:
    """The rows are pages of the file, and nobody can change them."""
    store = open_images(path)
    assert isinstance(store.packed.base, np.memmap)
    assert not store.packed.flags.writeable


def test_the_file_is_an_ordinary_npy_file(path: Path) -> None:
    """NumPy reads the file, whose rows are packed images."""
    open_images(path)
    np.testing.assert_array_equal(np.load(path), np.packbits(IMAGES.reshape(8, -1), axis=1))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="truncated"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"x"), id="too long"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:60]), id="half a header"),
        pytest.param(lambda path: path.write_text("not an array"), id="text"),
        pytest.param(lambda path: np.save(path, np.zeros((7, 2), np.uint8)), id="other shape"),
        pytest.param(lambda path: np.save(path, np.zeros((8, 2), np.int8)), id="other type"),
    ],
)
def test_a_damaged_file_is_built_again(path: Path, damage: Callable[[Path], object]) -> None:
    """A file that is not a whole store of the expected shape is replaced."""
    open_images(path)
    whole = path.read_bytes()
    damage(path)
    assert path.read_bytes() != whole
    np.testing.assert_array_equal(open_images(path).images(np.arange(8)), IMAGES)
    assert path.read_bytes() == whole


def test_a_killed_build_leaves_nothing_that_opens(path: Path, start: Start) -> None:
    """After SIGKILL in mid-build there is no store; the next opening builds one and clears up."""
    process = start(path)
    assert process.stdout.readline() == "half-way\n"
    process.kill()
    process.wait()
    leftovers = set(path.parent.iterdir()) - {path.parent / "build.lock"}
    assert leftovers
    assert path not in leftovers
    np.testing.assert_array_equal(open_images(path).images(np.arange(8)), IMAGES)
    assert set(path.parent.iterdir()) == {path.parent / "build.lock", path}


def test_two_processes_build_once(path: Path, start: Start) -> None:
    """A process that finds another one building waits, and then uses what that one has built."""
    first = start(path)
    assert first.stdout.readline() == "half-way\n"
    second = start(path)
    assert "Waiting for another process that builds" in second.stderr.readline()
    assert first.communicate("go on\n", timeout=60)[0] == "120\n"
    assert second.communicate(timeout=60)[0] == "120\n"
    assert (first.returncode, second.returncode) == (0, 0)
    assert set(path.parent.iterdir()) == {path.parent / "build.lock", path}


def test_the_lock_dies_with_its_holder(path: Path, start: Start) -> None:
    """A waiting process builds the store itself when the one that was building is killed."""
    first = start(path)
    assert first.stdout.readline() == "half-way\n"
    second = start(path)
    assert "Waiting" in second.stderr.readline()
    first.kill()
    assert second.communicate("go on\n", timeout=60)[0] == "half-way\n120\n"
    assert second.returncode == 0


def test_the_lock_is_free_after_a_build(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where somebody still holds on to it: it is released, not left to be collected."""
    kept: list[FileLock] = []
    acquire = FileLock.acquire
    monkeypatch.setattr(
        FileLock, "acquire", lambda lock, **options: (kept.append(lock), acquire(lock, **options))
    )
    open_images(path)
    assert [False] == [lock.is_locked for lock in kept]


def test_a_full_disk_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room the error says how much is needed and what to do, and nothing is left behind."""

    def full(_handle: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"No space left.*1 MB free: set BVAE_CACHE"):
        open_images(path)
    assert list(path.parent.iterdir()) == [path.parent / "build.lock"]


def test_a_cache_that_is_no_folder_is_reported(tmp_path: Path) -> None:
    """A cache that cannot be a folder is an error that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(
        DataError, match=r"cannot keep images in .*file: Not a directory.*BVAE_CACHE"
    ):
        open_images(tmp_path / "file" / "images.npy")


def test_a_store_whose_drawing_fails_is_not_kept(path: Path) -> None:
    """An error in the drawing comes through and leaves no file."""
    with pytest.raises(AssertionError, match="drawn again"):
        open_images(path, draw=not_drawn)
    assert list(path.parent.iterdir()) == [path.parent / "build.lock"]


@pytest.mark.parametrize("number", [7, 9])
def test_another_number_of_images_is_refused(path: Path, number: int) -> None:
    """A drawing that gives too few or too many images builds no store."""
    with pytest.raises(DataError, match=f"expected {number} images, but got 8"):
        open_store(path, number=number, image_shape=SHAPE, draw=lambda: [IMAGES])
    assert not path.exists()


def test_a_build_says_so_in_one_line(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where stderr is no terminal a build is one plain line, and a mere opening says nothing."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    open_images(path)
    assert capsys.readouterr() == ("", f"Building {path} (8 images, 1 MB)\n")
    open_images(path)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_progress_bar(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the share that is done is shown as well."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    open_images(path)
    _, _, bar = capsys.readouterr().err.partition("\n")
    assert "images-v1" in bar
    assert "100%" in bar


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """BVAE_CACHE names the cache, and may start with ~."""
    monkeypatch.setenv("BVAE_CACHE", "~/somewhere")
    assert cache_dir() == Path.home() / "somewhere"
    monkeypatch.setenv("BVAE_CACHE", "~no-such-account/cache")
    with pytest.raises(DataError, match="BVAE_CACHE: no folder can be ~no-such-account/cache"):
        cache_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of caches is another elsewhere")
@pytest.mark.parametrize("given", ["", None])
def test_the_cache_is_in_the_users_cache_folder(
    monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """Without BVAE_CACHE, or with an empty one, the cache is ~/.cache/bvae."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("BVAE_CACHE", raising=False)
    if given is not None:
        monkeypatch.setenv("BVAE_CACHE", given)
    assert cache_dir() == Path.home() / ".cache" / "bvae"


def test_an_account_without_a_home_has_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that knows no such user."""

    def none(name: str) -> Path:
        raise RuntimeError(name)

    monkeypatch.delenv("BVAE_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", none)

    assert Path(tempfile.gettempdir(), f"bvae-{os.getuid()}") == cache_dir()
