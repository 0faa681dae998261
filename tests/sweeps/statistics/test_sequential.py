"""Which configurations get another seed, and that looking often buys no false answers."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.calibrate_until import LONG, until
from benchmarks.calibration import MIG, NULLS, TURNED_MIG, Truth, draw
from sweeps.statistics import contrasts
from sweeps.statistics.contrasts import residual_noise
from sweeps.statistics.sequential import LEVEL_OF_A_LOOK, is_settled, open_configurations

STUDIES = 100
AT_MOST = 0.05 + 2.3 * np.sqrt(0.05 * 0.95 / STUDIES)


def scores(means: list[float], *, sd: float = 0.01, seeds: int = 4) -> np.ndarray:
    """Scores [C, S] whose deviations sum to zero over seeds."""
    noise = np.random.default_rng(0).normal(size=(len(means), seeds))
    return np.array(means)[:, None] + sd * (noise - noise.mean(axis=1, keepdims=True))


def opened(values: np.ndarray, n_collapsed: int = 0, margin: float = 0.05) -> list[bool]:
    """Which of the configurations get another seed."""
    collapsed = np.arange(len(values)) >= len(values) - n_collapsed
    return open_configurations(values, collapsed, margin=margin).tolist()


class TestOpenConfigurations:
    def test_none_where_all_is_known(self) -> None:
        """A clear inverted U with a clear peak."""
        assert not any(opened(scores([0.1, 0.3, 0.8, 0.4, 0.1])))

    def test_both_ends_and_whatever_may_be_best(self) -> None:
        """Where neither rise nor fall is shown; what is clearly worse gets none."""
        values = scores([0.4, 0.1, 0.5, 0.42], sd=0.1)
        assert opened(values) == [True, False, True, True]

    def test_one_end_where_the_other_is_known(self) -> None:
        """The rise is beyond doubt."""
        values = scores([0.0, 0.5, 0.55, 0.5], sd=0.06)
        assert opened(values) == [False, True, True, True]

    def test_only_what_may_be_best_where_the_verdict_is_known(self) -> None:
        """Three β may be best, and one may lose more than the margin against another."""
        values = scores([0.0, 0.48, 0.5, 0.48, 0.0], sd=0.06)
        assert opened(values, margin=0.01) == [False, True, True, True, False]
        assert not any(opened(values, margin=0.3))


class TestIsSettled:
    @pytest.mark.parametrize(
        ("may_be", "settled"), [([1, 1, 0], True), ([0, 1, 0], True), ([1, 1, 1], False)]
    )
    def test_two_neighbours(self, may_be: list[int], settled: bool) -> None:
        """One step of the grid is what a best β is known to."""
        values = scores([0.5, 0.5, 0.5], sd=0.1)
        noise = residual_noise(values, members=np.ones(3, dtype=np.bool_))
        found = is_settled(values, noise, np.array(may_be, dtype=np.bool_), margin=0.01)
        assert found == settled


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tenth of the draws for each critical value, as `make bench` takes."""
    kept = (contrasts.largest_t, contrasts._largest_normal)
    monkeypatch.setattr(contrasts, "DRAWS", contrasts.DRAWS // 10)
    for function in kept:
        function.cache_clear()
    yield
    for function in kept:
        function.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("truth", [NULLS[3], NULLS[6]], ids=lambda truth: truth.name)
def test_ten_looks_keep_the_level(truth: Truth) -> None:
    """The worst cases: of 100 studies at most 5 % are called an inverted U, plus 2.3 errors."""
    drawn = draw(truth, studies=STUDIES, seeds=12, noise=MIG)
    ended = [until(values, truth, level=LEVEL_OF_A_LOOK).verdict for values in drawn]
    assert ended.count("inverted U") / STUDIES <= AT_MOST


@pytest.mark.usefixtures("few_draws")
def test_ends_early_where_the_curve_is_clear() -> None:
    """Though 30 % of the seeds fall into a local optimum, most long runs are resolved."""
    drawn = draw(LONG, studies=10, seeds=12, noise=TURNED_MIG)
    ended = [until(values, LONG, level=LEVEL_OF_A_LOOK) for values in drawn]
    assert [one.verdict for one in ended].count("inverted U") >= 8
    assert np.mean([one.trials for one in ended]) < 0.7 * 6 * 12
