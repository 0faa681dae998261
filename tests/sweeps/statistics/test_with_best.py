"""What each of several means loses against the best of the others."""

import numpy as np
import pytest

from sweeps.statistics.intervals import Spread, configuration_means, pooled_spread
from sweeps.statistics.with_best import critical, gaps_to_best, seeds_to_exclude

STUDIES = 1000


def test_gaps_by_hand() -> None:
    """Against the best of the others, with Dunnett's critical value and the pooled variance."""
    spread = Spread(np.array(0.01), np.array(20.0))
    found = gaps_to_best(np.array([0.2, 0.5, 0.4]), np.array([4.0, 4.0, 4.0]), spread)
    # one-sided 5 % of three comparisons, 20 degrees of freedom (Dunnett, 1955): 2.19
    reach = 2.19 * np.sqrt(0.01 * 2 / 4)
    assert found.mean == pytest.approx([-0.3, 0.1, -0.1])
    assert found.mean - found.low == pytest.approx([reach] * 3, rel=0.01)
    assert found.high - found.mean == pytest.approx([reach] * 3, rel=0.01)


@pytest.mark.parametrize(("M", "df", "value"), [(2, 10, 2.15), (3, 20, 2.19), (4, 60, 2.22)])
def test_critical_values_are_dunnetts(M: int, df: float, value: float) -> None:
    """One-sided, 5 %, correlation ½, as printed by Dunnett (1955)."""
    assert critical(M, np.array(df)) == pytest.approx(value, abs=0.03)


@pytest.mark.parametrize("means", [[0.5, 0.5, 0.5], [0.5, 0.45, 0.45], [0.3, 0.4, 0.5]])
def test_all_intervals_hold_at_once(means: list[float]) -> None:
    """In at least 95 % of 1,000 studies, less 2.3 standard errors."""
    rng = np.random.default_rng(0)
    values = np.array(means)[:, None] + 0.1 * rng.normal(size=(STUDIES, 3, 5))
    found = gaps_to_best(
        configuration_means(values), np.array([5.0, 5.0, 5.0]), pooled_spread(values)
    )
    truth = np.array([m - max(means[:i] + means[i + 1 :]) for i, m in enumerate(means)])
    held = (found.low <= truth).all(axis=-1).mean()
    assert held >= 0.95 - 2.3 * np.sqrt(0.05 * 0.95 / STUDIES)


def test_seeds_to_exclude_a_loss() -> None:
    """With so many seeds the interval just ends at the margin; a loss above it never does."""
    spread = Spread(np.array(0.01), np.array(1000.0))
    means = np.array([0.48, 0.5, 0.2])
    needed = seeds_to_exclude(
        gaps_to_best(means, np.full(3, 5.0), spread), np.full(3, 5.0), margin=0.05
    )
    again = gaps_to_best(means, np.full(3, needed[0]), spread)
    assert again.low[0] == pytest.approx(-0.05, abs=1e-9)
    assert np.isnan(needed[2])
