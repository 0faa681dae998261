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

    assert ["study", "complete", "failed", "left", "created"] == lines[0].split()
    assert ["tested", "3/6", "1", "2", "2026-01-01T00:00:00+00:00"] == lines[1].split()


def test_one_that_cannot_be_read_hides_no_other(study: Study, typed: Type) -> None:
    """It says so in its row."""
    (study.folder.root.parent / "broken").mkdir()
    (study.folder.root.parent / "broken" / "manifest.json").write_text("{")

    said = typed("list", study.folder.root.parent)

    assert "broken" in said
    assert "3/6" in said


def test_none(tmp_path: Path, typed: Type) -> None:
    """An empty folder has none."""
    assert str(tmp_path) in typed("list", tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path, typed: Type) -> None:
    """It is refused, with what to give."""
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "nowhere"))):
        typed("list", tmp_path / "nowhere")
