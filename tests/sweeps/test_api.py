"""What notebooks and scripts get of a study."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import bvae
import sweeps
from bvae.exceptions import ConfigError
from sweeps import LoadedStudy, load_study
from sweeps.analysis.curve import write_curve
from sweeps.analysis.table import trials_table
from sweeps.commands.run_study import Ended
from sweeps.workers.exit_codes import Exit
from tests.doubles.studies import make_study, trials, write_result


@pytest.fixture
def study(tmp_path: Path) -> LoadedStudy:
    """Two configurations of two seeds."""
    made = make_study(tmp_path / "tested", trials(beta=[1, 4], seed=[0, 1]))
    for trial in made.trials:
        write_result(made, trial, scores={"mig": 0.5, "beta_vae": 0.9}, losses={"recon": 40.0})
    return load_study(made.folder.root)


def test_frame_is_the_table_of_trials(study: LoadedStudy) -> None:
    """What trials.csv holds."""
    pd.testing.assert_frame_equal(trials_table(study), study.frame())
    assert ("mig", "beta_vae") == study.score_names


def test_the_package_hands_on_the_whole_api() -> None:
    """Completion knows it all before any of it is used, and importing the package loads none."""
    code = (
        "import sys, sweeps\n"
        "assert {'load_study', 'LoadedStudy'} <= set(dir(sweeps))\n"
        "sys.exit('sweeps.api' in sys.modules or 'pandas' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
    assert set(sweeps.__all__) == set(sweeps.api.__all__)
    assert {*bvae.__all__} <= {*dir(bvae)}


def test_what_the_api_has_not_is_no_attribute() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no_such"):
        sweeps.no_such  # noqa: B018


def test_curve_is_the_table_that_the_report_keeps(study: LoadedStudy) -> None:
    """A row for every configuration and score, with the contract's columns first."""
    found = study.curve()

    write_curve(study.folder.report / "curve.csv", found)
    kept = pd.read_csv(study.folder.report / "curve.csv")
    assert ["latent_dim", "beta", "beta_norm", "score", "mean"] == list(found.columns[:5])
    assert {"mig", "beta_vae"} == set(found["score"])
    pd.testing.assert_frame_equal(kept, found, check_dtype=False)


def test_figure_is_the_reports_chart(study: LoadedStudy) -> None:
    """The inverted U of the objective, unless another is asked for."""
    assert "MIG" == study.figure().spec["title"]["text"]
    other = study.figure("heat_map", score="beta_vae")
    assert "Higgins (β-VAE) score" == other.spec["title"]["text"]


class TestHistories:
    def test_a_row_for_each_step_of_each_trial(self, study: LoadedStudy) -> None:
        """Swept keys first; what was not logged at a step is missing, as are trials not begun."""
        first, second, *_ = study.trials
        for trial, text in (
            (first, "step,train/loss,val/loss,kl/z00\n2,70.5,,\n4,61,60.25,0.5\n"),
            (second, "step,train/loss,val/loss,kl/z00\n2,71,,\n4,6"),  # torn by a kill
        ):
            study.folder.trial(trial.slug).history.write_text(text)
        found = study.histories()

        assert ["beta", "latent_dim", "seed", "step", "train/loss", "val/loss", "kl/z00"] == (
            list(found.columns)
        )
        rows = found[["beta", "seed", "step"]].itertuples(index=False, name=None)
        assert [(1, 0, 2), (1, 0, 4), (4, 0, 2)] == list(rows)
        assert [False, True, False] == found["val/loss"].notna().tolist()
        assert "int64" == str(found["step"].dtype)

    def test_of_a_study_that_has_not_begun(self, tmp_path: Path) -> None:
        """A frame without rows."""
        found = load_study(make_study(tmp_path / "new").folder.root).histories()

        assert (0, "step") == (len(found), found.columns[-1])


class TestRun:
    FAKE = ("hydra.sweeper.trial=tests.doubles.fakes.{}", "tracker=none", "hydra/launcher=basic")
    GRID = ("beta=1,4", "latent_dim=2", "seed=0", "study=s", "hydra.sweeper.max_attempts=1")

    @pytest.fixture(autouse=True)
    def _quick(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a folder of the test's own, without pictures."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sweeps.commands.sweep.prepare", lambda planned: None)
        monkeypatch.setattr("sweeps.report.page.write_report", lambda read: read.study.folder.page)

    def arguments(self, double: str) -> list[str]:
        """Return what runs a grid with this double of a trial."""
        return [text.format(double) for text in (*self.FAKE, *self.GRID)]

    def test_it_runs_a_study_and_continues_it(self, tmp_path: Path) -> None:
        """And returns it as it stands on disk."""
        argv = list(sys.argv)
        found = sweeps.run(self.arguments("instant"))
        larger = [line.replace("beta=1,4", "beta=16") for line in self.arguments("instant")]

        assert (tmp_path / "runs" / "s", 2) == (found.folder.root, found.counts["complete"])
        assert 3 == sweeps.run(larger).counts["complete"]
        assert argv == sys.argv

    def test_failed_trials_are_returned_as_well(self) -> None:
        """The state says so."""
        found = sweeps.run(self.arguments("failing"))

        assert 1 <= found.counts["failed"]
        assert {*found.frame()["state"]} <= {"failed", "complete"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["betta=1"], "betta: no such key; did you mean beta?"),
            (["experiment=quick", "beta=0"], "beta: expected a finite number above 0"),
            (["hydra.sweeper.n_workers=0"], "hydra.sweeper.n_workers: expected an integer"),
            (["hydra.sweeper.n_wrkers=1"], "n_wrkers: no such key"),
            (["hydra.launcher.nope=1"], "nope"),
            (["--bogus"], "unrecognized arguments: --bogus"),
            (["--cfg", "job"], "no study was run: --cfg job only shows something"),
        ],
    )
    def test_mistakes_are_raised(self, arguments: list[str], message: str) -> None:
        """As what a caller catches, with the sentence that the command prints."""
        with pytest.raises(ConfigError, match=re.escape(message)):
            sweeps.run(arguments)

    def test_an_interrupt_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What follows in the script does not run."""
        ended = Ended(Exit.INTERRUPTED, Path())
        monkeypatch.setattr("sweeps.commands.hydra_app.run", lambda arguments: ended)

        with pytest.raises(KeyboardInterrupt):
            sweeps.run(["beta=1"])


SCRIPT = """
import sweeps
study = sweeps.run([{arguments}])
print(study.counts["complete"])
"""


@pytest.mark.slow
def test_a_script_needs_no_guard(tmp_path: Path, repository: Path) -> None:
    """Workers are processes that do not import the caller's module."""
    arguments = [
        *("beta=1,4", "latent_dim=2", "tracker=none", "hydra.sweeper.n_workers=2"),
        "hydra.sweeper.trial=tests.doubles.fakes.instant",
    ]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(arguments=", ".join(map(repr, arguments))))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("2\n", 0) == (done.stdout, done.returncode), done.stderr
