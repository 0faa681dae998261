from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.workers.exit_codes import Exit
from tests.doubles.studies import CONFIGURATION, make_study, trials, write_result

Type = Callable[..., str]


@pytest.mark.parametrize(("failed", "code"), [(0, Exit.COMPLETE), (1, Exit.FAILED)])
def test_a_finished_study_needs_no_images(
    tmp_path: Path, typed: Type, monkeypatch: pytest.MonkeyPatch, failed: int, code: Exit
) -> None:
    """It is read, and its code is that of the sweep."""
    monkeypatch.setattr("sweeps.report.page.write_report", lambda read: read.study.folder.report)
    gone = {"name": "folder", "path": str(tmp_path / "gone")}
    composed = CONFIGURATION | {"data": CONFIGURATION["data"] | gone}
    made = make_study(tmp_path / "runs" / "tested", trials(), compositions={"": composed})
    for number, trial in enumerate(made.trials):
        ended = {"state": "failed", "attempt": 3, "scores": {}} if number < failed else {}
        write_result(made, trial, **ended)

    typed("resume", made.folder.root, code=code)

    assert made.folder.table.exists()
