"""What charts are drawn from: the size of the paper, and the cells as marks and boxes on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Canvas:
    """The size of a chart and of its letters, in CSS pixels."""

    width: int
    height: int
    letters: float


class Margins(NamedTuple):
    """Space for ticks, labels, title and legend around a chart, in letters."""

    left: float = 3.4
    right: float = 0.6
    bottom: float = 3.7
    top: float = 4.9


WIDE = Canvas(width=908, height=450, letters=13)
HALF = Canvas(width=438, height=390, letters=12)


class Mark(NamedTuple):
    """A cell on a chart: where it is, the interval of y, and how it is marked."""

    cell: int
    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    hollow: bool = False
    ringed: bool = False


@dataclass(frozen=True)
class Line:
    """The cells of one latent size in order of x, and its single seeds as (x, y).

    `floor` is what an untrained encoder scores.
    """

    label: str
    marks: Sequence[Mark]
    seeds: Sequence[tuple[float, float]] = ()
    floor: float = math.nan


class Box(NamedTuple):
    """A cell of a heat map: its column and row, and what it holds (NaN leaves it empty)."""

    cell: int
    column: int
    row: int
    value: float
