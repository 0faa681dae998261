import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bvae import versions


def code_version_of(clone: Path) -> str:
    """Return what a copy of the package says of itself, in a process of its own."""
    code = "from bvae.versions import code_version; print(code_version())"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=clone, check=True, capture_output=True, text=True
    )
    return run.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, repository: Path) -> Path:
    """A copy of the package that may be changed."""
    hidden = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "bvae", tmp_path / "bvae", ignore=hidden)
    return tmp_path


def test_a_copy_elsewhere_is_the_same_code(clone: Path) -> None:
    """The version is of the content, not of the place, nor of files that are no source."""
    (clone / "bvae" / "notes.txt").write_text("no source")

    assert versions.code_version() == code_version_of(clone)


@pytest.mark.parametrize(
    "path",
    ["pictures/drawing.py", "tracking.py", "checks.py", "__main__.py", "metrics/__main__.py"],
)
def test_what_cannot_change_numbers_does_not_count(clone: Path, path: str) -> None:
    """A sentence in a docstring of pictures, tracking or a command line stops no study."""
    with (clone / "bvae" / path).open("a") as file:
        file.write("# and a remark\n")

    assert versions.code_version() == code_version_of(clone)


@pytest.mark.parametrize("change", ["changed", "new", "gone"])
def test_every_change_of_a_source_that_counts_is_another_version(clone: Path, change: str) -> None:
    """Whatever may change numbers does change the version."""
    path = clone / "bvae" / ("losses/kl.py" if change != "new" else "metrics/more.py")
    if change == "gone":
        path.unlink()
    else:
        path.write_text("x = 1\n")

    assert versions.code_version() != code_version_of(clone)


def test_each_source_has_its_own_hash(repository: Path) -> None:
    """A refusal can name the file that has changed."""
    content = (repository / "bvae" / "losses" / "kl.py").read_bytes()

    assert hashlib.sha256(content).hexdigest()[:12] == versions.sources()["bvae/losses/kl.py"]
    assert {"bvae/data/sprites.py", "bvae/metrics/mig.py", "bvae/train.py"} <= {*versions.sources()}


def test_packages_that_numbers_depend_on_are_named() -> None:
    """Each result says what it was made with."""
    found = versions.versions()

    assert torch.__version__.partition("+")[0] == found["torch"].partition("+")[0]
    assert versions.code_version() == found["code"]
    assert {"python", "bvae-sweeps", "numpy", "scikit-learn"} <= set(found)
    assert {"scipy", "lightgbm", "pillow"} <= set(found)
