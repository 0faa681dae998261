"""The charts: what is drawn where, and the same each time."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sweeps.report import charts
from sweeps.report.canvas import HALF, WIDE, Box, ChartSize, Mark, Trace

LINE = Trace(
    "5 latents",
    [
        Mark(0, 1.0, 0.2, 0.1, 0.3),
        Mark(1, 4.0, 0.4, 0.3, 0.5, ringed=True),
        Mark(2, 16.0, 0.1, hollow=True),
    ],
    [(1.0, 0.15), (1.0, 0.25), (4.0, 0.4)],
)


def curve(
    *lines: Trace, ticks: Sequence[float] = (1.0, 4.0, 16.0), size: ChartSize = WIDE
) -> charts.CurveCanvas:
    """Return the inverted-U chart of some lines."""
    labels = [line.label for line in lines]
    untrained = any(math.isfinite(line.untrained) for line in lines)
    canvas = charts.CurveCanvas(labels, x_label="β", ticks=ticks, size=size, untrained=untrained)
    canvas.draw(lines, title="MIG")
    return canvas


def texts(svg: str) -> list[str]:
    """Return the texts of a chart, in order."""
    return re.findall(r"<text [^>]*>([^<]*)</text>", svg)


def test_curve_says_what_it_shows() -> None:
    """Title, legend, both axes and every β are there as text."""
    found = texts(curve(LINE, Trace("10", [Mark(3, 1.0, 0.3)])).svg(name="c"))
    assert {"MIG", "5 latents", "10", "β", "1", "4", "16", "0.0", "0.4"} <= set(found)


def test_every_configuration_has_its_mark() -> None:
    """The group of a line's marks lists the configurations, and has as many marks."""
    svg = curve(LINE).svg(name="c")
    group = re.search(r'<g id="c-marks-0-1-2">.*?</g> </g>', svg)
    assert group is not None
    assert group[0].count("<use ") == 3


def test_axis_is_logarithmic() -> None:
    """Equal ratios of β are equal steps."""
    axes = curve(LINE).axes
    left, middle, right = (axes.transData.transform((beta, 0.1))[0] for beta in (1, 4, 16))
    assert middle - left == pytest.approx(right - middle)


def test_axis_begins_at_zero_and_holds_every_seed() -> None:
    """The scale does not exaggerate."""
    low, high = curve(LINE).axes.get_ylim()
    assert low == 0
    assert high > 0.5


def test_wide_intervals_do_not_press_the_curve_flat() -> None:
    """With two seeds an interval may be ten times the score; it runs off the chart."""
    wild = Trace("5", [Mark(0, 1.0, 0.2, -4.0, 4.4), Mark(1, 4.0, 0.3)])
    assert curve(wild).axes.get_ylim()[1] < 0.5


def test_untrained_baseline_is_a_dotted_line_over_the_whole_width() -> None:
    """At the height of what an untrained encoder scores, in the line's colour; the legend says."""
    canvas = curve(replace(LINE, untrained=0.05), Trace("10", [Mark(3, 1.0, 0.3)], untrained=0.08))
    axes = canvas.axes
    dotted = [
        drawn for drawn in axes.lines if drawn.get_linestyle() == "--" and len(drawn.get_xdata())
    ]
    levels = [set(drawn.get_ydata()) for drawn in dotted]
    solid = {drawn.get_label(): drawn.get_color() for drawn in axes.lines}

    assert levels == [{0.05}, {0.08}]
    assert [drawn.get_color() for drawn in dotted] == [solid["5 latents"], solid["10"]]
    assert "untrained" in texts(canvas.svg(name="c"))


def test_untrained_baseline_that_is_not_known_is_not_drawn() -> None:
    """Neither a line nor a word of it; one that is known fits into the chart."""
    assert "untrained" not in texts(curve(LINE).svg(name="c"))
    assert curve(replace(LINE, untrained=0.9)).axes.get_ylim()[1] > 0.9


def test_negative_scores_are_seen() -> None:
    """The axis goes below zero when a score does."""
    assert curve(Trace("5", [Mark(0, 1.0, -0.2)])).axes.get_ylim()[0] < -0.2


def test_single_configuration_can_be_drawn() -> None:
    """One trial, no interval, no range of β."""
    canvas = curve(Trace("5", [Mark(0, 4.0, 0.3)]), ticks=[4.0], size=HALF)
    assert "marks-0" in canvas.svg(name="c")


def test_latent_sizes_stand_side_by_side() -> None:
    """Marks of two latent sizes at one β do not hide each other."""
    canvas = curve(Trace("5", [Mark(0, 4.0, 0.3)]), Trace("10", [Mark(1, 4.0, 0.3)]))
    places = [float(group.get_offsets()[0][0]) for group in canvas.axes.collections]
    assert places[0] < 4.0 < places[1]


def test_many_betas_have_readable_ticks() -> None:
    """With dozens of β, only some have a tick."""
    betas = [2.0**i for i in range(-10, 20)]
    line = Trace("5", [Mark(i, beta, 0.1) for i, beta in enumerate(betas)])
    assert len(texts(curve(line, ticks=betas).svg(name="c"))) < 25


@pytest.mark.parametrize(
    ("size", "shown", "absent"),
    [(WIDE, {"0.00122", "0.00244"}, {"0.003"}), (HALF, {"0.001", "0.003", "0.01"}, {"0.00122"})],
)
def test_numbers_on_the_axis_do_not_overlap(
    size: ChartSize, shown: set[str], absent: set[str]
) -> None:
    """Where the values have no room beside each other, round ones stand there."""
    norms = [0.00122, 0.00244, 0.00977, 0.0195, 0.0391, 0.0781, 0.156, 0.312, 0.625]
    line = Trace("5", [Mark(i, norm, 0.1) for i, norm in enumerate(norms)])
    found = set(texts(curve(line, ticks=norms, size=size).svg(name="c")))
    assert shown <= found
    assert not absent & found


def test_another_score_on_the_same_paper_is_another_chart() -> None:
    """Nothing of the first is left, and it is what a canvas of its own would show."""
    canvas = curve(LINE)
    canvas.draw([Trace("5 latents", [Mark(0, 1.0, 0.9)])], title="SAP")
    alone = curve(Trace("5 latents", [Mark(0, 1.0, 0.9)]))
    alone.draw([Trace("5 latents", [Mark(0, 1.0, 0.9)])], title="SAP")
    assert canvas.svg(name="c") == alone.svg(name="c")


def test_same_figure_gives_the_same_bytes() -> None:
    """No date and no random id."""
    assert curve(LINE).svg(name="c") == curve(LINE).svg(name="c")


BOXES = [Box(0, 0, 0, 0.1), Box(1, 1, 0, 0.3), Box(2, 0, 1, math.nan), Box(3, 1, 1, 0.2)]


def heat(*, low_is_good: bool = False) -> charts.HeatCanvas:
    """Return a heat map of two β and two latent sizes, one configuration empty."""
    canvas = charts.HeatCanvas(betas=[1, 4], latent_dims=[5, 10])
    canvas.draw(BOXES, title="MIG", low_is_good=low_is_good)
    return canvas


def test_heat_map_writes_its_values() -> None:
    """The known values, every β and every latent size stand there."""
    found = texts(heat().svg(name="h"))
    assert {"0.10", "0.30", "0.20", "1", "4", "5", "10"} <= set(found)
    assert "nan" not in found


def test_heat_map_leaves_unknown_configurations_empty() -> None:
    """Only known configurations are drawn."""
    assert "h-marks-0-1-3" in heat().svg(name="h")


def test_values_can_be_read_on_every_colour(contrast: Any) -> None:
    """The contrast of a value with its cell is at least 4.5, as WCAG asks for, all over the map."""
    boxes = [Box(i, i, 0, float(value)) for i, value in enumerate(np.linspace(0, 1, 101))]
    canvas = charts.HeatCanvas(betas=[2.0**i for i in range(charts.MAX_TICKS)], latent_dims=[5])
    canvas.draw(boxes, title="MIG")
    faces = canvas.axes.collections[0].get_facecolor()
    ratios = [
        contrast(to_rgb(written.get_color()), tuple(face[:3]))
        for written, face in zip(canvas.axes.texts, faces, strict=True)
    ]
    assert {written.get_color() for written in canvas.axes.texts} == {"black", "white"}
    assert min(ratios) >= 4.5


@pytest.mark.parametrize(("low_is_good", "brighter"), [(False, 1), (True, 0)])
def test_heat_map_is_bright_where_good(*, low_is_good: bool, brighter: int) -> None:
    """High scores are bright, and so are low errors."""
    faces = heat(low_is_good=low_is_good).axes.collections[0].get_facecolor()
    light = [sum(face[:3]) for face in faces[:2]]
    assert light[brighter] == max(light)


@pytest.mark.parametrize(
    ("betas", "shown"),
    [([1.0, 4.0, 16.0], ["1", "4", "16"]), ([1.0, 20.6, 23.2, 25.4, 64.0], ["1", "3", "10", "30"])],
)
def test_colour_bar_has_numbers_that_stand_apart(betas: list[float], shown: list[str]) -> None:
    """The β themselves, or round numbers where a search has put some next to each other."""
    canvas = charts.TradeoffCanvas(["5 latents"], betas=betas, recon=[40, 60, 90])
    bar = next(axes for axes in canvas.figure.axes if axes.get_title() == "β")
    canvas.figure.draw_without_rendering()
    low, high = bar.get_ylim()
    texts = [
        label.get_text()
        for place, label in zip(bar.get_yticks(), bar.get_yticklabels(), strict=True)
        if low <= place <= high
    ]

    assert texts == shown


def test_tradeoff_marks_configurations_and_front() -> None:
    """Every configuration has a mark; the front runs through its configurations."""
    canvas = charts.TradeoffCanvas(["5 latents"], betas=[1.0, 4.0, 16.0], recon=[40, 60, 90])
    canvas.draw(
        [Trace("5 latents", [Mark(0, 40, 0.1), Mark(1, 60, 0.3), Mark(2, 90, 0.2)])],
        betas={0: 1.0, 1: 4.0, 2: 16.0},
        front=[0, 1],
        title="MIG against reconstruction",
        y_label="MIG",
    )
    front = canvas.axes.lines[0]
    assert list(front.get_xdata()) == [40, 60]
    assert "t-marks-0-1-2" in canvas.svg(name="t")


@pytest.mark.parametrize(("count", "named"), [(20, 20), (24, 0)])
def test_latents_are_named_while_there_is_room(count: int, named: int) -> None:
    """Numbers of two digits do not run into each other."""
    figure = charts.kl_figure([1.0] * count, n_active=1, title=f"{count} latents")
    assert len(figure.axes[0].get_xticklabels()) == named


def test_kl_is_sorted_and_active_latents_marked() -> None:
    """The largest KL comes first; so many bars have the strong colour."""
    figure = charts.kl_figure([0.1, 2.0, 1.0], n_active=2, title="3 latents")
    bars = [float(bar.get_height()) for bar in figure.axes[0].patches]
    assert bars == [2.0, 1.0, 0.1]
    colours = [bar.get_facecolor() for bar in figure.axes[0].patches]
    assert colours[0] == colours[1] != colours[2]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2", "0"]


@pytest.mark.parametrize(
    ("kl_nats", "top"), [([0.0, 0.0], 0.1), ([1e-6, 0.01], 0.1), ([2.0, 0.5], 2.1)], ids=str
)
def test_a_latent_that_carries_nothing_has_no_bar(kl_nats: list[float], top: float) -> None:
    """The KL of a collapsed model is not drawn as tall as that of one that is not."""
    figure = charts.kl_figure(kl_nats, n_active=0, title="2 latents")
    assert figure.axes[0].get_ylim() == pytest.approx((0, top))
