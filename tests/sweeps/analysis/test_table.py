"""A study's results as a table."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeps import load_study
from sweeps.analysis.table import score_names, trials_table
from sweeps.study.study import Study
from sweeps.study.trials import grid
from tests.doubles.studies import make_study, make_study_of_every_state, slugs, write_result


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One trial of each state: complete, failed, pruned, to be tried again, running, untouched."""
    return make_study_of_every_state(tmp_path / "tested")


class TestTrialsTable:
    def test_a_row_for_each_trial(self, study: Study) -> None:
        """In the order to run, with states and coordinates as numbers."""
        frame = trials_table(study)

        assert slugs(study) == list(frame["slug"])
        assert list(study.states.values()) == list(frame["state"])
        assert [1.0, 16.0, 4.0] * 2 == list(frame["beta"])

    def test_scores_stand_where_a_result_is_final(self, study: Study) -> None:
        """The objective first; nothing of an attempt that will be repeated."""
        frame = trials_table(study)

        assert ("mig", "beta_vae") == score_names(study)
        assert [0.5, 0.1] == list(frame["mig"].dropna())
        assert [0.9] == list(frame["beta_vae"].dropna())
        assert pd.isna(frame["attempt"][3])
        assert "OSError: once" == frame["error"][3]

    def test_beta_norm_is_known_before_a_result(self, study: Study) -> None:
        """β·M/N of every trial: 16 · 5 / 1024 = 0.078125."""
        assert 0.078125 == trials_table(study)["beta_norm"][1]

    def test_beta_norm_goes_by_the_images_of_the_trial(self, tmp_path: Path) -> None:
        """Where data sets are swept, N is not the same: 64 x 64 pixels and 32 x 32."""
        listed, _ = grid(
            {"beta": [16], "latent_dim": [5], "seed": [0], "data": ["dsprites", "dsprites32"]}
        )
        made = make_study(tmp_path / "tested", listed, axes=["data"], image_size=4096)
        frame = trials_table(made)

        assert [16 * 5 / 4096, 16 * 5 / 1024] == list(frame["beta_norm"])

    def test_beta_norm_goes_by_what_the_result_says(self, tmp_path: Path) -> None:
        """The user's own images have the size they were trained at."""
        listed, _ = grid({"beta": [16], "latent_dim": [5], "seed": [0], "data": ["folder"]})
        made = make_study(tmp_path / "tested", listed, axes=["data"], image_size=4096)
        before = trials_table(made)["beta_norm"][0]
        write_result(made, made.trials[0], data={"image_shape": [3, 32, 32]})

        after = trials_table(load_study(made.folder.root))["beta_norm"][0]

        assert [16 * 5 / 4096, float(f"{16 * 5 / 3072:.12g}")] == [before, after]

    def test_the_columns_that_curve_and_report_read(self, study: Study) -> None:
        """Their names and order are an interface."""
        assert [
            *("slug", "beta", "latent_dim", "seed", "state", "beta_norm", "mig", "beta_vae"),
            *("recon", "kl", "total_loss", "active_latents", "images_seen", "loss_change"),
            *("wall_time_s", "attempt", "device", "threads", "protocol", "code", "error"),
        ] == list(trials_table(study).columns)

    def test_further_axes_are_columns(self, tmp_path: Path) -> None:
        """Any key may be swept."""
        values: dict[str, Any] = {"beta": [1], "latent_dim": [2], "seed": [0]}
        listed = grid(values | {"optimizer.lr": [1e-4, 1e-3]})[0]
        made = make_study(tmp_path / "tested", listed, axes=["optimizer.lr"])

        assert [1e-4, 1e-3] == list(trials_table(made)["optimizer.lr"])
