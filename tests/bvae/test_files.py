import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.files import (
    expanded,
    remove_leftovers,
    replace_atomically,
    shortened,
    with_tilde,
    write_atomically,
)


def test_text_and_bytes_are_written(tmp_path: Path) -> None:
    """What is written can be read back, text as UTF-8."""
    write_atomically(tmp_path / "text", "β = 4")
    write_atomically(tmp_path / "bytes", b"\x00\xff")

    assert "β = 4" == (tmp_path / "text").read_text(encoding="utf-8")
    assert b"\x00\xff" == (tmp_path / "bytes").read_bytes()


def test_bytes_of_a_path_can_be_written(tmp_path: Path) -> None:
    """Those that are no UTF-8 come back from what is read as JSON."""
    write_atomically(tmp_path / "text", json.dumps({"path": "β \udce9"}, ensure_ascii=False))

    assert {"path": "β \udce9"} == json.loads((tmp_path / "text").read_text(encoding="utf-8"))


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """A file may be written into a folder that does not exist yet."""
    write_atomically(tmp_path / "a" / "b" / "file", "x")

    assert "x" == (tmp_path / "a" / "b" / "file").read_text()


def test_failing_writer_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    """A full disk leaves the old content, and no temporary file."""
    path = tmp_path / "result.json"
    write_atomically(path, "old")

    def fill(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left") as raised:
        replace_atomically(path, fill)

    assert str(path) == raised.value.filename
    assert "old" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_atomically(path, "new"),
        lambda path: replace_atomically(path, lambda temporary: temporary.write_text("new")),
    ],
)
def test_content_is_on_the_disk_before_the_name(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of power leaves no empty file: it is synced whole, then renamed, then its folder."""
    path, steps = tmp_path / "file", []
    sync, replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        steps.append("folder" if is_folder else f"{os.fstat(handle).st_size} bytes")
        sync(handle)

    def renamed(source: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    write(path)

    assert ["3 bytes", "rename", "folder"] == steps


def test_temporary_file_keeps_the_suffix(tmp_path: Path) -> None:
    """Writers that choose the format by the suffix see the right one."""
    seen = []
    replace_atomically(tmp_path / "a.npz", lambda path: (seen.append(path.suffix), path.touch()))

    assert [".npz"] == seen


def test_mode_follows_the_umask(tmp_path: Path) -> None:
    """Files on a shared folder are as readable as the user's umask says."""
    code = (
        "import os, sys, pathlib; os.umask(0o027);"
        "from bvae.files import write_atomically;"
        "write_atomically(pathlib.Path(sys.argv[1]), 'x')"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "file"], check=True)

    assert 0o640 == stat.S_IMODE((tmp_path / "file").stat().st_mode)


def test_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    """SIGKILL between writing and renaming leaves the old content under the name."""
    path = tmp_path / "file"
    write_atomically(path, "old")
    code = (
        "import os, sys, pathlib, signal; from bvae.files import replace_atomically;"
        "replace_atomically(pathlib.Path(sys.argv[1]),"
        " lambda p: (p.write_text('new'), os.kill(os.getpid(), signal.SIGKILL)))"
    )
    killed = subprocess.run([sys.executable, "-c", code, path], check=False)

    assert -signal.SIGKILL == killed.returncode
    assert "old" == path.read_text()


def test_leftovers_go_and_nothing_else(tmp_path: Path) -> None:
    """What killed writers left is removed, in every folder below; a user's hidden file is not."""
    (tmp_path / "checkpoints").mkdir()
    left = [tmp_path / f".{'0' * 32}.json", tmp_path / "checkpoints" / f".{'a' * 32}"]
    kept = [tmp_path / ".notes", tmp_path / "result.json", tmp_path / f".{'g' * 32}.json"]
    for path in left + kept:
        path.touch()

    remove_leftovers(tmp_path)

    assert set(kept) == {path for path in tmp_path.rglob("*") if path.is_file()}


def test_leftovers_of_a_killed_writer_are_known_by_their_name(tmp_path: Path) -> None:
    """The name under which a file is written is one that is removed."""
    seen: list[Path] = []
    replace_atomically(tmp_path / "a.npz", lambda path: (seen.append(path), path.touch()))
    seen[0].touch()

    remove_leftovers(tmp_path)

    assert not seen[0].exists()


class TestHome:
    @pytest.fixture(autouse=True)
    def home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody's home."""
        monkeypatch.setenv("HOME", "/home/ada")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("/home/ada", "~"),
            ("/home/ada/runs and /home/ada/data", "~/runs and ~/data"),
            ("'/home/ada/x.npz'", "'~/x.npz'"),
            ("/home/adamson/x", "/home/adamson/x"),
            ("/home/ada-2/x", "/home/ada-2/x"),
            ("/mnt/home/ada/x", "/mnt/home/ada/x"),
            ("/mnt/copy (1)/home/ada/x", "/mnt/copy (1)/home/ada/x"),
            ("file:///home/ada/x", "file://~/x"),
            ("nothing", "nothing"),
        ],
    )
    def test_is_a_tilde(self, text: str, expected: str) -> None:
        """Wherever it stands as a folder of its own, and nowhere else."""
        assert expected == with_tilde(text)

    def test_a_tilde_is_the_home(self) -> None:
        """At the start of what was typed; a folder of that name is in another."""
        assert [Path("/home/ada/x"), Path("~/x"), Path("a/~")] == [
            expanded(path) for path in ("~/x", "./~/x", "a/~")
        ]

    def test_a_home_at_the_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the root is the home, as in some containers, paths stay as they are."""
        monkeypatch.setenv("HOME", "/")

        assert "/data/x" == with_tilde("/data/x")

    def test_in_nested_values(self) -> None:
        """Texts are changed however deep; all else is as it was."""
        given = {"a": ["/home/ada/x", 1, None], "b": {"c": ("/home/ada", 2.5)}}

        assert {"a": ["~/x", 1, None], "b": {"c": ("~", 2.5)}} == shortened(given)


def test_an_account_without_a_home_has_none_to_shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts stay as they are."""

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)

    assert "/a/b" == with_tilde("/a/b")
