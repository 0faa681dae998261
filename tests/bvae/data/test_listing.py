"""What is taken from folders as people have them, and what is left out and said."""

import errno
import os
import sys
import types
from pathlib import Path

import pytest
from PIL import Image

from bvae.data import listing
from bvae.data.listing import look
from bvae.exceptions import DataError


def save(*paths: Path) -> None:
    """Write a small picture to each path."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (32, 32), 9).save(path, "PNG")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two pictures, one of them below."""
    save(tmp_path / "root" / "a.png", tmp_path / "root" / "more" / "b.JPG")
    return tmp_path / "root"


def study(folder: Path) -> Path:
    """Make a folder that is a study with a picture; return it."""
    save(folder / "trials" / "x" / "media" / "reconstructions.png", folder / "top.png")
    (folder / "manifest.json").write_text('{"study_id": "1"}')
    return folder


def test_a_plain_folder_needs_no_words(root: Path) -> None:
    """Its pictures are taken, in order; hidden files and a system's are not worth a line."""
    save(root / ".hidden.png", root / "._a.png")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (root / name).touch()

    found = look(root)

    assert (["a.png", "more/b.JPG"], "", 0) == (found.names, found.told, found.n_skipped)


@pytest.mark.parametrize(
    "name",
    [
        *(".ipynb_checkpoints", ".git", ".Trash-1000", "@eaDir", "__MACOSX", "$RECYCLE.BIN"),
        *("System Volume Information", "lost+found", "#recycle", "more/.thumbnails"),
    ],
)
def test_hidden_and_system_folders_are_left_out(name: str, root: Path) -> None:
    """And said, whatever is in them."""
    save(root / name / "c.png", root / name / "deep" / "d.png")

    found = look(root)

    assert ["a.png", "more/b.JPG"] == found.names
    assert f"left out: hidden and system folders: 1 ({name})" in found.told


def test_a_hidden_folder_that_is_asked_for_is_taken(root: Path) -> None:
    """The name of the folder itself is the user's choice."""
    hidden = root.rename(root.parent / ".images")

    assert ["a.png", "more/b.JPG"] == look(hidden).names


def test_studies_are_left_out(root: Path) -> None:
    """With all below them and with what lies beside them; another manifest.json is no study."""
    study(root / "runs" / "one")
    save(root / "runs" / "chart.png", root / "app" / "icon.png")
    (root / "app" / "manifest.json").write_text("{}")

    found = look(root)

    assert ["a.png", "app/icon.png", "more/b.JPG"] == found.names
    assert "folders of studies: 1 (runs/one)" in found.told


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("beside", ["base.yaml", "study.journal"])
def test_a_study_with_a_damaged_manifest_is_one(beside: str, root: Path, is_there: bool) -> None:
    """What lies beside it says so, also where there is no manifest any more."""
    (study(root / "one") / "manifest.json").write_text("")
    (root / "one" / beside).touch()
    if not is_there:
        (root / "one" / "manifest.json").unlink()

    assert ["one"] == look(root).studies


def test_a_manifest_that_is_a_pipe_is_not_opened(root: Path) -> None:
    """It would be waited for, for ever."""
    os.mkfifo(root / "manifest.json")

    assert ["a.png", "more/b.JPG"] == look(root).names


def test_studies_beside_the_images_leave_them(root: Path) -> None:
    """With runs_dir=. the folder itself is no folder of studies."""
    study(root / "one")

    assert ["a.png", "more/b.JPG"] == look(root).names


def test_a_study_has_no_images(root: Path) -> None:
    """Nothing is taken from one."""
    assert ({}, ["."]) == (look(study(root)).pictures, look(root).studies)


def test_endings_that_are_not_read_are_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By ending, the most frequent first; what could be read says how."""
    monkeypatch.setattr(listing, "_has_heif", lambda: False)
    for i in range(20):
        (root / f"{i}.HEIC").touch()
    for i in range(9):
        (root / f"x.e{i}").touch()
    (root / "noending").touch()

    found = look(root)

    assert 30 == found.n_skipped
    assert "20 .heic (to read them: pip install pillow-heif), " in found.told
    assert "6 others" in found.told
    assert 1 == len(found.told.splitlines())


def test_heic_is_read_where_its_plug_in_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A double stands for pillow-heif, which is not needed to run the tests."""
    calls: list[str] = []
    double = types.ModuleType("pillow_heif")
    double.register_heif_opener = lambda: calls.append("registered")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", double)
    listing._has_heif.cache_clear()
    listing.is_read.cache_clear()
    (root / "c.heic").touch()

    found = look(root)
    listing._has_heif.cache_clear()
    listing.is_read.cache_clear()

    assert ["a.png", "c.heic", "more/b.JPG"] == found.names
    assert ["registered"] == calls


class TestLinks:
    def test_links_are_followed(self, root: Path, tmp_path: Path) -> None:
        """To pictures and to folders, wherever they are: people sort theirs so."""
        save(tmp_path / "all" / "c.png", tmp_path / "all" / "below" / "d.png", tmp_path / "e.png")
        (root / "cats").symlink_to(tmp_path / "all")
        (root / "e.png").symlink_to("../e.png")

        found = look(root)

        assert ["a.png", "cats/below/d.png", "cats/c.png", "e.png", "more/b.JPG"] == found.names
        assert ("5 images are taken (2 links followed)", 0) == (found.told, found.n_skipped)

    def test_each_picture_is_taken_once(self, root: Path, tmp_path: Path) -> None:
        """Under its own name, or that of the first link."""
        save(tmp_path / "all" / "c.png")
        (root / "0.png").symlink_to(root / "a.png")
        (root / "0more").symlink_to(root / "more")
        for name in ("1.png", "2.png"):
            (root / name).symlink_to(tmp_path / "all" / "c.png")
        (root / "all").symlink_to(tmp_path / "all")

        found = look(root)

        assert ["1.png", "a.png", "more/b.JPG"] == found.names
        assert "links to what is taken already: 4 (0.png, 0more, 2.png, …)" in found.told

    def test_a_folder_below_one_that_is_linked_later(self, root: Path, tmp_path: Path) -> None:
        """It is taken under its own link, and not looked at again."""
        save(tmp_path / "all" / "below" / "d.png", tmp_path / "all" / "e.png")
        (root / "0").symlink_to(tmp_path / "all" / "below")
        (root / "1").symlink_to(tmp_path / "all")

        found = look(root)

        assert ["0/d.png", "1/e.png", "a.png", "more/b.JPG"] == found.names
        assert not found.n_skipped

    def test_loops_end(self, root: Path, tmp_path: Path) -> None:
        """Links back into the folder, to one above it, and to themselves are left out."""
        save(tmp_path / "all" / "c.png")
        (root / "up").symlink_to(tmp_path)
        (root / "self").symlink_to(root)
        (root / "loop.png").symlink_to("loop.png")
        (root / "out").symlink_to(tmp_path / "all")
        (tmp_path / "all" / "back").symlink_to(root)

        found = look(root)

        assert ["a.png", "more/b.JPG", "out/c.png"] == found.names
        for said in (
            "links that lead nowhere: 1 (loop.png)",
            "links to what is taken already: 2 (out/back, self)",
            "links to a folder above: 1 (up)",
        ):
            assert said in found.told

    def test_a_thousand_broken_links_are_one_line(self, root: Path) -> None:
        """With their number and a few names."""
        for i in range(1000):
            (root / f"{i:03d}.png").symlink_to("nothing")

        found = look(root)

        assert found.told.endswith("links that lead nowhere: 1000 (000.png, 001.png, 002.png, …)")
        assert 1000 == found.n_skipped

    def test_hidden_links_and_links_to_studies(self, root: Path, tmp_path: Path) -> None:
        """They are left out as what they are."""
        save(tmp_path / "all" / "c.png")
        (root / ".x").symlink_to(tmp_path / "all")
        (root / "s").symlink_to(study(tmp_path / "one"))

        assert ["a.png", "more/b.JPG"] == look(root).names


def test_what_is_no_file_is_never_opened(root: Path) -> None:
    """A pipe would be waited for, for ever."""
    os.mkfifo(root / "pipe.png")

    assert "no files, but called so: 1 (pipe.png)" in look(root).told


def test_what_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may read all: a double of the system says no."""
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("a.png"))

    assert "may not be read: 1 (a.png)" in look(root).told


def test_a_folder_that_cannot_be_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in it is not known, so nothing is begun."""

    def fail(path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "scandir", fail)

    with pytest.raises(DataError, match=r"cannot list .*root: Permission denied"):
        look(root)


def test_names_of_any_bytes_are_told_on_one_line(root: Path) -> None:
    """A name that is no text, of two lines, or with what a terminal would obey."""
    (Path(os.fsdecode(os.fsencode(root) + b"/\xff\n\x1b[2J\xc3\xa9.png"))).symlink_to("nothing")

    assert r"1 (\udcff\n\x1b[2Jé.png)" in look(root).told


def test_every_entry_ticks(root: Path) -> None:
    """So that a slow disk can be seen to be looked at."""
    ticks: list[None] = []

    look(root, lambda: ticks.append(None))

    assert 3 == len(ticks)
