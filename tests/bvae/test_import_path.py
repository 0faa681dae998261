import os
import subprocess
import sys
from pathlib import Path

import pytest

from bvae import import_path

SHADOWS = ("random", "statistics", "torch", "argparse", "numpy")


def test_modules_where_one_types_shadow_none(tmp_path: Path, repository: Path) -> None:
    """`python -m sweeps` works beside a `random.py`."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit(__file__)")
    environment = os.environ | {"PYTHONPATH": str(repository)}
    ended = subprocess.run(
        [sys.executable, "-m", "sweeps", "list", "."],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "no study in .\n") == (ended.returncode, ended.stdout), ended.stderr


def test_the_folder_is_searched_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own parts by `_target_` are found there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), "/lib"])
    import_path.search_here_last()

    assert ["/lib", str(tmp_path)] == sys.path


def test_a_clone_is_found_by_workers_too(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, Python finds it only since one types in it."""
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "path", [str(repository), "/lib"])
    monkeypatch.setenv("PYTHONPATH", "/mine")
    import_path.search_here_last()

    assert f"/mine{os.pathsep}{repository}" == os.environ["PYTHONPATH"]


def test_what_did_not_come_from_python_m_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first entry is another folder, or one that is gone."""
    monkeypatch.chdir(tmp_path)
    for first in ("/", "/nowhere"):
        monkeypatch.setattr(sys, "path", [first, "/lib"])
        import_path.search_here_last()

        assert [first, "/lib"] == sys.path
