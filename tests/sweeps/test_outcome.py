import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from studies import make_study, points, write_result

from sweeps.curve import Cell, best_cells
from sweeps.display import Display
from sweeps.exits import Exit
from sweeps.outcome import best_line, conclude, described
from sweeps.report import page
from sweeps.study import Study, load_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two cells of two seeds; β = 4 is the better one."""
    made = make_study(tmp_path / "tested")
    for point in made.points:
        score = 0.1 * float(str(point.values["beta"])) + 0.01 * int(str(point.values["seed"]))
        write_result(made, point, scores={"mig": score})
    return load_study(made.folder.root)


@pytest.fixture
def concluded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Conclude a study, its report not drawn but noted as a file; returns what is said."""

    def draw(study: Study) -> Path:
        study.folder.report.mkdir()
        (study.folder.report / "index.html").touch()
        return study.folder.report / "index.html"

    def concluded(study: Study, code: Exit = Exit.COMPLETE) -> str:
        out = io.StringIO()
        conclude(study, Display(Console(file=out)), code)
        return out.getvalue()

    monkeypatch.setattr(page, "write_report", draw)
    return concluded


class TestConclude:
    def test_a_complete_study(self, study: Study, concluded: Callable[..., str]) -> None:
        """Counts, the best cell, the path of the report; a row per point on disk."""
        said = concluded(study)

        assert said.startswith("4 of 4 points complete\n")
        assert "best: beta=4 latent_dim=5  mig 0.405" in said
        assert "report: " in said
        assert "index.html" in said
        assert 5 == len(study.folder.table.read_text().splitlines())
        assert "again" not in said

    def test_what_has_failed_and_what_is_left(
        self, study: Study, concluded: Callable[..., str]
    ) -> None:
        """Reasons, and what to type."""
        one, two, three, _ = study.points
        write_result(study, one, state="failed", attempt=3, error="ValueError: no\nTraceback")
        write_result(study, two, state="pruned")
        study.folder.trial(three.slug).result.unlink()

        said = concluded(study, Exit.LEFT)

        assert said.startswith("1 of 4 points complete, 1 failed, 1 pruned\n")
        assert f"  failed {one.slug}: ValueError: no\n" in said
        assert "type the same command again to go on" in said

    def test_who_interrupts_does_not_wait(
        self, study: Study, concluded: Callable[..., str]
    ) -> None:
        """The table is written, nothing is drawn."""
        said = concluded(study, Exit.INTERRUPTED)

        assert "report" not in said
        assert study.folder.table.exists()
        assert not study.folder.report.exists()


class TestBestLine:
    def test_only_a_whole_cell_is_best(self, study: Study) -> None:
        """A cell with a failed seed may look better than it is."""
        better = next(point for point in study.points if point.values["beta"] == 4)
        write_result(study, better, state="failed", attempt=3, error="ValueError: no")

        assert best_line(load_study(study.folder.root)).startswith("best: beta=1 ")

    def test_none_is_whole(self, study: Study) -> None:
        """Then there is no best cell, and it is said."""
        for point in study.points[:2]:
            study.folder.trial(point.slug).result.unlink()

        assert "no best cell: none is complete yet" == best_line(load_study(study.folder.root))

    def test_nobody_has_the_score(self, tmp_path: Path) -> None:
        """Data without factors has no objective."""
        made = make_study(tmp_path / "tested", points())
        for point in made.points:
            write_result(made, point, scores={})

        assert "no best cell: no point has the score mig yet" == best_line(made)


class TestDescribed:
    @pytest.fixture
    def cell(self, study: Study) -> Cell:
        """The best cell."""
        overall = best_cells(study.frame(), score="mig", axes=()).overall
        assert overall is not None
        return overall

    def test_interval_and_seeds(self, cell: Cell) -> None:
        """How sure one may be stands beside the mean."""
        text = described(replace(cell, mean=0.5, low=0.41, high=0.59, n=3))

        assert "beta=4 latent_dim=5  mig 0.500 (95 % interval 0.410 to 0.590, 3 seeds)" == text

    def test_one_seed_has_no_interval(self, cell: Cell) -> None:
        """It is said rather than left out."""
        nan = float("nan")

        assert described(replace(cell, low=nan, high=nan, n=1)).endswith("(one seed: no interval)")

    def test_further_axes(self, cell: Cell) -> None:
        """They are part of where the cell is."""
        found = described(replace(cell, axes=(("model", "conv"),)))

        assert found.startswith("beta=4 latent_dim=5 model=conv  mig")
