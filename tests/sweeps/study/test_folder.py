from pathlib import Path

import pytest

from sweeps.study.folder import StudyFolder, shown


def test_every_file_is_in_the_studys_folder(tmp_path: Path) -> None:
    """A study can be moved, or removed, as one folder."""
    folder = StudyFolder(tmp_path / "quick")
    names = (
        *("manifest", "base", "journal", "logs", "workers", "orchestrator"),
        *("guard", "stop", "table", "report", "trials", "curve", "page", "orchestrator_log"),
        *("wandb", "wandb_logs", "wandb_unreadable", "floors", "udr"),
    )
    paths = [getattr(folder, name) for name in names]

    assert "quick" == folder.name
    assert all(folder.root in path.parents for path in paths)
    assert len(paths) == len(set(paths))


def test_a_path_is_shown_as_it_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to where one stands if it is below, else in full."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert "runs/quick" == shown(tmp_path / "here" / "runs" / "quick")
    assert str(tmp_path / "else") == shown(tmp_path / "else")
