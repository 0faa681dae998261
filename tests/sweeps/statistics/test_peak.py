from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sweeps.analysis.curve import Line
from sweeps.statistics.peak import best_range, left_out_score, may_be_best, next_beta
from tests.doubles.curve_lines import line_of

# Shapes: C cells, S seeds.

BETAS = (0.5, 1.0, 2.0, 4.0, 8.0)


def line(means: Sequence[float], *, n_collapsed: int = 0, sd: float = 0.01, seeds: int = 4) -> Line:
    """A line with exactly these means and little noise."""
    noise = np.random.default_rng(0).normal(size=(len(means), seeds))
    noise -= noise.mean(axis=1, keepdims=True)
    values = np.array(means)[:, None] + sd * noise
    return line_of(values, betas=BETAS, n_collapsed=n_collapsed)


def incomplete(of: Line, *, keep: list[int]) -> Line:
    """The line with these cells alone complete."""
    return replace(of, complete=np.isin(np.arange(len(of.betas)), keep))


class TestBestRange:
    def test_is_one_beta_where_the_peak_is_clear(self) -> None:
        """Far above the others, the best β stands alone, in β and in β_norm."""
        found = best_range(line([0.1, 0.2, 0.5, 0.2, 0.1]))
        assert (found.low, found.high, found.norm_low, found.norm_high) == (2, 2, 0.02, 0.02)
        assert (found.open_low, found.open_high) == (False, False)

    def test_holds_what_cannot_be_told_apart(self) -> None:
        """A flat top is named as a range."""
        found = best_range(line([0.1, 0.3, 0.301, 0.302, 0.1]))
        assert (found.low, found.high) == (1.0, 4.0)

    @pytest.mark.parametrize(
        ("means", "ends"),
        [([0.5, 0.4, 0.2, 0.1, 0.1], (True, False)), ([0.1, 0.1, 0.2, 0.4, 0.5], (False, True))],
    )
    def test_is_open_at_the_border(self, means: Sequence[float], ends: tuple[bool, bool]) -> None:
        """If the best may be the first or last β tried, it may lie beyond."""
        found = best_range(line(means))
        assert (found.open_low, found.open_high) == ends

    def test_is_all_there_is_with_one_seed(self) -> None:
        """Without noise to go by, no β is ruled out."""
        found = best_range(line([0.1, 0.2, 0.5, 0.2, 0.1], seeds=1))
        assert (found.low, found.high, found.open_low, found.open_high) == (0.5, 8, True, True)

    def test_does_not_hold_a_collapsed_cell(self) -> None:
        """High without active latents, it is neither best nor does it rule the others out."""
        found = best_range(line([0.1, 0.2, 0.5, 0.2, 0.9], n_collapsed=1))
        assert (found.low, found.high, found.open_high) == (2, 2, False)

    def test_is_open_at_the_border_of_all_with_a_score(self) -> None:
        """Cells that a search has not completed bound the grid too."""
        found = best_range(incomplete(line([0.1, 0.2, 0.5, 0.3, 0.1]), keep=[2, 3]))
        assert (found.low, found.high, found.open_low, found.open_high) == (2, 2, False, False)

    def test_widens_with_confidence(self) -> None:
        """At 99.9 % more β remain than at 50 %."""
        noisy = line([0.1, 0.25, 0.3, 0.25, 0.1], sd=0.05)
        sure, unsure = (best_range(noisy, confidence=level) for level in (0.999, 0.5))
        assert sure.low < unsure.low <= unsure.high < sure.high


@pytest.mark.parametrize(
    "means", [[0.3] * 7, [0.0, 0.1, 0.2, 0.3, 0.28, 0.2, 0.1], [0.3, 0.29] + [0.0] * 5]
)
def test_may_be_best_keeps_the_best_in_95_percent_of_studies(means: Sequence[float]) -> None:
    """On 1,000 studies the best cell is kept at least 95 times in 100, whatever the curve.

    Standard error .0069 at 95 %: a true 95 % falls below .93 in 2 of 1,000 runs.
    """
    noise = np.random.default_rng(2).normal(size=(1000, 7, 3)) * 0.04
    kept = may_be_best(np.array(means)[:, None] + noise, np.zeros(7, dtype=np.bool_))
    assert kept[:, np.argmax(means)].mean() >= 0.93


def test_may_be_best_drops_what_is_clearly_worse() -> None:
    """The set is small where the curve is steep."""
    means = np.array([0.0, 0.1, 0.2, 0.4, 0.2, 0.1, 0.0])
    noise = np.random.default_rng(2).normal(size=(1000, 7, 3)) * 0.04
    kept = may_be_best(means[:, None] + noise, np.zeros(7, dtype=np.bool_))
    assert kept.sum(axis=-1).mean() < 1.2


class TestLeftOutScore:
    def test_is_the_mean_over_seeds_of_the_cell_that_the_others_chose(self) -> None:
        """It equals the same done one seed at a time."""
        values = np.random.default_rng(1).normal(size=(5, 4))
        scores = []
        for seed in range(4):
            others = np.delete(values, seed, axis=1)
            scores.append(values[others.mean(axis=1).argmax(), seed])
        assert left_out_score(values) == pytest.approx(np.mean(scores))

    def test_is_not_optimistic(self) -> None:
        """On a flat curve the highest mean lies far above the truth, the left-out score does not.

        Standard error of the average over 1,000 studies: .58/√1000 = .018.
        """
        values = np.random.default_rng(4).normal(size=(1000, 7, 3))
        assert values.mean(axis=-1).max(axis=-1).mean() > 0.7
        assert abs(left_out_score(values).mean()) < 0.06

    def test_uses_seeds_that_every_cell_has(self) -> None:
        """A seed that one cell lacks takes no part."""
        values = np.random.default_rng(1).normal(size=(5, 4))
        holed = values.copy()
        holed[2, 1] = np.nan
        assert left_out_score(holed) == left_out_score(np.delete(values, 1, axis=1))

    def test_is_unknown_with_one_seed(self) -> None:
        """Nobody is left to choose."""
        assert np.isnan(left_out_score(np.ones((5, 1))))


class TestNextBeta:
    @pytest.mark.parametrize(
        ("means", "n_collapsed", "expected"),
        [
            pytest.param([0.1, 0.2, 0.5, 0.2, 0.1], 0, None, id="inside"),
            pytest.param([0.1, 0.2, 0.3, 0.4, 0.5], 0, 16.0, id="last: one step on"),
            pytest.param([0.5, 0.4, 0.3, 0.2, 0.1], 0, 0.25, id="first: one step back"),
            pytest.param([0.1, 0.2, 0.3, 0.5, 0.0], 1, 5.7, id="before collapse: half the gap"),
            pytest.param([0.1, 0.2, 0.5, 0.3, 0.0], 1, None, id="inside, collapse further on"),
            pytest.param([0.5, 0.0], 1, 0.71, id="first, before collapse"),
            pytest.param([0.5], 0, 1.0, id="the only one"),
            pytest.param([0.1, 0.2, 0.5, 0.3, 0.9], 1, None, id="a collapsed cell is not best"),
            pytest.param([0.1, 0.5], 2, None, id="all collapsed"),
        ],
    )
    def test_goes_on_where_the_best_is_at_the_border(
        self, means: Sequence[float], n_collapsed: int, expected: float | None
    ) -> None:
        """It continues the grid in log β, or halves the gap before a collapse."""
        assert next_beta(line(means, n_collapsed=n_collapsed)) == expected

    def test_border_is_that_of_all_with_a_score(self) -> None:
        """A search completes few cells: a best one amid others has no border to go beyond."""
        found = replace(line([0.1, 0.2, 0.5, 0.3, 0.1]), betas=np.array([0.5, 1, 2, 5, 9]))
        assert next_beta(incomplete(found, keep=[2])) is None
        assert next_beta(incomplete(found.keep(np.arange(5) < 3), keep=[2])) == 4.0

    def test_is_none_that_was_tried(self) -> None:
        """Two digits cannot lie between β this close."""
        close = line_of(np.array([[0.1], [0.2], [0.3], [0.0]]), betas=(61, 62, 63, 64))
        collapsed = replace(close, active_latents=np.array([5.0, 5.0, 5.0, 0.0]))
        assert next_beta(collapsed) is None
