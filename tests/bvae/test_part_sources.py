from pathlib import Path

import pytest

from bvae.part_sources import all_sources, own_sources, targets
from bvae.versions import sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Own code: a package that imports a module beside it, which imports another in a function."""
    files = {
        "mine/__init__.py": "",
        "mine/nets.py": "from . import layers\nfrom helper import f\n",
        "mine/layers.py": "import torch\n",
        "helper.py": "def f():\n    import lazy\n",
        "lazy.py": "x = 1\n",
        "unrelated.py": "y = 2\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_own_targets_are_found_however_deep() -> None:
    """Ours and those of packages known by version are none."""
    composed = {
        "loss": {"_target_": "bvae.losses.BetaVAELoss"},
        "optimizer": {"_target_": "torch.optim.AdamW", "hook": [{"_target_": "mine.hooks.Hook"}]},
        "model": {"encoder": {"_target_": "mine.nets.Encoder"}},
        "scores": {"mean": {"_target_": "statistics.mean"}},
    }

    assert {"mine.hooks.Hook", "mine.nets.Encoder"} == {*targets(composed)}


def test_what_a_part_imports_counts(folder: Path) -> None:
    """The module, its package, and all they import from there: in functions, too; no other file."""
    counted = {"mine/__init__.py", "mine/nets.py", "mine/layers.py", "helper.py", "lazy.py"}

    assert counted == {*own_sources(["mine.nets.Encoder"], folder)}


@pytest.mark.parametrize(("changed", "same"), [("lazy.py", False), ("unrelated.py", True)])
def test_changes_are_seen(folder: Path, changed: str, *, same: bool) -> None:
    """A change in an imported module changes the sources; one elsewhere does not."""
    compositions = {"": {"model": {"encoder": {"_target_": "mine.nets.Encoder"}}}}
    before = all_sources(compositions, str(folder))
    (folder / changed).write_text("x = 3\n")

    assert same == (before == all_sources(compositions, str(folder)))


def test_installed_package_counts_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a package that is imported from elsewhere, its own modules count, none beside it."""
    monkeypatch.syspath_prepend(str(folder))

    assert {"mine/__init__.py", "mine/nets.py", "mine/layers.py"} == {
        *own_sources(["mine.nets.Encoder"], tmp_path / "other")
    }


def test_what_is_not_there_is_left_to_building(folder: Path) -> None:
    """A module that does not exist, or is no Python, has no source or its own."""
    (folder / "broken.py").write_text("def (:")

    assert {"broken.py"} == {*own_sources(["nowhere.Net", "broken.Net"], folder)}


def test_ours_stay(folder: Path) -> None:
    """The sources of a study without own parts are those of this package."""
    assert sources() == all_sources({"": {"loss": {"_target_": "bvae.losses.BetaVAELoss"}}}, None)
