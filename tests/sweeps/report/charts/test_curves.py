"""The inverted-U chart: what is drawn where, and what is written beside it."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from sweeps.report.charts import Seed, Trace
from sweeps.report.charts.curves import MAX_TICKS, SIDE_PX
from sweeps.report.charts.encodings import TARGET_PX
from sweeps.report.charts.traces import HEIGHT_PX
from tests.doubles.svgs import WIDTH_PX, Drawn
from tests.doubles.traces import LINE, OTHER, curve, heights, mark


def test_it_says_what_it_shows() -> None:
    """Title, both latent sizes, the axis and that it is logarithmic, every β, the scores."""
    expected = {"MIG", "5 latents", "10 latents", "β (log scale)", "1", "4", "16", "0.0", "0.4"}

    assert expected <= set(Drawn(curve(LINE, OTHER)).texts)


def test_a_score_of_zero_is_a_score() -> None:
    """Of a collapsed model some scores are exactly 0: mark, line and dot are there."""
    flat = Trace("5", [mark(0, 1.0, 0.0, 0.0, 0.1), mark(1, 4.0, 0.2)], [Seed(1.0, 0.1, 0.0)])
    drawn = Drawn(curve(flat))

    assert len(drawn.of("point", "means", name="marks")) == 2
    assert [len(drawn.of("circle", "seeds")), len(drawn.of("rule", "means"))] == [1, 1]
    assert drawn.of("point", "means", name="marks")[0].y == HEIGHT_PX - TARGET_PX


@pytest.mark.parametrize(
    ("x", "title"),
    [
        ("beta", "β (log scale)"),
        ("beta_norm", "β_norm = β · latents / input values (log scale)"),
    ],
)
def test_axis_is_logarithmic(x: str, title: str) -> None:
    """Equal ratios of β are equal steps, and the ticks stand below the marks."""
    ticks = [getattr(one, x) for one in LINE.marks]
    drawn = Drawn(curve(LINE, x=x, ticks=ticks))
    left, middle, right = (one.x for one in drawn.of("point", "means", name="marks"))

    assert middle - left == pytest.approx(right - middle)
    assert [one.x for one in drawn.axis(re.escape(title))] == pytest.approx(
        [left, middle, right], abs=0.6
    )


def test_it_is_as_wide_as_its_place() -> None:
    """Every mark is on the chart, with room beside the first and the last."""
    places = [one.x for one in Drawn(curve(LINE)).of("point", "means", name="marks")]

    assert 10 < min(places)
    assert max(places) < WIDTH_PX - 10


def test_untrained_baseline_is_a_dotted_line_over_the_whole_width() -> None:
    """At the height of what an untrained encoder scores, in the line's colour."""
    lines = [replace(LINE, untrained=0.05), replace(OTHER, untrained=0.08)]
    dotted = Drawn(curve(*lines)).of("rule", "untrained")

    assert [one.y for one in dotted] == pytest.approx(heights([0.05, 0.08], lines), abs=0.1)
    assert [one.style["stroke"] for one in dotted] == ["var(--line-0)", "var(--line-1)"]
    assert {one.style["x2"] for one in dotted} == {str(-WIDTH_PX)}
    assert {one.style["stroke-dasharray"] for one in dotted} == {"2,4"}
    assert Drawn(curve(LINE)).of("rule", "untrained") == []


def test_interval_reaches_from_end_to_end() -> None:
    """As a pale bar behind the mark; a single seed has none."""
    low, high = heights([0.1, 0.3], [LINE])
    first, second = Drawn(curve(LINE)).of("rule", "means")

    assert (first.y, first.y + float(first.style["y2"])) == pytest.approx((low, high), abs=0.1)
    assert second.style["stroke"] == "var(--line-0)"


def test_nothing_is_drawn_beside_the_chart() -> None:
    """An interval ten times the score, or what is zoomed out of it, covers no axis."""
    layers = [one for one in curve(LINE)["layer"] if "x" in one["encoding"]]
    clipped = [one["mark"].get("clip", False) for one in layers]

    assert clipped == [one["mark"]["type"] != "text" for one in layers]


def test_latent_sizes_stand_side_by_side() -> None:
    """Marks of two latent sizes at one β do not hide each other; between them is the β."""
    one, other = Trace("5", [mark(0, 4.0, 0.3)]), Trace("10", [mark(1, 4.0, 0.3)])
    drawn = Drawn(curve(one, other, ticks=[1.0, 4.0, 16.0]))
    left, right = (shape.x for shape in drawn.of("point", "means", name="marks"))

    assert right - left == pytest.approx(SIDE_PX)
    assert drawn.axis("log scale.")[1].x == pytest.approx((left + right) / 2, abs=0.6)


def test_a_mark_is_nearest_to_its_own_beta() -> None:
    """On a phone with five lines, too, where the numbers of the axis stand close together."""
    ticks = [0.25, 1.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    lines = [Trace(str(i), [mark(i, 16.0, 0.3)]) for i in range(5)]
    drawn = Drawn(curve(*lines, ticks=ticks) | {"width": 260})
    (at,) = [one.x for one in drawn.axis("log scale.") if one.text == "16"]
    (other,) = [one.x for one in drawn.axis("log scale.") if one.text == "32"]
    off = [abs(one.x - at) for one in drawn.of("point", "means", name="marks")]

    assert 1 < max(off) < (other - at) / 3


def test_single_configuration_can_be_drawn() -> None:
    """One trial, no interval, no range of β."""
    drawn = Drawn(curve(Trace("5", [mark(0, 4.0, 0.3)]), ticks=[4.0]))
    (one,) = drawn.of("point", "means", name="marks")

    assert one.x == pytest.approx(WIDTH_PX / 2)
    assert "4" in drawn.texts


def test_many_betas_have_readable_ticks() -> None:
    """With dozens of β, only some have a tick."""
    betas = [2.0**i for i in range(-10, 20)]
    line = Trace("5", [mark(i, beta, 0.1) for i, beta in enumerate(betas)])

    assert 3 <= len(Drawn(curve(line, ticks=betas)).axis("log scale.")) <= MAX_TICKS + 2


@pytest.mark.parametrize("width", [300, 820])
def test_numbers_on_the_axis_do_not_overlap(width: int) -> None:
    """Where the values have no room beside each other, some are left out."""
    norms = [0.00122, 0.00244, 0.00977, 0.0195, 0.0391, 0.0781, 0.156, 0.312, 0.625]
    line = Trace("5", [mark(i, norm, 0.1) for i, norm in enumerate(norms)])
    shown = Drawn(curve(line, ticks=norms) | {"width": width}).axis("log scale.")

    assert "0.00122" in [one.text for one in shown]
    assert (len(shown) == len(norms)) == (width == 820)
    for left, right in pairwise(shown):
        assert right.x - left.x > 6 * (len(left.text) + len(right.text)) / 2


def test_charts_beside_each_other_have_one_scale() -> None:
    """A facet whose scores are low is drawn low."""
    low = Trace("5", [mark(0, 1.0, 0.01)])
    beside = curve(low, beside=[LINE])

    assert Drawn(beside).of("point", "means", name="marks")[0].y == pytest.approx(
        heights([0.01], [LINE])[0], abs=0.1
    )
