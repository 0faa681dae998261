from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bvae.exceptions import DataError
from sweeps.analysis.curve import (
    COLUMNS,
    curve,
    lines,
    write_curve,
)
from tests.doubles.frames import end, study

# Shapes: C configurations, S seeds, T synthetic studies.


class TestTable:
    def test_has_the_columns_of_the_contract_with_the_axes_behind(self) -> None:
        """curve.csv starts with the twelve fixed columns and appends the further swept keys."""
        table = curve(study(), score_names=("mig",), axes=("model",))
        assert list(table.columns) == [
            *["latent_dim", "beta", "beta_norm", "score", "mean", "low", "high", "n", "protocol"],
            *["n_failed", "n_pruned", "active_latents", "model"],
        ]
        assert list(curve(study(), score_names=("mig",)).columns) == list(COLUMNS)

    def test_has_one_row_for_every_configuration_and_score(self) -> None:
        """Each configuration appears once per score, with the plain mean over its seeds."""
        frame = study()
        table = curve(frame, score_names=("mig", "beta_vae"))
        melted = frame.melt(["latent_dim", "beta"], ["mig", "beta_vae"], "score")
        expected = melted.groupby(["latent_dim", "beta", "score"])["value"].mean()
        found = table.set_index(["latent_dim", "beta", "score"])["mean"].sort_index()
        pd.testing.assert_series_equal(found, expected, check_names=False)

    def test_does_not_depend_on_the_order_of_the_trials(self) -> None:
        """Any order of rows gives the same table, sorted by axes, latent size, score and β."""
        frame = study(models=("mlp", "conv"))
        shuffled = frame.sample(frac=1, random_state=3)
        table = curve(frame, score_names=("mig", "beta_vae"), axes=("model",))
        again = curve(shuffled, score_names=("mig", "beta_vae"), axes=("model",))
        pd.testing.assert_frame_equal(table, again, rtol=1e-12)
        assert list(table["model"].unique()) == ["conv", "mlp"]
        assert table.groupby(["model", "latent_dim", "score"])["beta"].is_monotonic_increasing.all()

    def test_keeps_further_axes_apart(self) -> None:
        """Seeds are averaged within one value of an axis only."""
        frame = study(models=("mlp", "conv"))
        frame.loc[frame["model"] == "conv", "mig"] = 0.5
        table = curve(frame, score_names=("mig",), axes=("model",))
        assert (table.loc[table["model"] == "conv", "mean"] == 0.5).all()
        assert (table["n"] == 3).all()
        assert (table.loc[table["model"] == "mlp", "mean"] < 0.4).all()

    def test_refuses_to_average_over_an_axis_that_was_not_named(self) -> None:
        """Two rows of one trial are an error that names the trial and what to do."""
        with pytest.raises(DataError, match=r"got 18 repeated.*beta=0\.25, seed=0.*`axes`"):
            curve(study(models=("mlp", "conv")), score_names=("mig",))

    def test_null_beside_numbers_stays_null(self) -> None:
        """Pandas makes NaN of it, which is not equal to itself."""
        frame = study(models=(None, 32.0))
        axes = [line.axes for line in lines(frame, score_names=["mig"], axes=["model"])]
        assert frame["model"].isna().any()
        assert axes == [(("model", 32),)] * 2 + [(("model", None),)] * 2

    def test_orders_axis_values_that_do_not_compare(self) -> None:
        """Numbers come first, by size, and whatever else follows by its text."""
        frame = study(models=(10, 9, None, "auto", (2, 1)))
        table = curve(frame, score_names=("mig",), axes=("model",))
        values = [None if pd.isna(v) is True else v for v in table["model"].drop_duplicates()]
        assert values == [9, 10, (2, 1), "auto", None]

    def test_counts_failed_and_pruned_seeds_and_leaves_out_their_scores(self) -> None:
        """A seed that did not end well counts in its column and nowhere else."""
        frame = end(study(), "failed", beta=4.0, latent_dim=5, seed=1)
        frame = end(frame, "pruned", beta=4.0, latent_dim=5, seed=2)
        frame.loc[frame["state"] == "pruned", "mig"] = 99.0  # an intermediate score
        row = curve(frame, score_names=("mig",)).query("latent_dim == 5 and beta == 4").iloc[0]
        alive = frame.query("latent_dim == 5 and beta == 4 and seed == 0").iloc[0]
        assert (row["n"], row["n_failed"], row["n_pruned"]) == (1, 1, 1)
        assert row["mean"] == alive["mig"]

    def test_has_a_row_without_numbers_for_a_configuration_that_has_not_begun(self) -> None:
        """A pending configuration is in the table, empty."""
        table = curve(end(study(), "pending", beta=4.0), score_names=("mig",))
        rows = table[table["beta"] == 4.0]
        assert (rows["n"] == 0).all()
        assert rows[["mean", "low", "high", "active_latents"]].isna().all(axis=None)

    def test_reads_the_empty_columns_of_a_study_without_results(self) -> None:
        """Scores that are None everywhere make an empty curve, not an error."""
        frame = study().assign(state="pending", mig=None, active_latents=None)
        assert curve(frame, score_names=("mig",))["mean"].isna().all()

    def test_of_no_trials_is_empty(self) -> None:
        """A frame without rows gives the columns only."""
        table = curve(study().iloc[:0], score_names=("mig",))
        assert list(table.columns) == list(COLUMNS)
        assert len(table) == 0

    def test_shows_every_protocol_of_a_configuration(self) -> None:
        """Seeds scored under two protocols are seen in the table, not hidden."""
        frame = study()
        frame.loc[frame["seed"] == 2, "protocol"] = "higgins2017"
        table = curve(frame, score_names=("mig",))
        assert set(table["protocol"]) == {"higgins2017|locatello2019"}


class TestIntervalsOfTheCurve:
    def test_are_unknown_with_one_seed(self) -> None:
        """A single seed a configuration has a mean but no interval."""
        table = curve(study(seeds=(0,)), score_names=("mig",))
        assert table["mean"].notna().all()
        assert table[["low", "high"]].isna().all(axis=None)

    def test_of_a_single_seed_lean_on_the_other_configurations(self) -> None:
        """One seed gets the pooled variance, and √3 times the width of what varies no more."""
        frame = end(study(latent_dims=(5,)), "pending", beta=4.0, seed=1)
        frame = end(frame, "pending", beta=4.0, seed=2)
        width = curve(frame, score_names=("mig",)).eval("high - low").to_numpy()
        assert width[1] == pytest.approx(np.sqrt(3) * min(width[0], width[2]))


class TestLine:
    def test_is_collapsed_below_two_active_latents(self) -> None:
        """The mean over seeds decides; an unknown count is no collapse."""
        frame = study(latent_dims=(5,)).astype({"active_latents": float})
        frame.loc[frame["beta"] == 0.25, "active_latents"] = [2.0, 1.0, 3.0]
        frame.loc[frame["beta"] == 4.0, "active_latents"] = [2.0, 2.0, 1.0]
        frame.loc[frame["beta"] == 16.0, "active_latents"] = np.nan
        (line,) = lines(frame, score_names=("mig",))
        assert line.collapsed.tolist() == [False, True, False]

    def test_finished_keeps_complete_configurations_in_every_field(self) -> None:
        """Dropping a configuration drops it from every array alike."""
        frame = end(study(latent_dims=(5,)), "failed", beta=4.0, seed=1)
        (line,) = lines(frame, score_names=("mig",))
        done = line.finished
        assert line.complete.tolist() == [True, False, True]
        assert done.betas.tolist() == [0.25, 16.0]
        assert done.values.shape == (2, 3)
        assert len(done.protocols) == len(done.n_failed) == len(done.active_latents) == 2
        assert done.n_failed.sum() == 0


class TestWriteCurve:
    def test_writes_numbers_to_twelve_digits(self, tmp_path: Path) -> None:
        """Floats are written by %.12g, missing ones as nothing, lines end in a line feed."""
        frame = study(betas=(0.1,), latent_dims=(5,), seeds=(0,)).assign(mig=0.1 + 0.2)
        write_curve(tmp_path / "report" / "curve.csv", curve(frame, score_names=("mig",)))
        assert (tmp_path / "report" / "curve.csv").read_bytes().decode() == (
            "latent_dim,beta,beta_norm,score,mean,low,high,n,protocol,"
            "n_failed,n_pruned,active_latents\n"
            "5,0.1,0.00048828125,mig,0.3,,,1,locatello2019,0,0,4\n"
        )

    def test_writes_the_same_bytes_for_the_same_results(self, tmp_path: Path) -> None:
        """Neither the order of the trials nor the last bit of a sum shows in the file."""
        frame = study(models=("mlp", "conv"))
        for name, rows in (("a", frame), ("b", frame.sample(frac=1, random_state=1))):
            table = curve(rows, score_names=("mig", "beta_vae"), axes=("model",))
            write_curve(tmp_path / name, table)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
