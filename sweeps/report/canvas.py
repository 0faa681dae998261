"""The canvas that charts are drawn on: their style, their margins, and what becomes of them.

Marks, traces and boxes are what charts are drawn from. An SVG file is made fit to stand among
others inside a page: small, with ids of its own.

Sizes are CSS pixels: one matplotlib point is one pixel of an SVG shown at its own size.
"""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

TEXT_COLOUR, MUTED, RULE, QUIET = "#1c2530", "#5b6775", "#dfe3e8", "#c3cad2"
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
    "text.color": TEXT_COLOUR,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "ytick.left": False,
}


UNUSED = re.compile(
    r' id="(?!C\d)[\w.]+_\d+"| transform="rotate\(-0 [^"]*\)"|<!--.*?-->', re.DOTALL
)
DECIMALS = re.compile(r"(\d\d\.\d|\b\d\.\d\d)\d+")
TAG = re.compile(r"<[^>]*>")
MARKS = re.compile(r'<g( clip-path="[^"]*")?> ((?:<use [^>]*/> )+)</g>')
GENERATED = re.compile(r'\bid="((?:[mp]|C\w+_)[0-9a-f]{10})"')
MARK_STYLE = re.compile(r' style="([^"]*)"')


@dataclass(frozen=True)
class ChartSize:
    """The size of a chart and of its font, in CSS pixels."""

    width: int
    height: int
    font_size: float


class Margins(NamedTuple):
    """Space for ticks, labels, title and legend around a chart, in font sizes."""

    left: float = 3.4
    right: float = 0.6
    bottom: float = 3.7
    top: float = 4.9


WIDE = ChartSize(width=908, height=450, font_size=13)
HALF = ChartSize(width=438, height=390, font_size=12)


class Mark(NamedTuple):
    """A configuration on a chart: where it is, the interval of y, and how it is marked."""

    configuration: int
    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    hollow: bool = False
    ringed: bool = False


@dataclass(frozen=True)
class Trace:
    """The configurations of one latent size in order of x, and their single seeds as (x, y).

    `untrained` is what an untrained encoder scores.
    """

    label: str
    marks: Sequence[Mark]
    seeds: Sequence[tuple[float, float]] = ()
    untrained: float = math.nan


class Box(NamedTuple):
    """A field of a heat map: its column and row, and what it holds (NaN leaves it empty)."""

    configuration: int
    column: int
    row: int
    value: float


def text_colours_on(colours: NDArray[np.float64]) -> list[str]:
    """Return black or white, what stands out most from each of the colours [N, 3] in sRGB, 0 to 1.

    Its contrast is at least 4.58: that of both where they are equal, √1.05 / √0.05. TEXT_COLOUR,
    which is not quite black, would fall to 3.9. Source: WCAG 2.2, relative luminance and contrast
    ratio.
    """
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return ["black" if bright else "white" for bright in (luminance + 0.05) ** 2 > 1.05 * 0.05]


class Chart(Figure):
    """A figure that a notebook shows, also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        FigureCanvasAgg(self)
        data = io.BytesIO()
        with mpl.rc_context(STYLE):
            self.savefig(data, format="png", dpi=144)
        return data.getvalue()


class Blank(NamedTuple):
    """An empty chart."""

    figure: Chart
    axes: Axes
    title: Text


class Canvas:
    """A chart that one score after another is drawn on: its axis, legend and colour bar stay.

    They take most of the time to draw, so a page gets them once: the first chart holds them, the
    others refer to it.
    """

    def __init__(self, blank: Blank, *, stays: Sequence[Artist]) -> None:
        self.figure, self.axes, self._title = blank
        bars = self.figure.axes[1:]
        self._stays = {*stays, *bars, self.axes.patch, self.axes.spines["bottom"]}
        self._font_size = mpl.rcParams["font.size"]
        self._frame = ""

    def svg(self, *, name: str) -> str:
        """Return what is drawn now as an `<svg>` element; every id in it begins with `name`."""
        with self._shown(stays=False):
            drawn = to_svg(self.figure, name=name)
        if self._frame:
            return on_frame(drawn, frame=f'<use href="#{self._frame}"/>')
        self._frame = f"{name}-frame"
        with self._shown(stays=True):
            frame = inside(to_svg(self.figure, name=f"{name}f"))
        return on_frame(drawn, frame=f'<g id="{self._frame}">{frame}</g>')

    @contextmanager
    def anew(self, title: str) -> Iterator[Axes]:
        """Take away what was drawn before, and draw under another title."""
        for artist in [*self.axes.lines, *self.axes.collections, *self.axes.texts]:
            artist.remove()
        self._title.set_text(title)
        with mpl.rc_context({**STYLE, "font.size": self._font_size}):
            yield self.axes

    @contextmanager
    def _shown(self, *, stays: bool) -> Iterator[None]:
        children = [*self.axes.get_children(), *self.figure.axes[1:]]
        hidden = [one for one in children if one.get_visible() and (one in self._stays) != stays]
        for artist in hidden:
            artist.set_visible(False)
        yield
        for artist in hidden:
            artist.set_visible(True)


@contextmanager
def style(size: ChartSize) -> Iterator[None]:
    """Draw in the report's style, with the font size of the chart."""
    with mpl.rc_context({**STYLE, "font.size": size.font_size}):
        yield


def blank_chart(
    size: ChartSize,
    *,
    margins: Margins = Margins(),  # noqa: B008 (it is immutable)
) -> Blank:
    """Return an empty chart with margins fixed: a layout engine would draw everything twice."""
    unit_x, unit_y = size.font_size / size.width, size.font_size / size.height
    left, bottom = margins.left * unit_x, margins.bottom * unit_y
    width, height = 1 - left - margins.right * unit_x, 1 - bottom - margins.top * unit_y
    figure = Chart(figsize=(size.width / 72, size.height / 72))
    axes = figure.add_axes((left, bottom, width, height))
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize=size.font_size)  # ticks that are made later are of this size too
    # places of title and label are given: to find them every tick would be laid out once more
    axes.yaxis.set_label_coords((1.4 * unit_x - left) / width, 0.5)
    title = axes.set_title("", y=1, pad=(margins.top - 2.4) * size.font_size)
    return Blank(figure, axes, title)


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


def embedded(document: str, *, name: str) -> str:
    """Return the `<svg>` element of a document; every id in it begins with `name`.

    Ids that nothing refers to are dropped, the others made short, coordinates rounded to a tenth
    of a pixel, and marks of one kind share their style: a chart of a thousand trials takes a
    quarter of the space.
    """
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = UNUSED.sub("", element)
    element = re.sub(r"\s*\n\s*", " ", element)
    # what is written stays as it is: a tick at 0.00122 is not one at 0
    element = TAG.sub(lambda tag: DECIMALS.sub(r"\1", tag[0]), element)
    element = MARKS.sub(_share_style, element)
    for number, long in enumerate(dict.fromkeys(GENERATED.findall(element))):
        element = element.replace(long, str(number))
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', element)
    element = element.replace("url(#", f"url(#{name}-")
    return re.sub(
        r'^<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="group">', element
    )


def inside(element: str) -> str:
    """Return what an element holds."""
    return element[element.index(">") + 1 : element.rindex("</svg>")]


def on_frame(element: str, *, frame: str) -> str:
    """Return the element with something drawn beneath what it holds."""
    head, end, rest = element.partition(">")
    return f"{head}{end}{frame}{rest}"


def _share_style(group: re.Match[str]) -> str:
    clip, marks = group[1] or "", group[2]
    styles = set(MARK_STYLE.findall(marks))
    if len(styles) != 1:
        return group[0]
    return f'<g{clip} style="{styles.pop()}"> {MARK_STYLE.sub("", marks)}</g>'
