from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps.analysis.summary import Summary
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit

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
    printed = typed("report", study.folder.root, study.folder.root)

    page = study.folder.report / f"against-{study.name}.html"
    assert str(page) in printed
    assert page.stat().st_size > 0


def test_a_page_is_written_until_nobody_runs_the_study(study: Study, typed: Type) -> None:
    """`--watch`; here nobody does, and two trials are left, which the exit code says."""
    printed = typed("report", study.folder.root, "--watch", code=Exit.LEFT)

    assert printed == f"{study.folder.page}: 2 trials left\n"
    assert study.folder.page.exists()


def test_two_studies_are_not_watched(study: Study, typed: Type) -> None:
    """They need not run at the same time."""
    with pytest.raises(ConfigError, match="--watch: is of one study"):
        typed("report", study.folder.root, study.folder.root, "--watch")
