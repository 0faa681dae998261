from collections.abc import Sequence

import numpy as np
import pytest

from sweeps.analysis.curve import Line, best_cell
from sweeps.statistics.aggregates import AGGREGATES, Summary, higgins2017, summarise
from sweeps.statistics.inverted_u import Verdict, evidence, judge, verdicts
from tests.doubles.curve_lines import line_of

# Shapes: C cells, S seeds, E evaluations of a seed.

U = (0.73, 0.79, 0.81, 0.84, 0.84, 0.82, 0.62, 0.20)
PEAK = (0.2, 0.3, 0.8, 0.4, 0.3, 0.2)


def draw(means: Sequence[float], *, sd: float = 0.04, seeds: int = 3, seed: int = 0) -> np.ndarray:
    """Scores [C, S]."""
    noise = np.random.default_rng(seed).normal(size=(len(means), seeds))
    return np.array(means)[:, None] + sd * noise


def summed(line: Line, **options: np.ndarray) -> tuple[Summary, ...]:
    """A line summed up by every aggregate."""
    return summarise(line, judged=judge(line), **options)


@pytest.fixture(scope="module")
def many() -> list[tuple[Summary, ...]]:
    """Summaries of 200 studies with a clear peak."""
    return [summed(line_of(draw(PEAK, seed=seed))) for seed in range(200)]


@pytest.fixture(scope="module")
def plateaus() -> list[tuple[Summary, ...]]:
    """Summaries of 1,000 studies that rise at once and stay: one flank is sure, none the other."""
    return [summed(line_of(draw((0.2, *[0.8] * 5), seed=seed))) for seed in range(1000)]


class TestHiggins2017:
    def test_keeps_the_upper_fifteen_of_thirty(self) -> None:
        """Ten replicas, three evaluations each: the lower half is discarded."""
        scores = np.random.default_rng(0).permutation(30) / 30
        assert higgins2017(scores) == pytest.approx(np.mean(np.arange(15, 30) / 30))

    @pytest.mark.parametrize(
        ("scores", "expected"), [([0.5], 0.5), ([0.1, 0.9], 0.9), ([0.1, 0.9, 0.5], 0.7)]
    )
    def test_keeps_the_middle_one_of_an_odd_number(
        self, scores: list[float], expected: float
    ) -> None:
        """Of three scores one is discarded, of one none."""
        assert higgins2017(np.array(scores)) == pytest.approx(expected)


class TestSummarise:
    def test_gives_every_aggregate_by_name(self) -> None:
        """Mean, median and the paper's recipe, each with its best β and value."""
        values = draw(PEAK)
        found = summed(line_of(values))
        assert [one.aggregate for one in found] == ["mean", "median", "higgins2017"]
        assert {one.beta for one in found} == {4.0}
        expected = [values[2].mean(), np.median(values[2]), np.sort(values[2])[1:].mean()]
        assert [one.value for one in found] == pytest.approx(expected)
        assert all(one.low < one.value < one.high for one in found)

    def test_agrees_that_a_clear_u_is_one(self) -> None:
        """Whatever the recipe, the flanks of a clear U are seen."""
        found = summed(line_of(draw(U, sd=0.01), n_collapsed=1))
        assert {one.verdict for one in found} == {Verdict.YES}

    @pytest.mark.parametrize(
        ("means", "n_collapsed", "expected"),
        [
            pytest.param([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 0, "no", id="only rises"),
            pytest.param([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.1], 1, "collapse only", id="collapse"),
            pytest.param([0.9, 0.98, 0.99, 0.99, 0.98, 0.9, 0.8], 0, "saturated", id="saturated"),
        ],
    )
    def test_has_every_verdict(
        self, means: Sequence[float], n_collapsed: int, expected: str
    ) -> None:
        """All recipes can say no, collapse only and saturated."""
        found = summed(line_of(draw(means, sd=0.002), n_collapsed=n_collapsed))
        assert [str(one.verdict) for one in found] == [expected] * 3

    def test_does_not_resolve_two_cells(self) -> None:
        """Without a cell between the ends no recipe sees a flank."""
        found = summed(line_of(draw((0.2, 0.8))))
        assert [str(one.verdict) for one in found] == ["not resolved"] * 3

    def test_may_change_the_verdict(self) -> None:
        """One bad seed at the peak hides it from the mean, not from the median."""
        values = draw((0.5, 0.6, 0.7, 0.6, 0.5), sd=0.01, seeds=5)
        values[2, 0] -= 0.6
        by_name = {one.aggregate: one for one in summed(line_of(values))}
        assert by_name["mean"].beta != 4.0
        assert by_name["median"].beta == by_name["higgins2017"].beta == 4.0

    def test_uses_the_verdict_of_the_line_for_the_mean(self) -> None:
        """The report must not contradict itself."""
        values = [draw(U, seed=seed) for seed in range(20)]
        collapsed = np.arange(8) == 7
        expected = [str(verdicts(evidence(one, collapsed))) for one in values]
        found = [str(summed(line_of(one, n_collapsed=1))[0].verdict) for one in values]
        assert found == expected

    def test_draws_seeds_with_all_their_evaluations(self) -> None:
        """Three equal evaluations of a seed are one: the interval of the median stays as it is."""
        values = draw(PEAK)
        single = summed(line_of(values))
        tripled = summed(line_of(values), evaluations=np.repeat(values[..., None], 3, axis=-1))
        assert (tripled[1].low, tripled[1].high) == pytest.approx((single[1].low, single[1].high))

    def test_mean_has_the_interval_of_the_curve(self) -> None:
        """The report must not contradict itself, here either."""
        found, best = summed(line_of(draw(PEAK)))[0], best_cell(line_of(draw(PEAK)))
        assert best is not None
        assert (found.low, found.high) == (best.low, best.high)

    def test_mean_is_the_judgement_also_where_seeds_are_missing(self) -> None:
        """Its row has the seeds of the line, not only those that all cells share."""
        values = draw(PEAK, seeds=4)
        values[0, 3] = np.nan
        judged = judge(line_of(values))
        found = summed(line_of(values))[0]
        assert judged.best is not None
        assert (found.value, found.low) == (judged.best.mean, judged.best.low)
        assert found.value == pytest.approx(values[2].mean())

    def test_a_saturated_score_is_so_by_every_recipe(self) -> None:
        """Also where the other latent sizes of the study have saturated it."""
        line = line_of(draw(U, sd=0.01), n_collapsed=1)
        found = summarise(line, judged=judge(line, saturated=True))
        assert {one.verdict for one in found} == {Verdict.SATURATED}

    def test_a_collapsed_cell_is_not_best(self) -> None:
        """By no recipe, however high it scores."""
        values = draw((*PEAK, 1.0), sd=0.01)
        found = summed(line_of(values, n_collapsed=1))
        assert {one.beta for one in found} == {4.0}

    @pytest.mark.parametrize(("cells", "seeds"), [(2, 2), (3, 2), (2, 3)])
    def test_few_deviations_do_not_make_an_interval_endless(self, cells: int, seeds: int) -> None:
        """Draws of one deviation again and again have no scatter, and are left out.

        Half of the intervals are shorter than ten times the noise of a seed, .04; all are finite.
        """
        studies = [line_of(draw(PEAK[1 : cells + 1], seeds=seeds, seed=i)) for i in range(40)]
        widths = [one.high - one.low for study in studies for one in summed(study)]
        assert np.median(widths) < 0.4
        assert max(widths) < 40

    def test_takes_single_evaluations_into_the_discarding(self) -> None:
        """The paper sorts all evaluations of all seeds together."""
        evaluations = draw(PEAK)[..., None] + 0.02 * np.random.default_rng(1).normal(size=(6, 3, 3))
        found = summed(line_of(evaluations.mean(axis=-1)), evaluations=evaluations)[2]
        assert found.value == pytest.approx(np.sort(evaluations[2].ravel())[4:].mean())

    @pytest.mark.parametrize("index", [0, 1, 2], ids=list(AGGREGATES))
    def test_intervals_cover_what_the_recipe_gives_on_average(
        self, many: list[tuple[Summary, ...]], index: int
    ) -> None:
        """Of 200 studies of three seeds, 95 % hold the recipe's expectation at the peak.

        Standard error of the share 1.54 %: 95 ± 4 % is 2.6 of it. Only a recipe's own target is
        fair: the mean of the upper half aims above the mean.
        """
        noise = np.random.default_rng(9).normal(size=(100_000, 3)) * 0.04
        target = PEAK[2] + list(AGGREGATES.values())[index](noise).mean()
        held = [found[index].low <= target <= found[index].high for found in many]
        assert np.mean(held) == pytest.approx(0.95, abs=0.04)

    def test_takes_noise_for_noise(self) -> None:
        """A plateau whose last cell happens to lie a little low is no inverted U by any recipe."""
        found = summed(line_of(draw((0.2, 0.8, 0.8, 0.8, 0.8, 0.78), seed=1)))
        assert [str(one.verdict) for one in found] == ["not resolved"] * 3

    @pytest.mark.slow
    @pytest.mark.parametrize("index", [0, 1, 2], ids=list(AGGREGATES))
    def test_yes_keeps_its_level_in_the_worst_case(
        self, plateaus: list[tuple[Summary, ...]], index: int
    ) -> None:
        """At most 5 % of 1,000 studies that do not fall are called yes, and 2.3 standard errors."""
        share = np.mean([found[index].verdict == "yes" for found in plateaus])
        assert share <= 0.05 + 2.3 * np.sqrt(0.05 * 0.95 / 1000)

    def test_collapsed_cells_lend_no_noise(self) -> None:
        """Cells at chance hardly vary: with or without them the interval is the same."""
        values = draw(PEAK, seeds=6)
        dead = np.full((6, 6), 0.1) + draw([0] * 6, sd=1e-4, seeds=6)
        alone = summed(line_of(values))[1]
        found = summed(line_of(np.concatenate([values, dead]), n_collapsed=6))[1]
        # 2,000 draws know the ends to about 3 %
        assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.08)

    def test_uses_complete_cells_and_the_seeds_they_share(self) -> None:
        """A seed that a cell lacks is left out of all, so that no recipe sees uneven numbers."""
        values = draw(PEAK, seeds=4)
        values[0, 3] = np.nan
        found, expected = summed(line_of(values)), summed(line_of(values[:, :3]))
        assert found[1:] == expected[1:]

    @pytest.mark.parametrize(
        ("seeds", "n_collapsed"),
        [(1, 0), (3, 6), (3, 5)],
        ids=["one seed", "all collapsed", "all but one collapsed"],
    )
    def test_is_empty_where_there_is_no_noise_to_go_by(self, seeds: int, n_collapsed: int) -> None:
        """One seed, or a line that has collapsed everywhere, cannot be summed up."""
        assert summed(line_of(draw(PEAK, seeds=seeds), n_collapsed=n_collapsed)) == ()
