"""The marks of configurations, as they stand on a curve."""

import pytest

from sweeps.report.charts import Trace
from sweeps.report.charts.encodings import MAX_LINES
from tests.doubles.svgs import Drawn, chosen
from tests.doubles.traces import LINE, curve, heights, mark


def test_every_configuration_has_its_mark() -> None:
    """At its score, and with the number by which it is chosen."""
    spec = curve(LINE)
    marks = Drawn(spec).of("point", "means", name="marks")

    assert [one["number"] for one in spec["datasets"]["means"]] == [0, 1, 2]
    assert [one.y for one in marks] == pytest.approx(heights([0.2, 0.4, 0.1], [LINE]), abs=0.1)


def test_what_a_mark_says_goes_with_it() -> None:
    """A pointer shows it, and a screen reader says it."""
    first, *_ = Drawn(curve(LINE)).of("point", "means", name="marks")

    assert first.style["aria-label"] == "β 1\nMIG 0.2"
    assert curve(LINE)["datasets"]["means"][0]["words"] == "β 1\nMIG 0.2"


def test_best_has_a_ring_and_the_collapsed_is_hollow() -> None:
    """The ring is around the best mark, and does not fill it."""
    drawn = Drawn(curve(LINE))
    (ring,) = drawn.of("point", "means")
    marks = drawn.of("point", "means", name="marks")

    assert (ring.x, ring.y) == (marks[1].x, marks[1].y)
    assert (ring.style["stroke"], ring.style.get("fill")) == ("var(--text)", None)
    assert [one.style["fill"] for one in marks] == [
        "var(--line-0)",
        "var(--line-0)",
        "var(--background)",
    ]


def test_chosen_configuration_has_a_ring_of_its_own() -> None:
    """It follows the parameter `chosen`; at first nothing is chosen."""
    (best,) = Drawn(curve(LINE)).of("point", "means")
    _, ring = Drawn(chosen(curve(LINE), 2)).of("point", "means")

    assert ring.style["stroke"] == "var(--accent)"
    assert ring.x > best.x


def test_a_mark_lies_above_its_rings() -> None:
    """So that a pointer at its centre meets the mark: layers are drawn in order."""
    layers = [one.get("name") for one in curve(LINE)["layer"] if one["mark"]["type"] == "point"]

    assert layers == [None, None, "marks"]


def test_lines_differ_in_colour_or_shape() -> None:
    """No two of as many as there may be look the same."""
    lines = [Trace(str(i), [mark(i, 4.0, 0.3)]) for i in range(MAX_LINES)]
    marks = Drawn(curve(*lines)).of("point", "means", name="marks")
    looks = {(one.style["stroke"], tuple(one.path)) for one in marks}

    assert len(looks) == MAX_LINES
