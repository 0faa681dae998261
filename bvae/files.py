"""Files that are either whole or absent, whatever is killed, or loses power, in mid-write."""

import contextlib
import errno
import os
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

TEMPORARY = re.compile(r"\.[0-9a-f]{32}(\..*)?")
"""Names of files that are being written."""


def write_atomically(path: Path, content: bytes | str) -> None:
    r"""Write a file as `replace_atomically` does.

    Paths may hold bytes that are no UTF-8: they are written as `\udce9`, which JSON and YAML read.

    Raises:
        OSError: if the disk is full or the folder cannot be written; the old file stands.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    replace_atomically(path, lambda temporary: _write(temporary, data))


def replace_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and rename it into place.

    What is renamed is on the disk: after a loss of power no file has its name and not its content.
    The temporary name keeps the suffix, since some writers choose the format by it.

    Raises:
        OSError: if the disk is full or the folder cannot be written; the old file stands, and is
            the one that is named.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        write(temporary)
        _sync_file(temporary)
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None:  # a full disk names no file, others the temporary one
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove_leftovers(folder: Path, *, below: bool = True) -> None:
    """Remove the temporary files that killed writers have left in a folder, and below it."""
    for path in folder.rglob(".*") if below else folder.glob(".*"):
        if TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Return the text of a file of a study.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, which might be waited for without end.
        UnicodeDecodeError: it is no UTF-8.
    """
    mode = path.stat().st_mode
    if not S_ISREG(mode) and not S_ISDIR(mode):  # a folder says so itself
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return path.read_text(encoding="utf-8")


def bytes_in(path: Path) -> int:
    """Return the size of a file, or of all files in a folder; links are not followed."""
    files = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
    found = 0
    for file in files:
        with contextlib.suppress(FileNotFoundError):  # a running study replaces its files
            stat = file.lstat()
            found += stat.st_size if S_ISREG(stat.st_mode) else 0
    return found


def is_file_name(name: str) -> bool:
    """Whether a text may be, or be a part of, the name of a file: no path that leads elsewhere.

    >>> is_file_name("kim2018"), is_file_name("../x"), is_file_name("")
    (True, False, False)
    """
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return name not in ("", ".", "..") and not {"/", "\0"} & set(name)


def expanded(path: str) -> Path:
    """Return a path as it was typed, with `~` at its start for the home; `./~` is a folder."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - a Path has lost the dot


def with_tilde(text: str) -> str:
    """Return a text with the user's home folder written as `~`.

    A reader of a report or a shared run need not learn whose account it was.
    """
    try:
        home = str(Path.home()).rstrip("/")
    except RuntimeError:  # an account without one, as in a container
        return text
    if not home:
        return text
    begins = r"""(?:^|(?<=[\s"'`=:,;<>(\[{])|(?<=://))"""  # else it is within a longer path
    return re.sub(rf"{begins}{re.escape(home)}(?![\w.-])", "~", text)


def shortened(value: Any) -> Any:
    """Return mappings and lists with every text in them `with_tilde`."""
    if isinstance(value, str):
        return with_tilde(value)
    if isinstance(value, Mapping):
        return {key: shortened(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(shortened(part) for part in value)
    return value


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
