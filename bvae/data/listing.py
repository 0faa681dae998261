"""What a folder of the user's holds: pictures, and everything else by its kind.

Left out are hidden and system folders, and folders of studies, whose pictures are drawn by this
program. Links are followed, each folder and each picture they lead to is taken once, and none back
to a folder above: so a walk ends. Nothing is opened.
"""

import errno
import functools
import importlib
import io
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from PIL import features

from bvae.exceptions import DataError

SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)
"""Endings of the files that are taken for images wherever this runs."""

SYSTEM = frozenset(
    [
        *("@eadir", "@recycle", "#recycle", "#snapshot", "__macosx", "$recycle.bin"),
        *("system volume information", "lost+found", "thumbs.db", "desktop.ini"),
    ]
)
"""Names of folders and files that systems make for themselves, in small letters."""

NOWHERE, ABOVE = "links that lead nowhere", "links to a folder above"
AGAIN = "links to what is taken already"
NO_FILE, CLOSED = "no files, but called so", "may not be read"
"""Why a picture or a link is not taken."""

_REASONS = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.ELOOP), NOWHERE),
    **dict.fromkeys((errno.EACCES, errno.EPERM), CLOSED),
}
_ENDINGS_TOLD, _NAMES_TOLD = 5, 3
_LONGEST_ENDING = 12


class Skipped(NamedTuple):
    """A file, by its name in the folder, and why it is not used."""

    name: str
    reason: str


@dataclass
class Listing:
    """What a folder holds.

    Attributes:
        pictures: what the system says of each picture, by its name in the folder.
        refused: pictures and links that are not taken.
        endings: numbers of files that are not read, by their ending.
        hidden: folders left out as hidden or of the system.
        studies: folders left out as studies, and images beside these.
        links: how many pictures and folders are reached by a link.
    """

    pictures: dict[str, os.stat_result] = field(default_factory=dict)
    refused: list[Skipped] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    hidden: list[str] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)
    links: int = 0

    @property
    def names(self) -> list[str]:
        """The pictures in the order of their parts."""
        return sorted(self.pictures, key=lambda name: name.split("/"))

    @property
    def n_skipped(self) -> int:
        """How many files are looked at and not used."""
        return len(self.refused) + self.endings.total()

    @property
    def told(self) -> str:
        """One line on links and all that is left out; empty if there is nothing to say."""
        taken = f"{len(self.pictures):,} images are taken"
        if self.links:
            taken += f" ({self.links} links followed)"
        left_out = self._left_out()
        if not (self.links or left_out):
            return ""
        return f"{taken}; left out: {left_out}" if left_out else taken

    def _left_out(self) -> str:
        parts = [*self._endings_told(), *self._refused_told()]
        parts += [_counted("hidden and system folders", self.hidden)] if self.hidden else []
        parts += [_counted("folders of studies", self.studies)] if self.studies else []
        return "; ".join(parts)

    def _endings_told(self) -> Iterator[str]:
        most = self.endings.most_common(_ENDINGS_TOLD)
        counted = [f"{number} {ending}{_advice(ending)}" for ending, number in most]
        more = self.endings.total() - sum(number for _, number in most)
        counted += [f"{more} others"] if more else []
        if counted:
            yield f"endings that are not read: {', '.join(counted)}"

    def _refused_told(self) -> Iterator[str]:
        for reason in dict.fromkeys(one.reason for one in self.refused):
            yield _counted(reason, [one.name for one in self.refused if one.reason == reason])


def _counted(what: str, names: list[str]) -> str:
    shown = [printable(name) for name in sorted(names)[:_NAMES_TOLD]]
    shown += ["…"] if len(names) > len(shown) else []
    return f"{what}: {len(names)} ({', '.join(shown)})"


def printable(name: str) -> str:
    """A file name on one line, whatever its bytes are: a terminal must not obey them."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in name)


PACKAGES: Mapping[str, str] = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "pillow-heif"),
    ".avif": "'pillow>=11.3'",
}
"""Endings that are read where a package is there."""


@functools.cache
def is_read(suffix: str) -> bool:
    """Whether files of an ending, in small letters, are read here."""
    if suffix in SUFFIXES:
        return True
    if suffix == ".avif":
        return bool(features.check("avif"))
    return suffix in PACKAGES and _has_heif()


@functools.cache
def _has_heif() -> bool:
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True


def _advice(ending: str) -> str:
    return f" (to read them: pip install {PACKAGES[ending]})" if ending in PACKAGES else ""


def look(root: Path, tick: Callable[[], object] = lambda: None) -> Listing:
    """Return what a folder holds, below it too.

    Args:
        root: the folder.
        tick: is called for each entry.

    Raises:
        DataError: a folder cannot be listed.
    """
    return _Walk(root, tick).listing


class _Walk:
    """The real folders first, then what links lead to, in the order of their names."""

    def __init__(self, root: Path, tick: Callable[[], object]) -> None:
        self._tick = tick
        self.listing = Listing()
        self._links: list[tuple[str, os.DirEntry[str]]] = []
        self._folders: set[tuple[int, int]] = set()
        self._files: set[tuple[int, int]] | None = None  # once links are followed
        real = root.resolve()
        self._above = {_place(folder.stat()) for folder in real.parents}
        self._into("", str(root), root.stat())
        if self._links:
            self._files = {_place(one) for one in self.listing.pictures.values()}
        while self._links:
            links, self._links = sorted(self._links, key=lambda link: link[0].split("/")), []
            for name, entry in links:
                self._follow(name, entry)
        self._leave_what_is_beside_studies()

    def _leave_what_is_beside_studies(self) -> None:
        """A chart that was saved in `runs/` is no picture of the user's either."""
        runs = {study.rpartition("/")[0] for study in self.listing.studies} - {""}
        if runs:
            pictures = self.listing.pictures
            self.listing.pictures = {
                name: found
                for name, found in pictures.items()
                if name.rpartition("/")[0] not in runs
            }

    def _into(self, below: str, path: str, found: os.stat_result) -> None:
        """Take a folder and the real ones below it, unless they have been."""
        waiting = [(below, path, found)]
        while waiting:
            below, path, found = waiting.pop()
            if _place(found) in self._folders:
                continue
            self._folders.add(_place(found))
            entries = _entries(path)
            if is_study(entries):
                self.listing.studies.append(below.rstrip("/") or ".")
                continue
            for entry in entries:
                self._tick()
                name = below + entry.name
                if entry.is_symlink():
                    if not is_left_alone(entry.name):
                        self._links.append((name, entry))
                elif entry.is_dir():
                    if is_left_alone(entry.name):
                        self.listing.hidden.append(name)
                    else:
                        waiting.append((f"{name}/", entry.path, entry.stat()))
                else:
                    self._file(name, entry)

    def _file(self, name: str, entry: os.DirEntry[str]) -> bool:
        """Take a file, if it is a picture; return whether it is."""
        if is_left_alone(entry.name):
            return False
        stem, dot, ending = entry.name.lower().rpartition(".")
        suffix = dot + ending if stem else ""
        if not is_read(suffix):
            told = suffix if 1 < len(suffix) <= _LONGEST_ENDING else ""
            self.listing.endings[printable(told) or "without an ending"] += 1
            return False
        if (found := self._asked(name, entry)) is None:
            return False
        if reason := self._refusal(entry.path, found):
            self.listing.refused.append(Skipped(name, reason))
            return False
        self.listing.pictures[name] = found
        if self._files is not None:
            self._files.add(_place(found))
        return True

    def _asked(self, name: str, entry: os.DirEntry[str]) -> os.stat_result | None:
        """What the system says of an entry; None if it is refused."""
        try:
            return entry.stat()
        except OSError as error:
            if error.errno not in _REASONS:
                raise DataError(f"cannot read {entry.path}: {error.strerror}") from error
            self.listing.refused.append(Skipped(name, _REASONS[error.errno]))
            return None

    def _refusal(self, path: str, found: os.stat_result) -> str:
        if not stat.S_ISREG(found.st_mode):
            return NO_FILE
        if self._files is not None and _place(found) in self._files:
            return AGAIN
        return "" if os.access(path, os.R_OK) else CLOSED

    def _follow(self, name: str, entry: os.DirEntry[str]) -> None:
        if (found := self._asked(name, entry)) is None:
            return
        if not stat.S_ISDIR(found.st_mode):
            self.listing.links += self._file(name, entry)
        elif _place(found) in self._above or _place(found) in self._folders:
            reason = ABOVE if _place(found) in self._above else AGAIN
            self.listing.refused.append(Skipped(name, reason))
        else:
            self.listing.links += 1
            self._into(f"{name}/", entry.path, found)


def is_left_alone(name: str) -> bool:
    """Whether a name is that of something hidden, or of the system's own.

    >>> [is_left_alone(name) for name in (".git", "@eaDir", "Thumbs.db", "cats")]
    [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in SYSTEM


def is_study(entries: Iterable[os.DirEntry[str]]) -> bool:
    """Whether a folder of these entries is a study, whose pictures are drawn.

    Its manifest.json says so, or, where that is damaged or gone, what lies beside it; websites have
    one.
    """
    held = {entry.name: entry for entry in entries}
    manifest = held.get("manifest.json")
    beside = held.keys() & {"base.yaml", "study.journal"}
    if manifest is None:
        return bool(beside) and "trials" in held
    return bool(beside) or _has_study_id(manifest)


def _has_study_id(manifest: os.DirEntry[str]) -> bool:
    try:
        with Path(manifest.path).open("rb") if manifest.is_file() else io.BytesIO() as file:
            return b'"study_id"' in file.read(4096)
    except OSError:
        return False


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"cannot list {error.filename}: {error.strerror}") from error


def _place(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
