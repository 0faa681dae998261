"""Hashes that are kept, and when they are not trusted."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from bvae.data import hashes
from bvae.exceptions import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read."""
    names: list[str] = []
    hashed = hashes._hashed
    monkeypatch.setattr(hashes, "_hashed", lambda path: (names.append(path.name), hashed(path))[1])
    return names


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour later than the files were written."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 3600 * 10**9)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with three files."""
    (tmp_path / "root").mkdir()
    for name in "abc":
        (tmp_path / "root" / name).write_text(name)
    return tmp_path / "root"


def look(root: Path) -> dict[str, str]:
    """Return the hashes of all that is in a folder."""
    return hashes.of_files(root, {path.name: path.stat() for path in sorted(root.iterdir())})


def sha(text: str) -> str:
    """Return the hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.usefixtures("clock")
def test_no_file_is_read_twice(root: Path, read: list[str]) -> None:
    """The second look, of another process as well, opens none."""
    assert {name: sha(name) for name in "abc"} == look(root) == look(root)
    assert ["a", "b", "c"] == read


def _same_size_and_time(path: Path) -> None:
    state = path.stat()
    path.write_text("x")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("change", "content"),
    [
        (lambda path: path.write_text("longer"), "longer"),
        (_same_size_and_time, "x"),
        (lambda path: (path.parent / "c").replace(path), "c"),
    ],
    ids=["other size", "same size and time", "another file in its place"],
)
def test_a_changed_file_is_read_again(
    change: object, content: str, root: Path, read: list[str]
) -> None:
    """And no other is; the time at which the system changed it cannot be set back."""
    look(root)
    read.clear()
    change(root / "b")  # type: ignore[operator]

    assert sha(content) == look(root)["b"]
    assert ["b"] == read


def test_a_file_of_the_same_moment_is_read_again(root: Path, read: list[str]) -> None:
    """It may have changed since in the same tick of the clock, as git knows."""
    look(root)
    look(root)

    assert ["a", "b", "c"] * 2 == read


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"begun_ns": 1}', '{"begun_ns": 1, "files": {"a": [1]}}', b"\xff"]
)
def test_a_damaged_index_is_not_trusted(
    content: str | bytes, root: Path, cache: Path, read: list[str]
) -> None:
    """All is read, and it is written anew."""
    look(root)
    (index,) = cache.glob("hashes-*.json")
    index.write_bytes(content if isinstance(content, bytes) else content.encode())
    read.clear()

    assert {name: sha(name) for name in "abc"} == look(root) == look(root)
    assert ["a", "b", "c"] == read
    assert {"a", "b", "c"} == json.loads(index.read_bytes())["files"].keys()


@pytest.mark.usefixtures("clock")
def test_files_of_one_folder_share_an_index(root: Path, read: list[str]) -> None:
    """Two arrays beside one another do not push each other out."""
    for _ in range(2):
        assert (sha("a"), sha("b")) == (hashes.of_file(root / "a"), hashes.of_file(root / "b"))

    assert ["a", "b"] == read


def test_a_cache_that_cannot_be_written(root: Path, cache: Path) -> None:
    """Costs a second look, nothing else."""
    cache.write_text("a file")

    assert {name: sha(name) for name in "abc"} == look(root)


def test_a_file_that_has_gone(root: Path) -> None:
    """Nothing is known of the folder then."""
    files = {"a": (root / "a").stat()}
    (root / "a").unlink()

    with pytest.raises(DataError, match=r"cannot read .*a: No such file.*try again"):
        hashes.of_files(root, files)
