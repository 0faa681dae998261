"""The charts: what is drawn where, and what is written beside it."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from sweeps.report import charts
from sweeps.report.charts import (
    HEIGHT_PX,
    LABEL_PX,
    MAX_LINES,
    MAX_TICKS,
    MAX_VALUES,
    OF_A_SCORE,
    ROW_PX,
    SIDE_PX,
    TARGET_PX,
    Box,
    Learnt,
    Mark,
    Seed,
    Trace,
    pareto_front,
    score_limits,
)
from sweeps.report.vega import Spec
from tests.doubles.svgs import WIDTH_PX, Drawn, chosen

BETAS = (1.0, 4.0, 16.0)


def mark(number: int, beta: float, y: float, *interval: float, **more: Any) -> Mark:
    """Return a configuration of 5 latents and 50 input values."""
    return Mark(number, beta, beta / 10, y, *interval, **more)


LINE = Trace(
    "5 latents",
    [
        mark(0, 1.0, 0.2, 0.1, 0.3, words="β 1\nMIG 0.2"),
        mark(1, 4.0, 0.4, 0.3, 0.5, ringed=True),
        mark(2, 16.0, 0.1, hollow=True),
    ],
    [Seed(1.0, 0.1, 0.15), Seed(1.0, 0.1, 0.25), Seed(4.0, 0.4, 0.4)],
)
OTHER = Trace("10 latents", [mark(3, 1.0, 0.3), mark(4, 16.0, 0.3)])


def curve(*lines: Trace, ticks: Sequence[float] = BETAS, x: str = "beta", **more: Any) -> Spec:
    """Return the inverted-U chart of some lines."""
    return charts.curve(lines, title="MIG", x=x, ticks=ticks, **more)


def heights(values: Sequence[float], lines: Sequence[Trace]) -> list[float]:
    """Return where values are on the chart of some lines, px from its top."""
    low, high = score_limits(lines)
    height = HEIGHT_PX - 2 * TARGET_PX
    return [TARGET_PX + height * (high - value) / (high - low) for value in values]


class TestCurve:
    def test_it_says_what_it_shows(self) -> None:
        """Title, both latent sizes, the axis and that it is logarithmic, every β, the scores."""
        expected = {"MIG", "5 latents", "10 latents", "β (log scale)", "1", "4", "16", "0.0", "0.4"}

        assert expected <= set(Drawn(curve(LINE, OTHER)).texts)

    def test_every_configuration_has_its_mark(self) -> None:
        """At its score, and with the number by which it is chosen."""
        spec = curve(LINE)
        marks = Drawn(spec).of("point", "means", name="marks")

        assert [one["number"] for one in spec["datasets"]["means"]] == [0, 1, 2]
        assert [one.y for one in marks] == pytest.approx(heights([0.2, 0.4, 0.1], [LINE]), abs=0.1)

    def test_a_score_of_zero_is_a_score(self) -> None:
        """Of a collapsed model some scores are exactly 0: mark, line and dot are there."""
        flat = Trace("5", [mark(0, 1.0, 0.0, 0.0, 0.1), mark(1, 4.0, 0.2)], [Seed(1.0, 0.1, 0.0)])
        drawn = Drawn(curve(flat))

        assert len(drawn.of("point", "means", name="marks")) == 2
        assert [len(drawn.of("circle", "seeds")), len(drawn.of("rule", "means"))] == [1, 1]
        assert drawn.of("point", "means", name="marks")[0].y == HEIGHT_PX - TARGET_PX

    def test_what_a_mark_says_goes_with_it(self) -> None:
        """A pointer shows it, and a screen reader says it."""
        first, *_ = Drawn(curve(LINE)).of("point", "means", name="marks")

        assert first.style["aria-label"] == "β 1\nMIG 0.2"
        assert curve(LINE)["datasets"]["means"][0]["words"] == "β 1\nMIG 0.2"

    @pytest.mark.parametrize(
        ("x", "title"),
        [
            ("beta", "β (log scale)"),
            ("beta_norm", "β_norm = β · latents / input values (log scale)"),
        ],
    )
    def test_axis_is_logarithmic(self, x: str, title: str) -> None:
        """Equal ratios of β are equal steps, and the ticks stand below the marks."""
        ticks = [getattr(one, x) for one in LINE.marks]
        drawn = Drawn(curve(LINE, x=x, ticks=ticks))
        left, middle, right = (one.x for one in drawn.of("point", "means", name="marks"))

        assert middle - left == pytest.approx(right - middle)
        assert [one.x for one in drawn.axis(re.escape(title))] == pytest.approx(
            [left, middle, right], abs=0.6
        )

    def test_it_is_as_wide_as_its_place(self) -> None:
        """Every mark is on the chart, with room beside the first and the last."""
        places = [one.x for one in Drawn(curve(LINE)).of("point", "means", name="marks")]

        assert 10 < min(places)
        assert max(places) < WIDTH_PX - 10

    def test_untrained_baseline_is_a_dotted_line_over_the_whole_width(self) -> None:
        """At the height of what an untrained encoder scores, in the line's colour."""
        lines = [replace(LINE, untrained=0.05), replace(OTHER, untrained=0.08)]
        dotted = Drawn(curve(*lines)).of("rule", "untrained")

        assert [one.y for one in dotted] == pytest.approx(heights([0.05, 0.08], lines), abs=0.1)
        assert [one.style["stroke"] for one in dotted] == ["var(--line-0)", "var(--line-1)"]
        assert {one.style["x2"] for one in dotted} == {str(-WIDTH_PX)}
        assert {one.style["stroke-dasharray"] for one in dotted} == {"2,4"}
        assert Drawn(curve(LINE)).of("rule", "untrained") == []

    def test_interval_reaches_from_end_to_end(self) -> None:
        """As a pale bar behind the mark; a single seed has none."""
        low, high = heights([0.1, 0.3], [LINE])
        first, second = Drawn(curve(LINE)).of("rule", "means")

        assert (first.y, first.y + float(first.style["y2"])) == pytest.approx((low, high), abs=0.1)
        assert second.style["stroke"] == "var(--line-0)"

    def test_nothing_is_drawn_beside_the_chart(self) -> None:
        """An interval ten times the score, or what is zoomed out of it, covers no axis."""
        layers = [one for one in curve(LINE)["layer"] if "x" in one["encoding"]]
        clipped = [one["mark"].get("clip", False) for one in layers]

        assert clipped == [one["mark"]["type"] != "text" for one in layers]

    def test_best_has_a_ring_and_the_collapsed_is_hollow(self) -> None:
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

    def test_chosen_configuration_has_a_ring_of_its_own(self) -> None:
        """It follows the parameter `chosen`; at first nothing is chosen."""
        (best,) = Drawn(curve(LINE)).of("point", "means")
        _, ring = Drawn(chosen(curve(LINE), 2)).of("point", "means")

        assert ring.style["stroke"] == "var(--accent)"
        assert ring.x > best.x

    def test_a_mark_lies_above_its_rings(self) -> None:
        """So that a pointer at its centre meets the mark: layers are drawn in order."""
        layers = [one.get("name") for one in curve(LINE)["layer"] if one["mark"]["type"] == "point"]

        assert layers == [None, None, "marks"]

    def test_latent_sizes_stand_side_by_side(self) -> None:
        """Marks of two latent sizes at one β do not hide each other; between them is the β."""
        one, other = Trace("5", [mark(0, 4.0, 0.3)]), Trace("10", [mark(1, 4.0, 0.3)])
        drawn = Drawn(curve(one, other, ticks=[1.0, 4.0, 16.0]))
        left, right = (shape.x for shape in drawn.of("point", "means", name="marks"))

        assert right - left == pytest.approx(SIDE_PX)
        assert drawn.axis("log scale.")[1].x == pytest.approx((left + right) / 2, abs=0.6)

    def test_a_mark_is_nearest_to_its_own_beta(self) -> None:
        """On a phone with five lines, too, where the numbers of the axis stand close together."""
        ticks = [0.25, 1.0, 4.0, 8.0, 16.0, 32.0, 64.0]
        lines = [Trace(str(i), [mark(i, 16.0, 0.3)]) for i in range(5)]
        drawn = Drawn(curve(*lines, ticks=ticks) | {"width": 260})
        (at,) = [one.x for one in drawn.axis("log scale.") if one.text == "16"]
        (other,) = [one.x for one in drawn.axis("log scale.") if one.text == "32"]
        off = [abs(one.x - at) for one in drawn.of("point", "means", name="marks")]

        assert 1 < max(off) < (other - at) / 3

    def test_lines_differ_in_colour_or_shape(self) -> None:
        """No two of as many as there may be look the same."""
        lines = [Trace(str(i), [mark(i, 4.0, 0.3)]) for i in range(MAX_LINES)]
        marks = Drawn(curve(*lines)).of("point", "means", name="marks")
        looks = {(one.style["stroke"], tuple(one.path)) for one in marks}

        assert len(looks) == MAX_LINES

    def test_names_stand_at_the_ends_of_the_lines(self) -> None:
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
    def test_names_do_not_overlap(self, count: int, end: float) -> None:
        """Lines that end together, at the top or at the bottom, have names that stand apart."""
        top = Trace("top", [mark(0, 1.0, 0.5)])
        lines = [Trace(str(i), [mark(i, 4.0, end)]) for i in range(1, count)]
        places = [one.y for one in Drawn(curve(top, *lines)).of("text", "labels")]

        assert len(places) == count
        assert min(abs(a - b) for a, b in pairwise(sorted(places))) >= LABEL_PX - 0.5
        assert max(places) - 4 <= HEIGHT_PX + 0.5
        assert min(places) - 4 >= -0.5

    def test_line_without_a_mark_is_nothing(self) -> None:
        """A study or a size that lacks the score keeps its colour, and is not named."""
        drawn = Drawn(curve(Trace("5 latents", []), OTHER))

        assert "5 latents" not in drawn.texts
        assert {one.style["stroke"] for one in drawn.of("point", "means", name="marks")} == {
            "var(--line-1)"
        }

    def test_single_configuration_can_be_drawn(self) -> None:
        """One trial, no interval, no range of β."""
        drawn = Drawn(curve(Trace("5", [mark(0, 4.0, 0.3)]), ticks=[4.0]))
        (one,) = drawn.of("point", "means", name="marks")

        assert one.x == pytest.approx(WIDTH_PX / 2)
        assert "4" in drawn.texts

    def test_many_betas_have_readable_ticks(self) -> None:
        """With dozens of β, only some have a tick."""
        betas = [2.0**i for i in range(-10, 20)]
        line = Trace("5", [mark(i, beta, 0.1) for i, beta in enumerate(betas)])

        assert 3 <= len(Drawn(curve(line, ticks=betas)).axis("log scale.")) <= MAX_TICKS + 2

    @pytest.mark.parametrize("width", [300, 820])
    def test_numbers_on_the_axis_do_not_overlap(self, width: int) -> None:
        """Where the values have no room beside each other, some are left out."""
        norms = [0.00122, 0.00244, 0.00977, 0.0195, 0.0391, 0.0781, 0.156, 0.312, 0.625]
        line = Trace("5", [mark(i, norm, 0.1) for i, norm in enumerate(norms)])
        shown = Drawn(curve(line, ticks=norms) | {"width": width}).axis("log scale.")

        assert "0.00122" in [one.text for one in shown]
        assert (len(shown) == len(norms)) == (width == 820)
        for left, right in pairwise(shown):
            assert right.x - left.x > 6 * (len(left.text) + len(right.text)) / 2

    def test_another_score_differs_in_what_is_said_to_differ(self) -> None:
        """The page keeps the rest once for all scores."""
        one, other = curve(LINE), charts.curve([OTHER], title="SAP", x="beta", ticks=BETAS)

        assert {key for key in one if one[key] != other[key]} == {*OF_A_SCORE}

    def test_charts_beside_each_other_have_one_scale(self) -> None:
        """A facet whose scores are low is drawn low."""
        low = Trace("5", [mark(0, 1.0, 0.01)])
        beside = curve(low, beside=[LINE])

        assert Drawn(beside).of("point", "means", name="marks")[0].y == pytest.approx(
            heights([0.01], [LINE])[0], abs=0.1
        )


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


BOXES = [
    Box(0, 1.0, 5, 0.1), Box(1, 4.0, 5, 0.3), Box(2, 1.0, 10, math.nan), Box(3, 4.0, 10, 0.2),
]  # fmt: skip


def rgb(colour: str) -> tuple[float, ...]:
    """Return a colour as Vega writes it in parts of 1."""
    named = {"black": (0, 0, 0), "white": (1, 1, 1)}
    return named.get(colour) or tuple(int(part) / 255 for part in re.findall(r"\d+", colour))


class TestHeatMap:
    def test_it_writes_its_values(self) -> None:
        """The known values, every β and every latent size stand there."""
        drawn = Drawn(charts.heat_map(BOXES, title="MIG"))

        assert [one.text for one in drawn.of("text")] == ["0.10", "0.30", "0.20"]
        assert {"MIG", "β", "latents", "1", "4", "5", "10"} <= set(drawn.texts)

    def test_fields_stand_by_beta_and_latents(self) -> None:
        """β grows to the right, latents upwards; what is not known is left empty."""
        fields = Drawn(charts.heat_map(BOXES, title="MIG")).of("rect", name="marks")

        assert [(one.x, one.y) for one in fields] == [
            (0, ROW_PX),
            (WIDTH_PX / 2, ROW_PX),
            (WIDTH_PX / 2, 0),
        ]

    def test_values_can_be_read_on_every_colour(self, contrast: Any) -> None:
        """The contrast of a value with its field is at least 4.5, as WCAG asks for."""
        boxes = [
            Box(i, float(i % MAX_VALUES), i // MAX_VALUES, i / 100, words=str(i))
            for i in range(101)
        ]
        drawn = Drawn(charts.heat_map(boxes, title="MIG"))
        written, fields = drawn.of("text"), drawn.of("rect", name="marks")
        ratios = [
            contrast(rgb(text.style["fill"]), rgb(field.style["fill"]))
            for text, field in zip(written, fields, strict=True)
        ]

        assert {text.style["fill"] for text in written} == {"black", "white"}
        assert min(ratios) >= 4.5

    @pytest.mark.parametrize(("low_is_good", "brighter"), [(False, 1), (True, 0)])
    def test_it_is_bright_where_good(self, *, low_is_good: bool, brighter: int) -> None:
        """High scores are bright, and so are low errors."""
        spec = charts.heat_map(BOXES, title="MIG", low_is_good=low_is_good)
        light = [sum(rgb(one.style["fill"])) for one in Drawn(spec).of("rect", name="marks")]

        assert light[brighter] == max(light)

    def test_maps_beside_each_other_have_the_same_colours(self) -> None:
        """A value has one colour in all facets."""
        alone = Drawn(charts.heat_map(BOXES, title="MIG"))
        beside = Drawn(charts.heat_map(BOXES[:2], title="MIG", beside=[0.1, 0.3, 0.2, 0.9]))
        best = [one.of("rect", name="marks")[1].style["fill"] for one in (alone, beside)]

        assert best[0] != best[1]

    def test_reconstruction_has_no_decimals(self) -> None:
        """Nats of a whole image: none is seen."""
        spec = charts.heat_map([Box(0, 1.0, 5, 82.4)], title="Reconstruction", digits=0)

        assert [one.text for one in Drawn(spec).of("text")] == ["82"]

    def test_many_betas_leave_no_room_for_values(self) -> None:
        """Colours alone are shown, and some β named."""
        boxes = [Box(i, float(i + 1), 5, i / 100) for i in range(50)]
        drawn = Drawn(charts.heat_map(boxes, title="MIG"))

        assert len(drawn.of("rect", name="marks")) == 50
        assert drawn.of("text") == []
        assert 5 <= len(drawn.axis("β")) <= MAX_VALUES

    def test_chosen_field_has_an_edge(self) -> None:
        """It follows the parameter `chosen`, and lets the pointer through to the field."""
        spec = charts.heat_map(BOXES, title="MIG")
        (edge,) = Drawn(chosen(spec, 3)).of("rect")

        assert Drawn(spec).of("rect") == []
        assert (edge.x, edge.y) == (WIDTH_PX / 2, 0)
        assert (edge.style["stroke"], edge.style.get("fill")) == ("var(--text)", None)


class TestTradeoff:
    LINE = Trace(
        "5 latents",
        [
            mark(0, 1.0, 0.1, 0.0, 0.2, recon=40.0),
            mark(1, 4.0, 0.3, recon=60.0),
            mark(2, 16.0, 0.2, recon=90.0),
        ],
    )

    @pytest.fixture
    def drawn(self) -> Drawn:
        """The chart of one line."""
        return Drawn(charts.tradeoff([self.LINE], title="MIG against reconstruction"))

    def test_it_says_what_it_shows(self, drawn: Drawn) -> None:
        """The β of each mark stands beside it; what is good is said."""
        assert {"MIG against reconstruction", "reconstruction, nats (left is better)"} <= set(
            drawn.texts
        )
        assert [one.text for one in drawn.of("text", "means")] == ["1", "4", "16"]

    def test_beta_of_the_last_mark_is_whole(self) -> None:
        """There is room for it beside the mark."""
        marks = [mark(0, 4.0, 0.3, recon=40.0), mark(1, 0.125, 0.1, recon=90.0)]
        written = Drawn(charts.tradeoff([Trace("5", marks)], title="MIG")).of("text", "means")

        assert written[-1].x + 6 * len("0.125") <= WIDTH_PX

    def test_marks_stand_by_reconstruction_and_score(self, drawn: Drawn) -> None:
        """Equal differences of either are equal distances."""
        first, second, third = drawn.of("point", "means", name="marks")

        assert (third.x - second.x) / (second.x - first.x) == pytest.approx(30 / 20)
        assert first.y - second.y == pytest.approx(2 * (third.y - second.y))

    def test_front_runs_through_what_nothing_beats(self, drawn: Drawn) -> None:
        """From the best reconstruction to the best score, and no further."""
        (front,) = drawn.of("line", "front")
        marks = drawn.of("point", "means", name="marks")

        assert len(front.path) == 2
        for place, one in zip(front.path, marks, strict=False):
            assert place == pytest.approx((one.x, one.y), abs=0.01)

    def test_line_runs_along_beta(self) -> None:
        """Also where the reconstruction does not grow with it."""
        back = [
            one._replace(recon=recon)
            for one, recon in zip(self.LINE.marks, (60, 40, 90), strict=True)
        ]
        drawn = Drawn(charts.tradeoff([Trace("5", back)], title="MIG"))
        (line,) = drawn.of("line", "means")
        marks = drawn.of("point", "means", name="marks")

        assert [x for x, _ in line.path] == pytest.approx([one.x for one in marks], abs=0.01)
        assert marks[1].x < marks[0].x

    def test_intervals_do_not_stretch_it(self) -> None:
        """None is drawn here."""
        wide = replace(self.LINE, marks=[one._replace(high=5.0) for one in self.LINE.marks])
        specs = [charts.tradeoff([one], title="MIG") for one in (self.LINE, wide)]

        assert specs[0]["params"] == specs[1]["params"]

    @pytest.mark.parametrize(
        ("points", "front"),
        [
            ([(10, 0.1), (20, 0.3), (30, 0.2), (40, 0.4)], [(10, 0.1), (20, 0.3), (40, 0.4)]),
            ([(10, 0.1), (10, 0.2)], [(10, 0.2)]),
            ([(20, 0.2), (10, 0.2)], [(10, 0.2)]),
            ([], []),
        ],
    )
    def test_front_holds_what_nothing_beats(
        self, points: list[tuple[float, float]], front: list[tuple[float, float]]
    ) -> None:
        """A point stays if no other is at least as cheap and as good, and better in one."""
        assert pareto_front(points) == front


class TestKl:
    def test_it_is_sorted_and_active_latents_are_marked(self) -> None:
        """The largest KL comes first; so many bars have the strong colour."""
        drawn = Drawn(charts.kl([0.1, 2.0, 1.0], n_active=2))
        bars = drawn.of("bar")

        assert [one.y for one in bars] == pytest.approx([0, 50, 95])
        assert [one.style["fill"] for one in bars] == [
            "var(--line-0)",
            "var(--line-0)",
            "var(--edge)",
        ]
        assert [one.text for one in drawn.axis("X")] == ["z1", "z2", "z0"]

    @pytest.mark.parametrize(
        ("kl_nats", "top"), [([0.0, 0.0], 0.1), ([1e-6, 0.01], 0.1), ([2.0, 0.5], 2.0)], ids=str
    )
    def test_a_latent_that_carries_nothing_has_no_bar(
        self, kl_nats: list[float], top: float
    ) -> None:
        """The KL of a collapsed model is not drawn as tall as that of one that is not."""
        drawn = Drawn(charts.kl(kl_nats, n_active=0))
        tallest = drawn.of("bar")[0]

        assert float(drawn.axis("Y")[-1].text) == top
        assert 100 - tallest.y == pytest.approx(100 * max(kl_nats) / top, abs=0.1)

    def test_names_of_many_latents_do_not_overlap(self) -> None:
        """Some are left out."""
        shown = Drawn(charts.kl([1.0] * 64, n_active=64)).axis("X")

        assert 5 < len(shown) < 64
        assert min(right.x - left.x for left, right in pairwise(shown)) > 12


class TestLearning:
    ROWS = (
        Learnt(0, 0, 100, 8.0), Learnt(0, 0, 200, 6.0), Learnt(0, 1, 100, 6.0),
        Learnt(0, 1, 200, 2.0), Learnt(1, 0, 100, 7.0), Learnt(1, 0, 200, 5.0),
    )  # fmt: skip

    def test_seeds_are_thin_and_their_mean_is_thick(self) -> None:
        """A thin line for each seed of each configuration, a thick one in the middle of them."""
        lines = Drawn(charts.learning(self.ROWS, title="Loss (nats)")).of("line")
        thin = [one for one in lines if float(one.style["stroke-width"]) < 1]
        thick = [one for one in lines if float(one.style["stroke-width"]) > 2]

        assert [one.style["stroke"] for one in thin] == [
            "var(--line-0)", "var(--line-0)", "var(--line-1)",
        ]  # fmt: skip
        assert [one.style["stroke"] for one in thick] == ["var(--line-0)", "var(--line-1)"]
        for i in range(2):
            middle = (thin[0].path[i][1] + thin[1].path[i][1]) / 2
            assert thick[0].path[i][1] == pytest.approx(middle, abs=0.1)

    def test_it_says_what_it_shows(self) -> None:
        """Title and axis; the first step is on the left."""
        drawn = Drawn(charts.learning(self.ROWS, title="Loss (nats)"))

        assert {"Loss (nats)", "step"} <= set(drawn.texts)
        assert drawn.of("line")[0].path[0][0] < drawn.of("line")[0].path[1][0]

    @pytest.mark.parametrize("zero", [False, True])
    def test_axis_of_what_falls_to_zero_begins_there(self, *, zero: bool) -> None:
        """The loss does not: what is left of it would be pressed flat."""
        rows = [row._replace(value=100 + row.value) for row in self.ROWS]
        numbers = Drawn(charts.learning(rows, title="KL", zero=zero)).axis("Y")

        assert (float(numbers[0].text) == 0) == zero

    def test_it_can_be_drawn_before_anything_was_logged(self) -> None:
        """The page has it once without numbers."""
        assert Drawn(charts.learning(title="")).of("line") == []
