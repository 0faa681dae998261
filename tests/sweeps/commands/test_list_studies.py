import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps.study.study import Study

Type = Callable[..., str]


def test_a_row_for_each_study(study: Study, typed: Type) -> None:
    """Counts and when it was begun."""
    lines = typed("list", study.folder.root.parent).splitlines()

    assert ["study", "complete", "failed", "left", "size", "created"] == lines[0].split()
    *counts, _, unit, begun = lines[1].split()
    assert ["tested", "3/6", "1", "2"] == counts
    assert ("kB", "2026-01-01T00:00:00+00:00") == (unit, begun)


def test_one_that_cannot_be_read_hides_no_other(study: Study, typed: Type) -> None:
    """It says why in one short line."""
    for name, content in (("broken", "{"), ("typed", '{"points": null}')):
        (study.folder.root.parent / name).mkdir()
        (study.folder.root.parent / name / "manifest.json").write_text(content)
    (study.folder.root.parent / "folder" / "manifest.json").mkdir(parents=True)

    said = typed("list", study.folder.root.parent).splitlines()

    assert "3/6" in said[1]
    assert 5 == len(said)
    assert all(": manifest.json: not a manifest this version can read (" in one for one in said[2:])


def test_none(tmp_path: Path, typed: Type) -> None:
    """An empty folder has none."""
    assert str(tmp_path) in typed("list", tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path, typed: Type) -> None:
    """It is refused, with what to give."""
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "nowhere"))):
        typed("list", tmp_path / "nowhere")
