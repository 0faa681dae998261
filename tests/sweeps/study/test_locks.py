from pathlib import Path

from sweeps.study.locks import is_locked, locked


def test_others_wait(tmp_path: Path) -> None:
    """While the block runs nobody else gets the lock; afterwards it is free."""
    path = tmp_path / "deep" / "guard.lock"
    with locked(path):
        assert is_locked(path)
    assert not is_locked(path)


def test_a_file_that_is_not_there_is_not_locked(tmp_path: Path) -> None:
    """No file, no holder."""
    assert not is_locked(tmp_path / "none")
