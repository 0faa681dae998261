"""The numbers of a chart of scores: its limits, the names of its lines, what differs by score."""

from dataclasses import replace
from itertools import pairwise

import pytest

from sweeps.report import charts
from sweeps.report.charts import OF_A_SCORE, Trace
from sweeps.report.charts.encodings import MAX_LINES
from sweeps.report.charts.traces import HEIGHT_PX, LABEL_PX, score_limits
from tests.doubles.svgs import WIDTH_PX, Drawn
from tests.doubles.traces import BETAS, LINE, OTHER, curve, heights, mark


def test_names_stand_at_the_ends_of_the_lines() -> None:
    """In the line's colour, at the height of its last mark, right of the chart."""
    drawn = Drawn(curve(LINE, OTHER))
    names = drawn.of("text", "labels")

    assert [one.text for one in names] == ["5 latents", "10 latents"]
    assert [one.style["fill"] for one in names] == ["var(--line-0)", "var(--line-1)"]
    assert [one.y for one in names] == pytest.approx(
        heights([0.1, 0.3], [LINE, OTHER]), abs=5
    )  # half a letter
    assert min(one.x for one in names) >= WIDTH_PX


@pytest.mark.parametrize("count", [5, MAX_LINES])
@pytest.mark.parametrize("end", [0.0, 0.5])
def test_names_do_not_overlap(count: int, end: float) -> None:
    """Lines that end together, at the top or at the bottom, have names that stand apart."""
    top = Trace("top", [mark(0, 1.0, 0.5)])
    lines = [Trace(str(i), [mark(i, 4.0, end)]) for i in range(1, count)]
    places = [one.y for one in Drawn(curve(top, *lines)).of("text", "labels")]

    assert len(places) == count
    assert min(abs(a - b) for a, b in pairwise(sorted(places))) >= LABEL_PX - 0.5
    assert max(places) - 4 <= HEIGHT_PX + 0.5
    assert min(places) - 4 >= -0.5


def test_line_without_a_mark_is_nothing() -> None:
    """A study or a size that lacks the score keeps its colour, and is not named."""
    drawn = Drawn(curve(Trace("5 latents", []), OTHER))

    assert "5 latents" not in drawn.texts
    assert {one.style["stroke"] for one in drawn.of("point", "means", name="marks")} == {
        "var(--line-1)"
    }


def test_another_score_differs_in_what_is_said_to_differ() -> None:
    """The page keeps the rest once for all scores."""
    one, other = curve(LINE), charts.curve([OTHER], title="SAP", x="beta", ticks=BETAS)

    assert {key for key in one if one[key] != other[key]} == {*OF_A_SCORE}


class TestVerticalAxis:
    def test_begins_at_zero_and_holds_every_seed(self) -> None:
        """The scale does not exaggerate."""
        low, high = score_limits([LINE])

        assert low == 0
        assert high > 0.5

    def test_wide_intervals_do_not_press_the_curve_flat(self) -> None:
        """With two seeds an interval may be ten times the score; it runs off the chart."""
        wild = Trace("5", [mark(0, 1.0, 0.2, -4.0, 4.4), mark(1, 4.0, 0.3)])

        assert score_limits([wild])[1] < 0.5

    def test_holds_the_untrained_baseline(self) -> None:
        """Also where it is above what was trained."""
        assert score_limits([replace(LINE, untrained=0.9)])[1] > 0.9

    def test_negative_scores_are_seen(self) -> None:
        """The axis goes below zero when a score does."""
        assert score_limits([Trace("5", [mark(0, 1.0, -0.2)])])[0] < -0.2

    @pytest.mark.parametrize("lines", [[], [Trace("5", [mark(0, 1.0, 0.0)])]], ids=["none", "zero"])
    def test_is_never_empty(self, lines: list[Trace]) -> None:
        """Without a score, or with zeros alone; its numbers can be read."""
        low, high = score_limits(lines)
        numbers = [one.text for one in Drawn(curve(*lines)).axis("Y")]

        assert low == 0 < high
        assert max(map(len, numbers)) <= len("0.0002")
