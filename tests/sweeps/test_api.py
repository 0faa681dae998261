"""What notebooks and scripts get of a study."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import sweeps
from sweeps import LoadedStudy, load_study
from sweeps.analysis.curve import write_curve
from sweeps.analysis.table import trials_table
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
    assert "MIG" == study.figure().axes[0].get_title(loc="left")
    assert "Higgins (β-VAE) score" == study.figure("heat_map", score="beta_vae").axes[0].get_title(
        loc="left"
    )
