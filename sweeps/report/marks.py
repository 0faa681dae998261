"""What charts are drawn from: the size, and the configurations as marks and boxes on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


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
