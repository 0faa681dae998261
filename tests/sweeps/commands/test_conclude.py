import io
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sweeps import load_study
from sweeps.analysis.curve import ScoredConfiguration
from sweeps.analysis.summary import Summary
from sweeps.analysis.table import trials_table
from sweeps.commands.conclude import best_line, conclude, described
from sweeps.report import page
from sweeps.scoring import untrained
from sweeps.study.command import sweeps
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit
from sweeps.workers.live_table import Display
from tests.doubles.frames import best_configurations
from tests.doubles.studies import make_study, trials, write_result


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two configurations of two seeds; β = 4 is the better one."""
    made = make_study(tmp_path / "tested")
    for trial in made.trials:
        score = 0.1 * float(str(trial.values["beta"])) + 0.01 * int(str(trial.values["seed"]))
        write_result(made, trial, scores={"mig": score})
    return load_study(made.folder.root)


@pytest.fixture
def concluded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Conclude a study, its report not drawn but noted as a file; returns what is said."""

    def draw(read: Summary) -> Path:
        study = read.study
        study.folder.report.mkdir(exist_ok=True)
        study.folder.page.write_text("drawn")
        return study.folder.page

    def concluded(study: Study, code: Exit = Exit.COMPLETE) -> str:
        out = io.StringIO()
        conclude(study, Display(Console(file=out)), code)
        return out.getvalue()

    monkeypatch.setattr(page, "write_report", draw)
    return concluded


def age(study: Study, *, by_s: float) -> None:
    """Set the times of a study's files back, of the report less so."""
    for path in study.folder.root.rglob("*"):
        shift = by_s / 2 if path == study.folder.page else by_s
        os.utime(path, (time.time() + shift, time.time() + shift))


class TestConclude:
    def test_a_complete_study(self, study: Study, concluded: Callable[..., str]) -> None:
        """Counts, the best configuration, the path of the report; a row per trial on disk."""
        said = concluded(study)

        assert said.startswith("4 of 4 trials complete\n")
        assert "best: beta=4 latent_dim=5  mig 0.405" in said
        assert "report: " in said
        assert "index.html" in said
        assert 5 == len(study.folder.table.read_text().splitlines())
        assert " left\n" not in said
        assert "left to run" not in said

    def test_what_has_failed_and_what_is_left(
        self, study: Study, concluded: Callable[..., str]
    ) -> None:
        """Reasons, and what to type."""
        one, two, three, _ = study.trials
        write_result(study, one, state="failed", attempt=3, error="ValueError: no\nTraceback")
        write_result(study, two, state="pruned")
        study.folder.trial(three.slug).result.unlink()

        said = concluded(study, Exit.LEFT)

        counts = said.splitlines()[0].split(", ")
        assert ["1 of 4 trials complete", "1 failed", "1 pruned"] == counts
        assert f"failed {one.slug}: ValueError: no\n" in said
        assert f"\n1 left; continue with: {sweeps('resume', study.folder.root)}\n" in said

    def test_runs_that_are_not_on_the_server(
        self, study: Study, concluded: Callable[..., str]
    ) -> None:
        """Trials are complete whatever their tracker did; that it gave up is said once."""
        reason = "kept offline for `sweeps sync`: CommError: gone"
        for trial in study.trials[:3]:
            write_result(study, trial, tracking=reason)

        said = concluded(study)

        assert said.startswith("4 of 4 trials complete\n")
        assert f" 3 trials: {reason}\n" in said

    def test_an_interrupt_draws_nothing(self, study: Study, concluded: Callable[..., str]) -> None:
        """The table is written, nothing is drawn."""
        said = concluded(study, Exit.INTERRUPTED)

        assert "report" not in said
        assert study.folder.table.exists()
        assert not study.folder.report.exists()

    @pytest.mark.parametrize("changed", ["manifest", "result", "udr"])
    def test_a_report_is_drawn_again_when_something_has_changed(
        self, study: Study, concluded: Callable[..., str], changed: str
    ) -> None:
        """Only then: of a finished study of thousands of trials it takes many seconds."""
        concluded(study)
        study.folder.page.write_text("as it was")
        age(study, by_s=-10)

        assert str(study.folder.page) in concluded(study)
        assert "as it was" == study.folder.page.read_text()

        folder = study.folder
        path = {
            "manifest": folder.manifest,
            "result": folder.trial(study.trials[0].slug).result,
            "udr": folder.udr,
        }[changed]
        path.touch()

        assert str(study.folder.page) in concluded(study)
        assert "drawn" == study.folder.page.read_text()

    def test_the_report_of_an_unfinished_study_is_always_drawn(
        self, study: Study, concluded: Callable[..., str]
    ) -> None:
        """A result that has gone leaves no file that is new."""
        concluded(study)
        study.folder.page.write_text("as it was")
        study.folder.trial(study.trials[0].slug).result.unlink()

        concluded(load_study(study.folder.root), Exit.LEFT)

        assert "drawn" == study.folder.page.read_text()


class TestUntrainedBaseline:
    def test_is_scored_before_the_report(
        self, study: Study, concluded: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The report is drawn with it."""

        def add(study: Study, *, tell: Callable[[str], object]) -> None:
            assert not study.folder.page.exists()
            tell("scoring untrained encoders")

        monkeypatch.setattr(untrained, "add_untrained", add)
        said = concluded(study)

        assert said.index("scoring untrained encoders") < said.index("report: ")

    def test_a_failure_does_not_cost_the_report(
        self, study: Study, concluded: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is said, and its traceback is in the log."""

        def fail(study: Study, *, tell: Callable[[str], object]) -> None:
            del study, tell
            raise MemoryError("no memory for the codes")

        monkeypatch.setattr(untrained, "add_untrained", fail)
        said = concluded(study)

        assert "untrained baseline: MemoryError: no memory for the codes" in said
        assert "report: " in said
        assert study.folder.page.exists()
        assert "Traceback" in (study.folder.logs / "orchestrator.log").read_text()

    @pytest.mark.parametrize("code", [Exit.INTERRUPTED, Exit.LEFT])
    def test_is_not_scored_in_vain(
        self,
        study: Study,
        concluded: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
        code: Exit,
    ) -> None:
        """Neither after an interrupt nor for a study of which nothing is complete."""
        monkeypatch.delattr(untrained, "add_untrained")
        if code is Exit.LEFT:
            for trial in study.trials:
                study.folder.trial(trial.slug).result.unlink()

        assert "untrained" not in concluded(study, code)


def test_a_study_is_read_once(
    study: Study, concluded: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table, best line, report and the run on W&B are of one summary."""
    read: list[str] = []
    monkeypatch.setattr(
        "sweeps.analysis.summary.trials_table",
        lambda found: read.append(found.name) or trials_table(found),
    )
    concluded(study)
    assert [study.name] == read


class TestBestLine:
    def test_only_a_whole_configuration_is_best(self, study: Study) -> None:
        """A configuration with a failed seed may look better than it is."""
        better = next(trial for trial in study.trials if trial.values["beta"] == 4)
        write_result(study, better, state="failed", attempt=3, error="ValueError: no")

        assert best_line(load_study(study.folder.root)).startswith("best: beta=1 ")

    def test_so_far(self, study: Study) -> None:
        """While seeds are to come, it goes by those that are there."""
        for trial in study.trials:
            if trial.values["seed"] == 1:
                study.folder.trial(trial.slug).result.unlink()

        said = best_line(load_study(study.folder.root))
        assert "so far: beta=4 latent_dim=5  mig 0.400 (1 seed" in said

    def test_none_is_whole(self, study: Study) -> None:
        """Then no configuration is named."""
        for trial in study.trials:
            if trial.values["seed"] == 0:
                write_result(study, trial, state="failed", attempt=3, error="ValueError: no")

        assert "beta=" not in best_line(load_study(study.folder.root))

    def test_no_trial_has_the_score(self, tmp_path: Path) -> None:
        """Data without factors has no objective."""
        made = make_study(tmp_path / "tested", trials())
        for trial in made.trials:
            write_result(made, trial, scores={})

        assert " mig " in best_line(made)
        assert "beta=" not in best_line(made)

    def test_one_seed_has_no_udr(self, tmp_path: Path) -> None:
        """It is said what UDR needs."""
        made = make_study(tmp_path / "tested", trials(seed=[0]), objective="udr")
        for trial in made.trials:
            write_result(made, trial)

        said = best_line(made)
        assert " udr " in said
        assert "two seeds" in said


class TestDescribed:
    @pytest.fixture
    def configuration(self, study: Study) -> ScoredConfiguration:
        """The best configuration."""
        overall = best_configurations(study.frame(), score="mig", axes=()).overall
        assert overall is not None
        return overall

    def test_interval_and_seeds(self, configuration: ScoredConfiguration) -> None:
        """How sure one may be stands beside the mean."""
        text = described(replace(configuration, mean=0.5, low=0.41, high=0.59, n=3))

        assert "beta=4 latent_dim=5  mig 0.500 (95 % interval 0.410 to 0.590, 3 seeds)" == text

    def test_one_seed_has_no_interval(self, configuration: ScoredConfiguration) -> None:
        """It is said rather than left out."""
        nan = float("nan")

        assert described(replace(configuration, low=nan, high=nan, n=1)).endswith(
            "(1 seed: no interval)"
        )

    def test_further_axes(self, configuration: ScoredConfiguration) -> None:
        """They are part of its coordinates."""
        found = described(replace(configuration, axes=(("model", "conv"),)))

        assert found.startswith("beta=4 latent_dim=5 model=conv  mig")

    def test_null_is_written_as_typed(self, configuration: ScoredConfiguration) -> None:
        """As are lists and truth."""
        found = described(replace(configuration, axes=(("a", None), ("b", (1, 2)), ("c", True))))

        assert found.startswith("beta=4 latent_dim=5 a=null b=[1,2] c=true  mig")

    def test_udr_is_of_two_seeds(self, configuration: ScoredConfiguration) -> None:
        """Of a pair of seeds, also where other configurations give it an interval."""
        found = described(replace(configuration, score="udr", n=1, low=0.4, high=0.6))

        assert found.endswith("to 0.600, 2 seeds, which have one UDR)")
