import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps.analysis.summary import Summary
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit
from tests.doubles.studies import make_study

Type = Callable[..., str]


def test_a_report_is_written_anew(
    study: Study, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the results as they stand; the table of trials, too."""
    page = study.folder.report / "index.html"
    asked: list[bool] = []

    def write_report(_: Summary, *, embed_all: bool) -> Path:
        asked.append(embed_all)
        return page

    monkeypatch.setattr("sweeps.commands.report.write_report", write_report)

    assert f"{page}\n" == typed("report", study.folder.root)
    assert f"{page}\n" == typed("report", study.folder.root, "--embed-all")
    assert [False, True] == asked
    assert 7 == len(study.folder.table.read_text().splitlines())


def test_two_studies_are_put_side_by_side(study: Study, typed: Type) -> None:
    """`sweeps report A B` writes a page about both, in the folder of the second."""
    other = make_study(study.folder.root.with_name("other"), study.trials)

    printed = typed("report", study.folder.root, other.folder.root).splitlines()

    page = other.folder.report / "against-tested.html"
    assert str(page) == printed[0]
    assert page.stat().st_size > 0
    assert printed[-1].startswith("Fewer than two of the studies have a best configuration")


def test_three_studies_are_put_side_by_side(study: Study, typed: Type) -> None:
    """`sweeps report A B C` writes a page beside the last; of two names alike the paths differ."""
    root = study.folder.root
    folders = [root, root.parent / "x" / root.name, root.with_name("third")]
    for folder in folders[1:]:
        shutil.copytree(root, folder)

    printed = typed("report", *folders).splitlines()

    page = root.parent / "comparison.html"
    assert str(page) == printed[0]
    assert "<h1>runs/tested, x/tested and third</h1>" in page.read_text(encoding="utf-8")
    assert printed[-1].startswith("Best β stays 1 with the same settings")


def test_a_study_is_not_compared_with_itself(study: Study, typed: Type) -> None:
    """A folder that is typed twice is a mistake, whatever way it is written."""
    root = study.folder.root
    with pytest.raises(ConfigError, match="tested: given twice"):
        typed("report", root, root.parent / "." / root.name)


def test_a_page_is_written_until_nobody_runs_the_study(study: Study, typed: Type) -> None:
    """`--watch`; here nobody does, and two trials are left, which the exit code says."""
    printed = typed("report", study.folder.root, "--watch", code=Exit.LEFT)

    assert printed == f"{study.folder.page}: 2 trials left\n"
    assert study.folder.page.exists()


def test_two_studies_are_not_watched(study: Study, typed: Type) -> None:
    """They need not run at the same time."""
    with pytest.raises(ConfigError, match="--watch: is of one study"):
        typed("report", study.folder.root, study.folder.root, "--watch")
