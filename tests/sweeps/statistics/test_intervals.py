"""Means over seeds, and their intervals."""

import numpy as np
import pytest
from scipy import stats

from sweeps.statistics.intervals import intervals, pooled_spread

# Shapes: C configurations, S seeds, T synthetic studies.


class TestIntervals:
    none = np.zeros(1, dtype=np.bool_)

    def test_of_one_configuration_are_students(self) -> None:
        """With a single configuration there is nothing to pool: mean ± t·s/√n."""
        values = np.array([[0.2, 0.25, 0.33, 0.31]])
        low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values[0]))
        found = intervals(values, collapsed=self.none)
        assert (found.low[0], found.high[0]) == pytest.approx((low, high))

    def test_pool_the_variance_of_configurations(self) -> None:
        """Equal numbers of seeds: s² is the average of the configurations' variances."""
        values = np.random.default_rng(0).normal(size=(6, 4))
        assert pooled_spread(values).variance == pytest.approx(values.var(axis=1, ddof=1).mean())

    def test_pool_by_degrees_of_freedom_where_seeds_are_missing(self) -> None:
        """A configuration counts with its number of seeds less one; a single seed adds nothing."""
        values = np.array([[1.0, 3.0, 5.0], [2.0, 4.0, np.nan], [7.0, np.nan, np.nan]])
        assert pooled_spread(values).variance == pytest.approx((8.0 + 2.0) / 3)

    def test_know_that_configurations_of_a_seed_move_together(self) -> None:
        """If all repeat the same deviations, C configurations tell no more than one."""
        values = np.array([0.1, 0.2, 0.6]) + np.arange(7.0)[:, None]
        assert pooled_spread(values).df == pytest.approx(2)

    def test_use_all_degrees_of_freedom_of_independent_configurations(self) -> None:
        """If seeds have nothing in common beyond chance, df is C(S−1)."""
        rng = np.random.default_rng(0)
        found = pooled_spread(rng.normal(size=(2000, 8, 3)))
        assert np.median(found.df) == pytest.approx(16, abs=1)
        assert found.df.max() <= 16

    @pytest.mark.parametrize("shared", [0.0, 0.5])
    def test_cover_the_truth_in_95_percent_of_studies(self, shared: float) -> None:
        """On 1,000 studies of three seeds, 93 to 97 % of the intervals hold their mean.

        Noise differs from configuration to configuration (.03 to .05). The share of 7,000 intervals
        has a standard error of at most .0069, if those of a study all hold or fail together: 2
        trials are 2.9 of it; it is about half of that here.
        """
        rng = np.random.default_rng(11)
        own, common = rng.normal(size=(1000, 7, 3)), rng.normal(size=(1000, 1, 3))
        sd = rng.uniform(0.03, 0.05, size=(1000, 7, 1))
        values = sd * (np.sqrt(1 - shared) * own + np.sqrt(shared) * common)
        _, low, high = intervals(values, collapsed=np.zeros(7, dtype=np.bool_))
        assert 0.93 <= ((low <= 0) & (high >= 0)).mean() <= 0.97

    def test_hold_where_seeds_fall_into_a_local_optimum(self) -> None:
        """Of six seeds, 30 % with a fifth of the score: 93 to 97 % of intervals hold their mean.

        The best configurations vary most; with the pooled variance alone 82 % of theirs would.
        """
        rng = np.random.default_rng(3)
        means = np.array([0.05, 0.1, 0.3, 0.35, 0.32, 0.06])[:, None]
        turned = rng.random((1000, 6, 6)) < 0.3
        values = means * np.where(turned, 0.2, 1.0) + rng.normal(0, 0.03, size=(1000, 6, 6))
        _, low, high = intervals(values, collapsed=np.zeros(6, dtype=np.bool_))
        truth = 0.76 * means[:, 0]
        held = ((low <= truth) & (truth <= high)).mean(axis=0)
        assert 0.93 <= held.mean() <= 0.97
        assert held.min() >= 0.85

    def test_are_not_narrowed_by_a_collapsed_configuration(self) -> None:
        """Configurations at chance hardly vary, and are pooled apart from the others."""
        rng = np.random.default_rng(0)
        lively, dead = rng.normal(size=(4, 3)), 1e-3 * rng.normal(size=(3, 3))
        collapsed = np.array([False] * 4 + [True] * 3)
        alone = intervals(lively, collapsed=collapsed[:4])
        found = intervals(np.concatenate([lively, dead]), collapsed=collapsed)
        np.testing.assert_array_equal(found.low[:4], alone.low)
        assert (found.high - found.low)[4:].max() < 0.01
