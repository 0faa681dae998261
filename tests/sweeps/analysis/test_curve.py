from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bvae.exceptions import DataError
from sweeps.analysis.curve import (
    COLUMNS,
    best_cells,
    curve,
    intervals,
    lines,
    pooled_spread,
    write_curve,
)

# Shapes: C cells, S seeds, T synthetic studies.


def study(
    *,
    betas: Sequence[float] = (0.25, 4.0, 16.0),
    latent_dims: Sequence[int] = (5, 10),
    seeds: Sequence[int] = (0, 1, 2),
    models: Sequence[object] = ("mlp",),
) -> pd.DataFrame:
    """A finished study of random scores, in an order of its own, as `Study.frame()` gives it."""
    rng = np.random.default_rng(7)
    rows: list[dict[str, Any]] = [
        {
            "slug": f"beta={beta},latent_dim={latent_dim},seed={seed},model={model}",
            "beta": beta,
            "latent_dim": latent_dim,
            "seed": seed,
            "model": model,
            "state": "complete",
            "beta_norm": beta * latent_dim / 1024,
            "mig": rng.normal(0.2, 0.03),
            "beta_vae": rng.normal(0.8, 0.03),
            "active_latents": 4,
            "protocol": "locatello2019",
        }
        for seed in seeds
        for model in models
        for latent_dim in latent_dims
        for beta in betas
    ]
    return pd.DataFrame(rows)


def end(frame: pd.DataFrame, state: str, **trial: object) -> pd.DataFrame:
    """The study with matching trials in another state, without scores."""
    hit = np.logical_and.reduce([frame[key] == value for key, value in trial.items()])
    changed = frame.astype({"active_latents": float})
    changed.loc[hit, "state"] = state
    changed.loc[hit, ["mig", "beta_vae", "active_latents"]] = np.nan
    return changed


class TestTable:
    def test_has_the_columns_of_the_contract_with_the_axes_behind(self) -> None:
        """curve.csv starts with the twelve fixed columns and appends the further swept keys."""
        table = curve(study(), score_names=("mig",), axes=("model",))
        assert list(table.columns) == [
            *["latent_dim", "beta", "beta_norm", "score", "mean", "low", "high", "n", "protocol"],
            *["n_failed", "n_pruned", "active_latents", "model"],
        ]
        assert list(curve(study(), score_names=("mig",)).columns) == list(COLUMNS)

    def test_has_one_row_for_every_cell_and_score(self) -> None:
        """Each cell appears once per score, with the plain mean over its seeds."""
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

    def test_has_a_row_without_numbers_for_a_cell_that_has_not_begun(self) -> None:
        """A pending cell is in the table, empty."""
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

    def test_shows_every_protocol_of_a_cell(self) -> None:
        """Seeds scored under two protocols are seen in the table, not hidden."""
        frame = study()
        frame.loc[frame["seed"] == 2, "protocol"] = "higgins2017"
        table = curve(frame, score_names=("mig",))
        assert set(table["protocol"]) == {"higgins2017|locatello2019"}


class TestIntervals:
    none = np.zeros(1, dtype=np.bool_)

    def test_of_one_cell_are_students(self) -> None:
        """With a single cell there is nothing to pool: mean ± t·s/√n."""
        values = np.array([[0.2, 0.25, 0.33, 0.31]])
        low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values[0]))
        found = intervals(values, collapsed=self.none)
        assert (found.low[0], found.high[0]) == pytest.approx((low, high))

    def test_pool_the_variance_of_cells(self) -> None:
        """Equal numbers of seeds: s² is the average of the cells' variances."""
        values = np.random.default_rng(0).normal(size=(6, 4))
        assert pooled_spread(values).variance == pytest.approx(values.var(axis=1, ddof=1).mean())

    def test_pool_by_degrees_of_freedom_where_seeds_are_missing(self) -> None:
        """A cell counts with its number of seeds less one; a single seed adds nothing."""
        values = np.array([[1.0, 3.0, 5.0], [2.0, 4.0, np.nan], [7.0, np.nan, np.nan]])
        assert pooled_spread(values).variance == pytest.approx((8.0 + 2.0) / 3)

    def test_know_that_cells_of_a_seed_move_together(self) -> None:
        """If all cells repeat the same deviations, C cells tell no more than one."""
        values = np.array([0.1, 0.2, 0.6]) + np.arange(7.0)[:, None]
        assert pooled_spread(values).df == pytest.approx(2)

    def test_use_all_degrees_of_freedom_of_independent_cells(self) -> None:
        """If seeds have nothing in common beyond chance, df is C(S−1)."""
        rng = np.random.default_rng(0)
        found = pooled_spread(rng.normal(size=(2000, 8, 3)))
        assert np.median(found.df) == pytest.approx(16, abs=1)
        assert found.df.max() <= 16

    @pytest.mark.parametrize("shared", [0.0, 0.5])
    def test_cover_the_truth_in_95_percent_of_studies(self, shared: float) -> None:
        """On 1,000 studies of three seeds, 93 to 97 % of the intervals hold their cell's mean.

        Noise differs from cell to cell (.03 to .05). The share of 7,000 intervals has a standard
        error of at most .0069, if those of a study all hold or fail together: 2 trials are 2.9
        of it; it is about half of that here.
        """
        rng = np.random.default_rng(11)
        own, common = rng.normal(size=(1000, 7, 3)), rng.normal(size=(1000, 1, 3))
        sd = rng.uniform(0.03, 0.05, size=(1000, 7, 1))
        values = sd * (np.sqrt(1 - shared) * own + np.sqrt(shared) * common)
        _, low, high = intervals(values, collapsed=np.zeros(7, dtype=np.bool_))
        assert 0.93 <= ((low <= 0) & (high >= 0)).mean() <= 0.97

    def test_are_not_narrowed_by_a_collapsed_cell(self) -> None:
        """Cells at chance hardly vary, and are pooled apart from the others."""
        rng = np.random.default_rng(0)
        lively, dead = rng.normal(size=(4, 3)), 1e-3 * rng.normal(size=(3, 3))
        collapsed = np.array([False] * 4 + [True] * 3)
        alone = intervals(lively, collapsed=collapsed[:4])
        found = intervals(np.concatenate([lively, dead]), collapsed=collapsed)
        np.testing.assert_array_equal(found.low[:4], alone.low)
        assert (found.high - found.low)[4:].max() < 0.01

    def test_are_unknown_with_one_seed(self) -> None:
        """A single seed a cell has a mean but no interval."""
        table = curve(study(seeds=(0,)), score_names=("mig",))
        assert table["mean"].notna().all()
        assert table[["low", "high"]].isna().all(axis=None)

    def test_of_a_single_seed_lean_on_the_other_cells(self) -> None:
        """A cell with one seed gets the pooled variance, and √3 times the width of the others."""
        frame = end(study(latent_dims=(5,)), "pending", beta=4.0, seed=1)
        frame = end(frame, "pending", beta=4.0, seed=2)
        width = curve(frame, score_names=("mig",)).eval("high - low").to_numpy()
        assert width[1] == pytest.approx(np.sqrt(3) * width[0])
        assert width[2] == pytest.approx(width[0])


class TestLine:
    def test_is_collapsed_below_two_active_latents(self) -> None:
        """The mean over seeds decides; an unknown count is no collapse."""
        frame = study(latent_dims=(5,)).astype({"active_latents": float})
        frame.loc[frame["beta"] == 0.25, "active_latents"] = [2.0, 1.0, 3.0]
        frame.loc[frame["beta"] == 4.0, "active_latents"] = [2.0, 2.0, 1.0]
        frame.loc[frame["beta"] == 16.0, "active_latents"] = np.nan
        (line,) = lines(frame, score_names=("mig",))
        assert line.collapsed.tolist() == [False, True, False]

    def test_finished_keeps_complete_cells_in_every_field(self) -> None:
        """Dropping a cell drops it from every array alike."""
        frame = end(study(latent_dims=(5,)), "failed", beta=4.0, seed=1)
        (line,) = lines(frame, score_names=("mig",))
        done = line.finished()
        assert line.complete.tolist() == [True, False, True]
        assert done.betas.tolist() == [0.25, 16.0]
        assert done.values.shape == (2, 3)
        assert len(done.protocols) == len(done.n_failed) == len(done.active_latents) == 2
        assert done.n_failed.sum() == 0


class TestBestCells:
    def top(self) -> pd.DataFrame:
        """A study whose best cells are β=4 at 5 latents and, above it, β=16 at 10."""
        frame = study()
        for latent_dim, beta, score in ((5, 4.0, 0.5), (10, 16.0, 0.6)):
            hit = (frame["latent_dim"] == latent_dim) & (frame["beta"] == beta)
            frame.loc[hit, "mig"] = [score - 0.01, score, score + 0.01]
        return frame

    def test_are_the_highest_means_of_each_latent_size_and_of_all(self) -> None:
        """Every latent size has a best cell with its interval; the best of them is the best."""
        found = best_cells(self.top(), score="mig")
        assert [(cell.latent_dim, cell.beta) for cell in found.by_line] == [(5, 4.0), (10, 16.0)]
        assert found.overall == found.by_line[1]
        assert found.overall.mean == pytest.approx(0.6)
        assert found.overall.beta_norm == 16.0 * 10 / 1024
        row = curve(self.top(), score_names=("mig",)).query("latent_dim == 10 and beta == 16")
        assert (found.overall.low, found.overall.high, found.overall.n) == tuple(
            row[["low", "high", "n"]].iloc[0]
        )

    @pytest.mark.parametrize("state", ["failed", "pruned", "running", "pending", "complete"])
    def test_are_complete(self, state: str) -> None:
        """A cell that lacks the score of one seed, for whatever reason, is not called best."""
        found = best_cells(end(self.top(), state, beta=16.0, latent_dim=10, seed=1), score="mig")
        assert found.by_line[1].beta != 16.0
        assert found.overall == found.by_line[0]

    def test_have_all_their_repeats(self) -> None:
        """In a search, which gives a cell its seeds one by one, a single lucky one does not win."""
        frame = self.top()
        lucky = (frame["beta"] == 16.0) & (frame["latent_dim"] == 10) & (frame["seed"] > 0)
        found = best_cells(frame[~lucky].assign(repeats=3), score="mig")

        assert found.overall == found.by_line[0]
        assert best_cells(frame[~lucky], score="mig").overall.n == 1

    def test_have_not_collapsed(self) -> None:
        """A score may be high where nothing is encoded; where all have collapsed one is best."""
        frame = self.top()
        frame.loc[(frame["beta"] == 16.0) & (frame["latent_dim"] == 10), "active_latents"] = 1
        found = best_cells(frame, score="mig")
        assert found.by_line[1].beta != 16.0
        assert found.overall == found.by_line[0]

        frame.loc[frame["latent_dim"] == 10, "active_latents"] = 1
        found = best_cells(frame, score="mig")
        assert (found.by_line[1].beta, found.by_line[1].collapsed) == (16.0, True)
        assert found.overall == found.by_line[0]

    def test_are_found_for_each_value_of_an_axis(self) -> None:
        """Every facet has its own best cells."""
        found = best_cells(study(models=("mlp", "conv")), score="mig", axes=("model",))
        assert [dict(cell.axes)["model"] for cell in found.by_line] == [
            "conv",
            "conv",
            "mlp",
            "mlp",
        ]

    def test_take_the_smaller_beta_of_equal_cells(self) -> None:
        """A tie is broken the same way every time."""
        found = best_cells(study().assign(mig=0.5), score="mig")
        assert [cell.beta for cell in found.by_line] == [0.25, 0.25]
        assert found.overall.latent_dim == 5

    def test_are_absent_without_a_complete_cell(self) -> None:
        """A study that has just begun has no best cell."""
        found = best_cells(end(study(), "pending", seed=2), score="mig")
        assert found.by_line == ()
        assert found.overall is None


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
