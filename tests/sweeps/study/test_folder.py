from pathlib import Path

from sweeps.study.folder import StudyFolder


def test_every_file_is_in_the_studys_folder(tmp_path: Path) -> None:
    """A study can be moved, or removed, as one folder."""
    folder = StudyFolder(tmp_path / "quick")
    names = (
        *("manifest", "base", "journal", "logs", "workers", "orchestrator"),
        *("guard", "stop", "table", "report", "trials", "curve", "page", "orchestrator_log"),
        *("wandb", "wandb_logs", "wandb_unreadable", "untrained", "udr"),
    )
    paths = [getattr(folder, name) for name in names]

    assert "quick" == folder.name
    assert all(folder.root in path.parents for path in paths)
    assert len(paths) == len(set(paths))
