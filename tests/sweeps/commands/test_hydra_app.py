import os
import sys

import pytest

from sweeps.commands import hydra_app


def test_a_typed_password_is_not_in_the_list_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command starts again without it, and only then."""
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: started.append((program, words)))
    monkeypatch.setenv("PGPASSWORD", "old")
    storage = "hydra.sweeper.storage=postgresql://u:p%2Fw@h/d"
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "bvae", "-m", storage, "beta=1"])
    hydra_app.hide_password()

    clean = ["-m", "bvae", "-m", "hydra.sweeper.storage=postgresql://u@h/d", "beta=1"]
    assert [(sys.executable, [sys.executable, *clean])] == started
    assert "p/w" == os.environ["PGPASSWORD"]

    monkeypatch.setattr(sys, "orig_argv", ["python", *clean])
    hydra_app.hide_password()
    assert 1 == len(started)
