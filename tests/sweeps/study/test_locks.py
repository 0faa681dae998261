import errno
import importlib
import sys
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps.study import locks
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


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers might take one trial there; nobody is taken to hold a lock."""

    def flock(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    file = tmp_path / "guard.lock"
    with pytest.raises(ConfigError, match=r"has no locks \(No locks available\)"), locked(file):
        pass

    assert not is_locked(file)


def test_windows_is_told_of_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has no such locks there."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.delitem(sys.modules, "sweeps.study.locks")

    with pytest.raises(ConfigError, match="on Windows, install WSL2"):
        importlib.import_module("sweeps.study.locks")
    monkeypatch.setattr("sweeps.study.locks", locks)
