import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bvae.exceptions import DataError
from sweeps.analysis.curve import write_curve
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.study import Study, load_study
from sweeps.study.trials import Trial, grid
from tests.doubles.studies import make_search, make_study, slugs, trials, write_result


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One trial of each state: complete, failed, pruned, to be tried again, running, untouched."""
    made = make_study(tmp_path / "tested", trials(beta=[1, 4, 16], seed=[0, 1]))
    one, two, three, four = made.trials[:4]
    write_result(made, one, scores={"mig": 0.5, "beta_vae": 0.9}, losses={"recon": 40.0})
    write_result(made, two, state="failed", attempt=3, error="ValueError: no\nTraceback", scores={})
    write_result(made, three, state="pruned", scores={"mig": 0.1})
    write_result(made, four, state="failed", attempt=1, error="OSError: once", scores={})
    return load_study(made.folder.root)


class TestStates:
    def test_each_trial_has_one(self, study: Study) -> None:
        """A failed attempt that is not the last leaves the trial pending."""
        with HeartbeatWriter(study.folder.workers / "w.json", name="w") as worker:
            worker.report(slugs(study)[4])
            states = list(load_study(study.folder.root).states.values())

        assert ["complete", "failed", "pruned", "pending", "running", "pending"] == states

    def test_counts_sum_to_expected(self, study: Study) -> None:
        """Every trial is counted, once."""
        counts = study.counts

        assert {
            "expected": 6,
            "complete": 1,
            "failed": 1,
            "pruned": 1,
            "running": 0,
            "pending": 3,
        } == counts
        assert counts["expected"] == sum(counts.values()) - counts["expected"]

    def test_trials_that_a_search_has_yet_to_find_are_pending(self, tmp_path: Path) -> None:
        """A search of twelve trainings expects twelve, whatever was found so far."""
        study = make_search(tmp_path / "search")
        write_result(study, study.trials[0])

        counts = load_study(study.folder.root).counts
        assert (12, 1, 11) == (counts.pop("expected"), counts["complete"], counts["pending"])
        assert 12 == sum(counts.values())

    def test_a_worker_at_a_finished_trial_runs_nothing(self, study: Study) -> None:
        """A result decides, whatever a slow worker is still at."""
        with HeartbeatWriter(study.folder.workers / "w.json", name="w") as worker:
            worker.report(slugs(study)[0])

            assert "complete" == load_study(study.folder.root).states[slugs(study)[0]]

    def test_a_damaged_result_is_pending(self, study: Study) -> None:
        """What cannot be read is run again."""
        study.folder.trial(slugs(study)[0]).result.write_text('{"state": "comp')

        assert "pending" == load_study(study.folder.root).states[slugs(study)[0]]

    def test_a_result_of_a_newer_version_is_told(self, study: Study) -> None:
        """It must not be taken for a damaged one, and run again."""
        write_result(study, study.trials[0], schema=99)

        with pytest.raises(DataError, match="newer version"):
            _ = load_study(study.folder.root).counts

    def test_a_trial_by_its_slug(self, study: Study) -> None:
        """The very one."""
        assert study.trial(slugs(study)[1]) is study.trials[1]

    def test_failures_have_reasons(self, study: Study) -> None:
        """Failed trials and failed attempts, each with the first line of the error."""
        assert [
            f"failed {slugs(study)[1]}: ValueError: no",
            f"attempt 1 of 3 at {slugs(study)[3]}: OSError: once",
        ] == study.failures


class TestFrame:
    def test_a_row_for_each_trial(self, study: Study) -> None:
        """In the order to run, with states and coordinates as numbers."""
        frame = study.frame()

        assert slugs(study) == list(frame["slug"])
        assert list(study.states.values()) == list(frame["state"])
        assert [1.0, 16.0, 4.0] * 2 == list(frame["beta"])

    def test_scores_stand_where_a_result_is_final(self, study: Study) -> None:
        """The objective first; nothing of an attempt that will be repeated."""
        frame = study.frame()

        assert ("mig", "beta_vae") == study.score_names
        assert [0.5, 0.1] == list(frame["mig"].dropna())
        assert [0.9] == list(frame["beta_vae"].dropna())
        assert pd.isna(frame["attempt"][3])
        assert "OSError: once" == frame["error"][3]

    def test_beta_norm_is_known_before_a_result(self, study: Study) -> None:
        """β·M/N of every trial: 16 · 5 / 1024 = 0.078125."""
        assert 0.078125 == study.frame()["beta_norm"][1]

    def test_beta_norm_goes_by_the_images_of_the_trial(self, tmp_path: Path) -> None:
        """Where data sets are swept, N is not the same: 64 x 64 pixels and 32 x 32."""
        listed, _ = grid(
            {"beta": [16], "latent_dim": [5], "seed": [0], "data": ["dsprites", "dsprites32"]}
        )
        frame = make_study(tmp_path / "tested", listed, axes=["data"], image_size=4096).frame()

        assert [16 * 5 / 4096, 16 * 5 / 1024] == list(frame["beta_norm"])

    def test_beta_norm_goes_by_what_the_result_says(self, tmp_path: Path) -> None:
        """The user's own images have the size they were trained at."""
        listed, _ = grid({"beta": [16], "latent_dim": [5], "seed": [0], "data": ["folder"]})
        made = make_study(tmp_path / "tested", listed, axes=["data"], image_size=4096)
        before = made.frame()["beta_norm"][0]
        write_result(made, made.trials[0], data={"image_shape": [3, 32, 32]})

        after = load_study(made.folder.root).frame()["beta_norm"][0]

        assert [16 * 5 / 4096, float(f"{16 * 5 / 3072:.12g}")] == [before, after]

    def test_the_columns_that_curve_and_report_read(self, study: Study) -> None:
        """Their names and order are an interface."""
        assert [
            *("slug", "beta", "latent_dim", "seed", "state", "beta_norm", "mig", "beta_vae"),
            *("recon", "kl", "loss", "active_latents", "images_seen", "loss_change"),
            *("wall_time_s", "attempt", "device", "threads", "protocol", "error"),
        ] == list(study.frame().columns)

    def test_further_axes_are_columns(self, tmp_path: Path) -> None:
        """Any key may be swept."""
        values: dict[str, Any] = {"beta": [1], "latent_dim": [2], "seed": [0]}
        listed = grid(values | {"optimizer.lr": [1e-4, 1e-3]})[0]
        made = make_study(tmp_path / "tested", listed, axes=["optimizer.lr"])

        assert [1e-4, 1e-3] == list(made.frame()["optimizer.lr"])


def test_curve_is_the_table_that_the_report_keeps(study: Study) -> None:
    """A row for every cell and score, with the contract's columns first."""
    found = study.curve()

    write_curve(study.folder.report / "curve.csv", found)
    kept = pd.read_csv(study.folder.report / "curve.csv")
    assert ["latent_dim", "beta", "beta_norm", "score", "mean"] == list(found.columns[:5])
    assert {"mig", "beta_vae"} == set(found["score"])
    pd.testing.assert_frame_equal(kept, found, check_dtype=False)


def test_figure_is_the_reports_chart(study: Study) -> None:
    """The inverted U of the objective, unless another is asked for."""
    assert "MIG" == study.figure().axes[0].get_title(loc="left")
    assert "Higgins (β-VAE) score" == study.figure("heat_map", score="beta_vae").axes[0].get_title(
        loc="left"
    )


def test_one_result_can_be_had_by_its_slug(study: Study) -> None:
    """None where there is none."""
    first = study.result(slugs(study)[0])

    assert first is not None
    assert {"mig": 0.5, "beta_vae": 0.9} == first.scores
    assert study.result(slugs(study)[5]) is None
    assert study.folder.trials / slugs(study)[0] == study.trial_folder(slugs(study)[0])


def test_trials_are_those_of_the_manifest(tmp_path: Path) -> None:
    """A β of 4.0 in the file is the trial of β = 4."""
    made = make_study(tmp_path / "tested")
    content = json.loads(made.folder.manifest.read_text())
    content["points"] = [{"beta": 4.0, "latent_dim": 5, "seed": 0}]
    made.folder.manifest.write_text(json.dumps(content))

    assert (Trial.of({"beta": 4, "latent_dim": 5, "seed": 0}),) == load_study(
        made.folder.root
    ).trials
