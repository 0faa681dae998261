"""The charts of the report, drawn on a canvas; matplotlib is imported by these two modules only.

Nothing that a user typed is drawn. Marks of configurations are in a group with the id
`marks-3-7-…`, in this order.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from sweeps.labels import number
from sweeps.report.canvas import (
    HALF,
    MUTED,
    QUIET,
    TEXT_COLOUR,
    Box,
    Canvas,
    Chart,
    ChartSize,
    Margins,
    Mark,
    Trace,
    blank_chart,
    style,
    text_colours_on,
)

STRONG = "#0072b2"
MARKERS = "osD^vPX*"
MAX_TICKS = 12
MAX_NAMES = 20  # of latents side by side, two digits each
LEAST_KL_NATS = 0.1  # the axis reaches it: of a latent that carries nothing, no bar is seen
BAR_WIDTH = 7
DOTS = (0, (1.2, 1.8))
LABELLED = Margins(left=4.6)


class CurveCanvas(Canvas):
    """The inverted-U chart: scores against β or β_norm on a log axis.

    `ticks` are the values on the horizontal axis, drawn where they are few enough; `untrained`
    says whether any line has the score of untrained encoders.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        x_label: str,
        ticks: Sequence[float],
        size: ChartSize,
        untrained: bool = False,
    ) -> None:
        with style(size):
            blank = blank_chart(size)
            self._step, axes = _side_step(ticks, size), blank.axes
            axes.set(
                xscale="log",
                xlabel=x_label,
                xlim=_log_limits(ticks, self._step ** (len(labels) / 2)),
            )
            _number_ticks(axes.xaxis, ticks if _have_room(ticks, size) else ())
            handles: list[Artist] = [
                Line2D([], [], color=colour, lw=2, marker=_marker(order), label=label)
                for order, (label, colour) in enumerate(
                    zip(labels, _colours(len(labels)), strict=True)
                )
            ]
            if untrained:
                handles.append(Line2D([], [], color=MUTED, lw=1.6, ls=DOTS, label="untrained"))
            super().__init__(blank, stays=[axes.xaxis, *_legend(axes, handles)])

    def draw(self, lines: Sequence[Trace], *, title: str, beside: Sequence[Trace] = ()) -> Chart:
        """Draw a line for each label; the axis has room for those of charts beside it, too."""
        with self.anew(title) as axes:
            for order, (line, colour) in enumerate(zip(lines, _colours(len(lines)), strict=True)):
                shift = self._step ** (order - (len(lines) - 1) / 2)
                _draw_line(axes, line, colour=colour, marker=_marker(order), shift=shift)
            axes.set_ylim(_score_limits([*lines, *beside]))
        return self.figure


class HeatCanvas(Canvas):
    """The heat map, bright where good: a column for every β, a row for every latent size."""

    def __init__(self, *, betas: Sequence[float], latent_dims: Sequence[int]) -> None:
        rows = len(latent_dims)
        size = ChartSize(HALF.width, min(390, 96 + 56 * rows), HALF.font_size)
        self._roomy = len(betas) <= MAX_TICKS
        with style(size):
            blank = blank_chart(size, margins=Margins(left=4.6, top=3.2))
            axes = blank.axes
            axes.set(xlim=(0, len(betas)), ylim=(0, rows), xlabel="β", ylabel="latents")
            shown = range(0, len(betas), math.ceil(len(betas) / MAX_TICKS))
            axes.set_xticks([i + 0.5 for i in shown], [number(betas[i]) for i in shown])
            axes.set_yticks([i + 0.5 for i in range(rows)], [str(size) for size in latent_dims])
            axes.grid(visible=False)
            axes.tick_params(length=0)
            axes.spines["bottom"].set_visible(False)
            super().__init__(blank, stays=[axes.xaxis, axes.yaxis])

    def draw(
        self,
        boxes: Sequence[Box],
        *,
        title: str,
        beside: Sequence[float] = (),
        low_is_good: bool = False,
        digits: int = 2,
    ) -> Chart:
        """Draw the boxes; values are written into them, with so many digits, if there is room.

        Maps beside it, of these values, have the same colours.
        """
        known = [box for box in boxes if math.isfinite(box.value)]
        values = [value for value in [*(box.value for box in known), *beside] if value == value]
        palette = "viridis_r" if low_is_good else "viridis"
        colours = ScalarMappable(Normalize(min(values), max(values)), palette)
        with self.anew(title) as axes:
            _draw_boxes(axes, known, colours)
            if self._roomy:
                _write_values(axes, known, colours, digits=digits)
        return self.figure


class TradeoffCanvas(Canvas):
    """A score against reconstruction: a mark a configuration, shaped by latent size, coloured by β.

    `betas` and `recon` hold the β and the errors (nats) that there are.
    """

    def __init__(
        self, labels: Sequence[str], *, betas: Collection[float], recon: Sequence[float]
    ) -> None:
        self._colours = _beta_colours(betas)
        with style(HALF):
            blank = blank_chart(HALF, margins=Margins(left=4.6, right=5))
            axes = blank.axes
            axes.set(xlabel="reconstruction, nats (left is better)", xlim=_limits(recon))
            ticks = sorted(set(betas))
            shown = ticks if _stand_apart(ticks, HALF) else ()
            _colour_bar(blank.figure, axes, self._colours, ticks=shown)
            handles: list[Artist] = [
                Line2D([], [], color=MUTED, ls="", marker=_marker(order), label=label)
                for order, label in enumerate(labels)
            ]
            super().__init__(blank, stays=[axes.xaxis, *_legend(axes, handles)])

    def draw(
        self,
        lines: Sequence[Trace],
        *,
        betas: Mapping[int, float],
        front: Sequence[int],
        title: str,
        y_label: str,
    ) -> Chart:
        """Draw configurations with their β; `front` lists those of the Pareto front by x."""
        at = {mark.configuration: mark for line in lines for mark in line.marks}
        with self.anew(title) as axes:
            trials = [(at[i].x, at[i].y) for i in front]
            axes.add_artist(Line2D(*_columns(trials), color=QUIET, lw=6, zorder=1))
            for order, line in enumerate(lines):
                shades = _shades(self._colours, [betas[mark.configuration] for mark in line.marks])
                _draw_marks(axes, line.marks, colours=list(shades), marker=_marker(order))
            axes.set(ylabel=y_label, ylim=_score_limits(lines))
        return self.figure


def kl_figure(kl_nats: Sequence[float], *, n_active: int, title: str) -> Chart:
    """Return the KL of each latent (nats), sorted; the first `n_active` are marked as active."""
    size = ChartSize(width=HALF.width, height=260, font_size=HALF.font_size)
    order = sorted(range(len(kl_nats)), key=lambda j: -kl_nats[j])
    kinds = ["active" if rank < n_active else "inactive" for rank in range(len(order))]
    with style(size):
        figure, axes, head = blank_chart(size, margins=LABELLED)
        head.set_text(title)
        for kind, colour in (("active", STRONG), ("inactive", QUIET)):
            ranks = [rank for rank, own in enumerate(kinds) if own == kind]
            if ranks:
                axes.bar(ranks, [kl_nats[order[rank]] for rank in ranks], color=colour, label=kind)
        axes.set(xlabel="latent, by KL", ylabel="KL, nats", xlim=(-0.6, len(order) - 0.4))
        axes.set_ylim(0, max(LEAST_KL_NATS, 1.05 * max(kl_nats)))
        names = [str(j) for j in order] if len(order) <= MAX_NAMES else []
        axes.set_xticks(range(len(names)), names)
        _legend(axes, axes.get_legend_handles_labels()[0])
    return figure


def _marker(order: int) -> str:
    return MARKERS[order % len(MARKERS)]


def _colours(count: int) -> list[Any]:
    """Return so many colours of viridis, dark to light, without the end that white swallows."""
    places = np.linspace(0.08, 0.78, max(count, 2))[:count]
    return [mpl.colormaps["viridis"](place) for place in places]


def _beta_colours(betas: Collection[float]) -> ScalarMappable:
    """Return a scale of β, logarithmic, in another palette than that of the latent sizes."""
    low, high = min(betas), max(betas)
    palette = ListedColormap(mpl.colormaps["plasma"](np.linspace(0, 0.82, 256)))
    return ScalarMappable(LogNorm(low, high) if low < high else Normalize(low, high), palette)


def _side_step(values: Sequence[float], size: ChartSize) -> float:
    """Return the factor on a log axis that sets latent sizes side by side, a bar's width apart."""
    span = max(math.log(max(values) / min(values)), 1)
    return math.exp(span * 1.1 * BAR_WIDTH / size.width)


def _draw_line(axes: Axes, line: Trace, *, colour: Any, marker: str, shift: float) -> None:
    marks = [mark._replace(x=mark.x * shift) for mark in line.marks]
    bars = [(mark.x, end) for mark in marks for end in (mark.low, mark.high, math.nan)]
    seeds = [(x * shift, y) for x, y in line.seeds]
    means = [(mark.x, mark.y) for mark in marks]
    # `axes.plot` would look for new limits each time, and takes twice as long
    for artist in (
        Line2D(*_columns(bars), lw=BAR_WIDTH, alpha=0.2, color=colour, solid_capstyle="butt"),
        Line2D(*_columns(seeds), ls="", marker="o", color=colour, alpha=0.6, ms=3, mec="none"),
        Line2D(*_columns(means), color=colour, lw=2, label=line.label),
    ):
        axes.add_artist(artist)
    _draw_marks(axes, marks, colours=[colour] * len(marks), marker=marker)
    if math.isfinite(line.untrained):
        _draw_untrained(axes, line.untrained, colour=colour, marker=marker)


def _draw_untrained(axes: Axes, level: float, *, colour: Any, marker: str) -> None:
    """Draw a dotted line over the whole width; the marker at its end says whose it is."""
    dots = Line2D([0, 1], [level, level], lw=1.6, ls=DOTS, color=colour, zorder=1.5)
    end = Line2D([0.995], [level], marker=marker, ms=5, mec="white", mew=0.6, color=colour)
    end.set(zorder=3, clip_on=False)
    for artist in (dots, end):
        artist.set_transform(axes.get_yaxis_transform())
        axes.add_artist(artist)


def _columns(trials: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return x and y apart."""
    return [x for x, _ in trials], [y for _, y in trials]


def _draw_marks(axes: Axes, marks: Sequence[Mark], *, colours: Sequence[Any], marker: str) -> None:
    if marks:
        pairs = list(zip(marks, colours, strict=True))
        group = axes.scatter(
            [mark.x for mark in marks],
            [mark.y for mark in marks],
            s=49,
            marker=marker,
            c=["white" if mark.hollow else own for mark, own in pairs],
            edgecolors=[own if mark.hollow else "white" for mark, own in pairs],
            linewidths=[1.6 if mark.hollow else 0.8 for mark in marks],
            zorder=4,
        )
        group.set_gid(_marks_id(marks))
    rings = [(mark.x, mark.y) for mark in marks if mark.ringed]
    if rings:
        ring = Line2D(
            *_columns(rings), ls="", marker="o", mfc="none", mec=TEXT_COLOUR, ms=15, mew=1.6
        )
        ring.set_zorder(5)
        axes.add_artist(ring)


def _marks_id(drawn: Sequence[Mark | Box]) -> str:
    return "-".join(["marks", *(str(one.configuration) for one in drawn)])


def _draw_boxes(axes: Axes, boxes: Sequence[Box], colours: ScalarMappable) -> None:
    corners = [[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for _, x, y, _ in boxes]
    faces = _shades(colours, [box.value for box in boxes])
    group = PolyCollection(corners, facecolors=faces, edgecolors="white", linewidths=1.5)
    group.set_gid(_marks_id(boxes))
    axes.add_collection(group)


def _write_values(
    axes: Axes, boxes: Sequence[Box], colours: ScalarMappable, *, digits: int
) -> None:
    shades = _shades(colours, [box.value for box in boxes])
    for (_, column, row, value), colour in zip(boxes, text_colours_on(shades[:, :3]), strict=True):
        text = f"{value:.{digits}f}"
        axes.text(column + 0.5, row + 0.5, text, color=colour, ha="center", va="center")


def _shades(colours: ScalarMappable, values: Sequence[float]) -> NDArray[np.float64]:
    """Return red, green, blue and opacity of each value, 0 to 1: [N, 4]."""
    return np.asarray(colours.to_rgba(np.array(values)))


def _score_limits(lines: Sequence[Trace]) -> tuple[float, float]:
    """Return the ends of the vertical axis: zero or less, and what holds every seed.

    Intervals may run off the top: with two seeds they would press the curve flat.
    """
    marks = [mark for line in lines for mark in line.marks]
    values = [mark.y for mark in marks] + [y for line in lines for _, y in line.seeds]
    values += [line.untrained for line in lines if math.isfinite(line.untrained)]
    highest = max([*values, 1e-6])
    longest = max([mark.high for mark in marks if math.isfinite(mark.high)], default=highest)
    return 1.05 * min([*values, 0]), 1.07 * min(max(highest, longest), 1.3 * highest)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _log_limits(values: Sequence[float], reach: float) -> tuple[float, float]:
    """Return the ends of a log axis; `reach` is how far marks lie beside their values."""
    low, high = min(values), max(values)
    margin = reach * ((high / low) ** 0.05 if high > low else 2.0)
    return low / margin, high * margin


def _have_room(ticks: Sequence[float], size: ChartSize) -> bool:
    """Whether the numbers stand apart on a log axis; a digit is about 0.6 of the font size wide."""
    ends = (size.font_size * 0.3 * len(number(tick)) for tick in ticks)
    scale = 0.85 * size.width / max(math.log(max(ticks) / min(ticks)), 1e-9)
    places = [(scale * math.log(tick), end) for tick, end in zip(sorted(ticks), ends, strict=True)]
    return all(
        b - a > end_a + end_b + size.font_size / 2 for (a, end_a), (b, end_b) in pairwise(places)
    )


def _stand_apart(ticks: Sequence[float], size: ChartSize) -> bool:
    """Whether the numbers stand apart on a log axis that goes up, as high as a colour bar."""
    scale = 0.6 * size.height / max(math.log(max(ticks) / min(ticks)), 1e-9)
    return all(scale * math.log(b / a) > 1.2 * size.font_size for a, b in pairwise(ticks))


def _number_ticks(axis: Axis, ticks: Sequence[float]) -> None:
    """Put plain numbers on a log axis, at the given places where they are few, but some."""
    if 0 < len(ticks) <= MAX_TICKS:
        axis.set_ticks(list(ticks), labels=[number(tick) for tick in ticks])
    else:
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1, 3) if high < 1e5 * low else (1,)))
        axis.set_major_formatter(lambda value, _: number(value))
    axis.set_minor_locator(NullLocator())


def _legend(axes: Axes, handles: list[Artist]) -> list[Artist]:
    """Return the legend; nothing if there is nothing to tell apart."""
    if not handles:
        return []
    legend = axes.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.01),
        ncols=8,
        handleheight=1,
    )
    return [legend]


def _colour_bar(
    figure: Figure, axes: Axes, colours: ScalarMappable, *, ticks: Sequence[float]
) -> None:
    place = axes.get_position()
    bar = figure.add_axes((place.x1 + 0.03, place.y0, 0.025, place.height))
    figure.colorbar(colours, cax=bar)
    _number_ticks(bar.yaxis, ticks)
    bar.set_title("β", loc="center", fontweight="normal", color=MUTED)
    bar.grid(visible=False)
    bar.spines[:].set_visible(False)
