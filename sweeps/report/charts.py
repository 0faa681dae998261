"""The charts of the report; nothing else in the project imports matplotlib.

Sizes are CSS pixels: one matplotlib point is one pixel of an SVG shown at its own size. Nothing
that a user typed is drawn. Marks of cells are in a group with the id `cells-3-7-…`, in this order.
"""

import io
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from sweeps.report.labels import number
from sweeps.report.marks import HALF, Box, Canvas, Line, Margins, Mark
from sweeps.report.svg import embedded

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, MUTED, RULE, QUIET, STRONG = "#1c2530", "#5b6775", "#dfe3e8", "#c3cad2", "#0072b2"
MARKERS = "osD^vPX*"
MAX_TICKS = 12
BAR_WIDTH = 7
DOTS = (0, (1.2, 1.8))
STYLE: "dict[RcKeyType, Any]" = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa4b0",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "font.sans-serif": ["DejaVu Sans"],  # for measuring; the page has its own
    "grid.color": RULE,
    "legend.borderaxespad": 0,
    "legend.columnspacing": 1.2,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.handletextpad": 0.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "bvae-sweeps",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "ytick.major.size": 0,
}
LABELLED = Margins(left=4.6)


def curve_figure(
    lines: Sequence[Line], *, title: str, x_label: str, ticks: Sequence[float], canvas: Canvas
) -> Figure:
    """Return the inverted-U chart: a score against β or β_norm on a log axis.

    `ticks` are the values on the horizontal axis, drawn where they are few enough.
    """
    with _style(canvas):
        figure, axes = _blank(canvas, title=title)
        step = _side_step(ticks, canvas)
        for order, (line, colour) in enumerate(zip(lines, _colours(len(lines)), strict=True)):
            shift = step ** (order - (len(lines) - 1) / 2)
            _draw_line(axes, line, colour=colour, marker=_marker(order), shift=shift)
        axes.set(xscale="log", xlabel=x_label, ylim=_score_limits(lines))
        if any(math.isfinite(line.floor) for line in lines):
            axes.plot([], [], color=MUTED, lw=1.6, ls=DOTS, label="untrained")
        _number_ticks(axes.xaxis, ticks)
        _legend(axes)
    return figure


def heat_figure(
    boxes: Sequence[Box],
    *,
    betas: Sequence[float],
    latent_dims: Sequence[int],
    title: str,
    low_is_good: bool = False,
    digits: int = 2,
) -> Figure:
    """Return a heat map, bright where good: a column for every β, a row for every latent size.

    The values are written into the boxes, with so many digits, where there is room for them.
    """
    rows = len(latent_dims)
    canvas = Canvas(HALF.width, min(390, 96 + 56 * rows), HALF.letters)
    known = [box.value for box in boxes if math.isfinite(box.value)]
    colours = ScalarMappable(
        Normalize(min(known), max(known)), "viridis_r" if low_is_good else "viridis"
    )
    with _style(canvas):
        figure, axes = _blank(canvas, title=title, margins=Margins(left=4.6, top=3.2))
        _draw_boxes(axes, [box for box in boxes if math.isfinite(box.value)], colours)
        if len(betas) <= MAX_TICKS:
            _write_values(axes, boxes, colours, digits=digits)
        axes.set(xlim=(0, len(betas)), ylim=(0, rows), xlabel="β", ylabel="latents")
        shown = range(0, len(betas), math.ceil(len(betas) / MAX_TICKS))
        axes.set_xticks([i + 0.5 for i in shown], [number(betas[i]) for i in shown])
        axes.set_yticks([i + 0.5 for i in range(rows)], [str(size) for size in latent_dims])
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
    return figure


def tradeoff_figure(
    lines: Sequence[Line],
    *,
    betas: Mapping[int, float],
    front: Sequence[int],
    title: str,
    y_label: str,
) -> Figure:
    """Return a score against reconstruction: a mark a cell, shaped by latent size, coloured by β.

    `betas[cell]` is the β of a cell; `front` lists the cells of the Pareto front in order of x.
    """
    colours = _beta_colours(betas.values())
    at = {mark.cell: mark for line in lines for mark in line.marks}
    with _style(HALF):
        figure, axes = _blank(HALF, title=title, margins=Margins(left=4.6, right=5))
        axes.plot([at[i].x for i in front], [at[i].y for i in front], color=QUIET, lw=6, zorder=1)
        for order, line in enumerate(lines):
            inks = [_colour(colours, betas[mark.cell]) for mark in line.marks]
            _draw_marks(axes, line.marks, colours=inks, marker=_marker(order))
            axes.plot([], [], _marker(order), color=MUTED, label=line.label)
        axes.set(xlabel="reconstruction, nats (left is better)", ylabel=y_label)
        axes.set_ylim(_score_limits(lines))
        _legend(axes)
        _colour_bar(figure, axes, colours, ticks=sorted(set(betas.values())))
    return figure


def kl_figure(kl_nats: Sequence[float], *, n_active: int, title: str) -> Figure:
    """Return the KL of each latent (nats), sorted; the first `n_active` are marked as active."""
    canvas = Canvas(width=HALF.width, height=260, letters=HALF.letters)
    order = sorted(range(len(kl_nats)), key=lambda j: -kl_nats[j])
    kinds = ["active" if rank < n_active else "inactive" for rank in range(len(order))]
    with _style(canvas):
        figure, axes = _blank(canvas, title=title, margins=LABELLED)
        for kind, colour in (("active", STRONG), ("inactive", QUIET)):
            ranks = [rank for rank, own in enumerate(kinds) if own == kind]
            if ranks:
                axes.bar(ranks, [kl_nats[order[rank]] for rank in ranks], color=colour, label=kind)
        axes.set(xlabel="latent, by KL", ylabel="KL, nats", xlim=(-0.6, len(order) - 0.4))
        names = [str(j) for j in order] if len(order) <= 2 * MAX_TICKS else []
        axes.set_xticks(range(len(names)), names)
        _legend(axes)
    return figure


@contextmanager
def _style(canvas: Canvas) -> Iterator[None]:
    with mpl.rc_context({**STYLE, "font.size": canvas.letters}):
        yield


def _blank(
    canvas: Canvas,
    *,
    title: str,
    margins: Margins = Margins(),  # noqa: B008 (it is immutable)
) -> tuple[Figure, Axes]:
    """Return an empty chart with margins fixed: a layout engine would draw everything twice."""
    unit_x, unit_y = canvas.letters / canvas.width, canvas.letters / canvas.height
    left, bottom = margins.left * unit_x, margins.bottom * unit_y
    width, height = 1 - left - margins.right * unit_x, 1 - bottom - margins.top * unit_y
    figure = Figure(figsize=(canvas.width / 72, canvas.height / 72))
    axes = figure.add_axes((left, bottom, width, height))
    axes.set_title(title, pad=(margins.top - 2.4) * canvas.letters)
    return figure, axes


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


def _side_step(values: Sequence[float], canvas: Canvas) -> float:
    """Return the factor on a log axis that sets latent sizes side by side, a bar's width apart."""
    span = max(math.log(max(values) / min(values)), 1)
    return math.exp(span * 1.1 * BAR_WIDTH / canvas.width)


def _draw_line(axes: Axes, line: Line, *, colour: object, marker: str, shift: float) -> None:
    bars = [(m.x * shift, end) for m in line.marks for end in (m.low, m.high, math.nan)]
    axes.plot(*_columns(bars), lw=BAR_WIDTH, alpha=0.2, color=colour, solid_capstyle="butt")
    seeds = [(x * shift, y) for x, y in line.seeds]
    axes.plot(*_columns(seeds), "o", color=colour, alpha=0.6, ms=3, mec="none")
    marks = [mark._replace(x=mark.x * shift) for mark in line.marks]
    means = [(mark.x, mark.y) for mark in marks]
    # markevery: the legend shows the marker, the marks themselves are drawn apart
    axes.plot(*_columns(means), color=colour, lw=2, marker=marker, markevery=[], label=line.label)
    _draw_marks(axes, marks, colours=[colour] * len(marks), marker=marker)
    if math.isfinite(line.floor):
        axes.axhline(line.floor, color=colour, lw=1.6, ls=DOTS, zorder=1.5)
        place = axes.get_yaxis_transform()  # the marker at the right end says whose floor it is
        axes.plot(
            [1], [line.floor], marker, color=colour, ms=5, mec="white", mew=0.6,
            transform=place, clip_on=False, zorder=3,
        )  # fmt: skip


def _draw_marks(axes: Axes, marks: Sequence[Mark], *, colours: Sequence[Any], marker: str) -> None:
    if marks:
        pairs = list(zip(marks, colours, strict=True))
        group = axes.scatter(
            *_columns([(mark.x, mark.y) for mark in marks]),
            s=49,
            marker=marker,
            c=["white" if mark.hollow else own for mark, own in pairs],
            edgecolors=[own if mark.hollow else "white" for mark, own in pairs],
            linewidths=[1.6 if mark.hollow else 0.8 for mark in marks],
            zorder=4,
        )
        group.set_gid(_cells_id(marks))
    rings = [(mark.x, mark.y) for mark in marks if mark.ringed]
    axes.plot(*_columns(rings), "o", mfc="none", mec=INK, ms=15, mew=1.6, zorder=5)


def _cells_id(drawn: Sequence[Mark | Box]) -> str:
    return "-".join(["cells", *(str(one.cell) for one in drawn)])


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _draw_boxes(axes: Axes, boxes: Sequence[Box], colours: ScalarMappable) -> None:
    corners = [[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for _, x, y, _ in boxes]
    faces = [_colour(colours, box.value) for box in boxes]
    group = PolyCollection(corners, facecolors=faces, edgecolors="white", linewidths=1.5)
    group.set_gid(_cells_id(boxes))
    axes.add_collection(group)


def _write_values(
    axes: Axes, boxes: Sequence[Box], colours: ScalarMappable, *, digits: int
) -> None:
    for _, column, row, value in boxes:
        if math.isfinite(value):
            red, green, blue, _ = _colour(colours, value)
            ink = INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"
            text = f"{value:.{digits}f}"
            axes.text(column + 0.5, row + 0.5, text, color=ink, ha="center", va="center")


def _colour(colours: ScalarMappable, value: float) -> NDArray[np.float64]:
    """Return red, green, blue and opacity, 0 to 1."""
    rgba: NDArray[np.float64] = colours.to_rgba(np.array([value]))[0]
    return rgba


def _score_limits(lines: Sequence[Line]) -> tuple[float, float]:
    """Return the ends of the vertical axis: zero or less, and what holds every seed.

    Intervals may run off the top: with two seeds they would press the curve flat.
    """
    marks = [mark for line in lines for mark in line.marks]
    values = [mark.y for mark in marks] + [y for line in lines for _, y in line.seeds]
    values += [line.floor for line in lines if math.isfinite(line.floor)]
    highest = max([*values, 1e-6])
    longest = max([mark.high for mark in marks if math.isfinite(mark.high)], default=highest)
    return 1.05 * min([*values, 0]), 1.07 * min(max(highest, longest), 1.3 * highest)


def _number_ticks(axis: Axis, ticks: Sequence[float]) -> None:
    """Put plain numbers on a log axis, at the given places where they are few enough."""
    if len(ticks) <= MAX_TICKS:
        axis.set_ticks(list(ticks), labels=[number(tick) for tick in ticks])
    else:
        axis.set_major_formatter(lambda value, _: number(value))
    axis.set_minor_locator(NullLocator())


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.01), ncols=8, handleheight=1)


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


def to_svg(figure: Figure, *, name: str) -> str:
    """Return a figure as an `<svg>` element for a page, the same bytes for the same figure.

    Every id in it begins with `name`, so that many charts can stand in one page.
    """
    text = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(text, format="svg", transparent=True)
    return embedded(text.getvalue(), name=name)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG (two pixels for each CSS pixel) or SVG, by the path's suffix."""
    with mpl.rc_context(STYLE):
        if path.suffix == ".svg":
            figure.savefig(path, format="svg", metadata={"Date": None})
        else:
            FigureCanvasAgg(figure)
            figure.savefig(path, format="png", dpi=144)
