import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps.analysis.summary import Summary
from sweeps.commands import compare
from sweeps.study.study import Study

Type = Callable[..., str]


@pytest.fixture
def runs(study: Study) -> Path:
    """A folder with two studies, a damaged one, one of a newer version, and what is no study."""
    root = study.folder.root
    shutil.copytree(root, root.with_name("again"))
    for name, text in (("damaged", '{"trials": 3}'), ("newer", '{"schema": 99}'), ("empty", "")):
        root.with_name(name).mkdir()
        if text:
            root.with_name(name).joinpath("manifest.json").write_text(text)
    return root.parent


def test_all_studies_of_a_folder_are_compared(runs: Path, typed: Type) -> None:
    """One page; those that cannot be read are named with the reason, the answer comes last."""
    damaged, newer, page, answer = typed("compare", runs).splitlines()

    assert damaged.startswith("damaged is left out: ")
    assert newer.startswith("newer is left out: ")
    assert "upgrade to read it" in newer
    assert str(runs / "comparison.html") == page
    assert "<h1>again and tested</h1>" in Path(page).read_text(encoding="utf-8")
    assert answer.startswith("Best β stays 1 with the same settings")
    assert "not finished: again, tested." in answer


def test_whatever_is_wrong_with_one_study_the_others_are_compared(
    runs: Path, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what nobody thought of."""
    shutil.copytree(runs / "tested", runs / "broken")
    read = compare.read

    def fails(folder: Path) -> Summary:
        if folder.name == "broken":
            raise KeyError("beta")
        return read(folder)

    monkeypatch.setattr(compare, "read", fails)

    assert "broken is left out: KeyError: 'beta'" in typed("compare", runs)

    assert "broken" not in (runs / "comparison.html").read_text(encoding="utf-8")


def test_one_study_is_not_enough(runs: Path, typed: Type) -> None:
    """It is said what was found, and what is wrong with the rest."""
    shutil.rmtree(runs / "again")
    with pytest.raises(ConfigError, match=r"(?s)two studies or more .* got 1\n.*newer is left out"):
        typed("compare", runs)


def test_there_must_be_such_a_folder(tmp_path: Path, typed: Type) -> None:
    """A mistake is told as one."""
    with pytest.raises(ConfigError, match="no such folder"):
        typed("compare", tmp_path / "none")
