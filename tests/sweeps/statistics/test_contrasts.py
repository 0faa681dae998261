import numpy as np
import pytest
from scipy import integrate, stats

from sweeps.statistics.contrasts import (
    critical_t,
    differences,
    largest_t,
    p_some_above,
    residual_noise,
    upper_bounds,
)

# Shapes: C configurations, S seeds, T studies.


def everyone(configurations: int) -> np.ndarray:
    """All of so many configurations."""
    return np.ones(configurations, dtype=np.bool_)


@pytest.fixture
def values() -> np.ndarray:
    """Scores [6, 4] with a strong effect of the seed."""
    rng = np.random.default_rng(3)
    return rng.normal(size=(6, 4)) + 5 * rng.normal(size=4)


def least_squares(values: np.ndarray) -> tuple[float, int]:
    """Residual variance and df of y = configuration + seed by explicit regression on dummies."""
    configuration, seed = np.nonzero(np.isfinite(values))
    design = np.column_stack(
        [configuration == c for c in range(values.shape[0])]
        + [seed == s for s in range(values.shape[1])]
    ).astype(float)
    y = values[configuration, seed]
    fit, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    df = len(y) - rank
    return float(((y - design @ fit) ** 2).sum() / df), df


class TestResidualNoise:
    def test_is_that_of_the_two_way_layout(self, values: np.ndarray) -> None:
        """Σ(y − configuration − seed + grand)² / (C−1)(S−1), and for each its share of it."""
        rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
        noise = residual_noise(values, members=everyone(6))
        assert noise.df == 15
        assert noise.variance == pytest.approx((rest**2).sum() / 15)
        np.testing.assert_allclose(noise.by_configuration, (rest**2).sum(1) / (3 * 5 / 6))
        assert noise.by_configuration.mean() == pytest.approx(noise.variance)

    def test_is_that_of_least_squares_where_seeds_are_missing(self, values: np.ndarray) -> None:
        """An incomplete layout is fitted, not averaged."""
        values[0, 1] = values[3, 0] = values[3, 2] = np.nan
        variance, df = least_squares(values)
        noise = residual_noise(values, members=everyone(6))
        assert (noise.variance, noise.df) == (pytest.approx(variance), df)

    def test_does_not_see_what_a_seed_does_to_all_configurations(self, values: np.ndarray) -> None:
        """Adding a number to every configuration of a seed changes nothing."""
        moved = residual_noise(values + np.array([0, 9, -4, 2]), members=everyone(6))
        assert moved.variance == pytest.approx(residual_noise(values, members=everyone(6)).variance)

    def test_leaves_out_configurations_that_are_not_members(self, values: np.ndarray) -> None:
        """Other configurations add nothing, and are given the pooled variance."""
        members = np.array([True] * 4 + [False] * 2)
        noise = residual_noise(values, members=members)
        alone = residual_noise(values[:4], members=everyone(4))
        assert noise.variance == pytest.approx(alone.variance)
        np.testing.assert_allclose(noise.by_configuration[4:], noise.variance)

    @pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
    def test_has_no_degrees_of_freedom_in_a_single_row_or_column(
        self, shape: tuple[int, int]
    ) -> None:
        """One configuration, or one seed, says nothing about noise."""
        noise = residual_noise(np.ones(shape), members=everyone(shape[0]))
        assert noise.df == 0

    def test_of_no_members_is_unknown(self, values: np.ndarray) -> None:
        """A line that has collapsed everywhere has no noise to go by."""
        assert residual_noise(values, members=~everyone(6)).df == 0


class TestDifferences:
    def test_are_paired(self, values: np.ndarray) -> None:
        """The t of a difference is that of the paired samples when there are only two."""
        pair = values[:2]
        found = differences(pair, residual_noise(pair, members=everyone(2)), end=0)
        expected = stats.ttest_rel(pair[1], pair[0]).statistic
        assert found.mean[1] / found.error[1] == pytest.approx(expected)

    def test_use_shared_seeds_only(self, values: np.ndarray) -> None:
        """A seed that one of the two configurations lacks does not enter, but for the variance."""
        values[2, 1] = np.nan
        found = differences(values, residual_noise(values, members=everyone(6)), end=2)
        seeds = [0, 2, 3]
        np.testing.assert_allclose(found.mean, values[:, seeds].mean(1) - values[2, seeds].mean())

    def test_are_unknown_without_a_shared_seed(self, values: np.ndarray) -> None:
        """Configurations that share no seed cannot be paired."""
        values[0, :2] = values[1, 2:] = np.nan
        found = differences(values, residual_noise(values, members=everyone(6)), end=0)
        assert np.isnan(found.mean[1])
        assert np.isfinite(found.mean[2:]).all()

    def test_widen_where_the_end_is_noisier_than_the_rest(self) -> None:
        """The end's own variance counts if it is the larger one, and never narrows."""
        rng = np.random.default_rng(0)
        values = rng.normal(size=(6, 4)) * np.array([9, 1, 1, 1, 1, 0.01])[:, None]
        noise = residual_noise(values, members=everyone(6))
        noisy, calm = (differences(values, noise, end=end).error[2] for end in (0, 5))
        assert noisy == pytest.approx(np.sqrt((noise.variance + noise.by_configuration[0]) / 4))
        assert calm == pytest.approx(np.sqrt(2 * noise.variance / 4))


class TestSomeAbove:
    @pytest.mark.parametrize(("configurations", "seeds"), [(2, 4), (4, 3), (7, 3), (7, 6)])
    @pytest.mark.slow
    def test_has_dunnetts_critical_value(self, configurations: int, seeds: int) -> None:
        """The largest of m t's against one end exceeds it in 5 %, by numerical integration.

        P(max t <= c) = ∫∫ Φ(z + √2 c u)^m φ(z) dz f(u) du, u² = χ²/df (Dunnett, 1955, eq. 3).
        """
        values = np.random.default_rng(0).normal(size=(configurations, seeds))
        noise = residual_noise(values, members=everyone(configurations))
        c = critical_t(values, noise, configurations=everyone(configurations), end=0, level=0.05)

        def density(z: float, u: float) -> float:
            inside = stats.norm.cdf(z + np.sqrt(2) * c * u) ** (configurations - 1)
            return inside * stats.norm.pdf(z) * stats.chi.pdf(u * np.sqrt(noise.df), noise.df)

        covered, _ = integrate.dblquad(density, 0, 6, -8, 8, epsabs=1e-5)
        # the draws know 5 % to ±.0007 (one standard error)
        assert covered * np.sqrt(noise.df) == pytest.approx(0.95, abs=0.002)

    def test_rejects_a_true_null_in_5_percent(self) -> None:
        """All means equal, 1,000 studies: 5 % of p-values lie below .05 (±.0069 standard error).

        The end's own variance, when larger, makes it cautious: 3 to 5 % is what remains.
        """
        values = np.random.default_rng(5).normal(size=(1000, 7, 3))
        noise = residual_noise(values, members=everyone(7))
        p = p_some_above(values, noise, configurations=everyone(7), end=6)
        assert 0.02 <= (p <= 0.05).mean() <= 0.06

    def test_agrees_with_its_critical_value(self) -> None:
        """The p-value is below the level exactly where t is above the critical value."""
        values = np.random.default_rng(5).normal(size=(200, 5, 3))
        noise = residual_noise(values, members=everyone(5))
        c = critical_t(values, noise, configurations=everyone(5), end=0, level=0.3)
        mean, error = differences(values, noise, end=0)
        above = (mean[:, 1:] / error[:, 1:]).max(axis=-1) > c
        p = p_some_above(values, noise, configurations=everyone(5), end=0)
        np.testing.assert_array_equal(p <= 0.3, above)

    def test_looks_at_the_named_configurations_only(self, values: np.ndarray) -> None:
        """A high configuration that is not among them is not seen."""
        values[5] += 100
        noise = residual_noise(values, members=everyone(6))
        some = np.array([False, True, True, True, True, False])
        assert p_some_above(values, noise, configurations=everyone(6), end=0) < 0.001
        assert p_some_above(values, noise, configurations=some, end=0) > 0.01

    def test_leaves_out_configurations_without_a_shared_seed(self, values: np.ndarray) -> None:
        """A configuration that cannot be compared neither helps nor breaks the comparison."""
        values[0, :2] = values[1, 2:] = np.nan
        noise = residual_noise(values, members=everyone(6))
        without = everyone(6)
        without[1] = False
        assert p_some_above(values, noise, configurations=everyone(6), end=0) == p_some_above(
            values, noise, configurations=without, end=0
        )

    def test_shows_nothing_without_degrees_of_freedom_or_configurations(
        self, values: np.ndarray
    ) -> None:
        """With one seed, or nothing to compare with, p is 1 and no t is large enough."""
        single = values[:, :1]
        noise = residual_noise(single, members=everyone(6))
        assert p_some_above(single, noise, configurations=everyone(6), end=0) == 1
        assert critical_t(single, noise, configurations=everyone(6), end=0, level=0.05) == np.inf
        full = residual_noise(values, members=everyone(6))
        assert p_some_above(values, full, configurations=~everyone(6), end=0) == 1
        assert critical_t(values, full, configurations=~everyone(6), end=0, level=0.05) == np.inf

    def test_is_sure_of_a_difference_without_noise(self) -> None:
        """Identical seeds leave no doubt about a higher configuration, nor invent one."""
        values = np.repeat([[1.0], [2.0], [1.0]], 4, axis=1)
        noise = residual_noise(values, members=everyone(3))._replace(
            variance=np.zeros(()), by_configuration=np.zeros(3)
        )
        assert p_some_above(values, noise, configurations=everyone(3), end=0) < 0.001
        assert p_some_above(values, noise, configurations=np.array([True, False, True]), end=1) == 1


def test_upper_bounds_are_those_of_single_t_tests(values: np.ndarray) -> None:
    """The bound of a difference of two is that of scipy's one-sided paired interval."""
    pair = values[:2]
    noise = residual_noise(pair, members=everyone(2))
    test = stats.ttest_rel(pair[1], pair[0], alternative="less")
    expected = test.confidence_interval(0.95).high
    assert upper_bounds(pair, noise, end=0, level=0.05)[1] == pytest.approx(expected)


@pytest.mark.parametrize("df", [3, 40])
def test_draws_are_those_of_a_multivariate_t(df: int) -> None:
    """As NumPy draws its numerator, then its denominator: p-values of old studies stay theirs."""
    correlation = np.array([[1.0, 0.5, 0.6], [0.5, 1.0, 0.5], [0.6, 0.5, 1.0]])
    rng = np.random.default_rng(0)
    normal = rng.multivariate_normal(np.zeros(3), correlation, size=100_000, method="eigh")
    expected = np.sort(normal.max(axis=-1) / np.sqrt(rng.chisquare(df, 100_000) / df))

    found = largest_t(tuple(map(tuple, correlation.tolist())), df)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
