"""The inverted-U chart: a score against β, a line for each latent size."""

import math
from collections.abc import Sequence
from itertools import pairwise

from sweeps.report.charts.encodings import COLOUR, TARGET_PX, mark_layers, score_axis
from sweeps.report.charts.traces import HEIGHT_PX, Trace, of_a_score, score_limits
from sweeps.report.vega import Spec

AXES = {"beta": "β", "beta_norm": "β_norm = β · latents / input values"}

SIDE_PX = 9
SIDE_SHARE = 0.6
"""Lines stand side by side at a value, within this share of the way to the next one."""

MAX_TICKS = 12


def curve(
    lines: Sequence[Trace],
    *,
    title: str,
    x: str,
    ticks: Sequence[float],
    beside: Sequence[Trace] = (),
) -> Spec:
    """Return the inverted-U chart: a score against β or β_norm, on a log axis.

    Args:
        lines: one for each latent size.
        title: what stands above it.
        x: "beta" or "beta_norm".
        ticks: the values of x that there are, also where this score has none.
        beside: lines of charts that share its vertical axis.
    """
    room = TARGET_PX + math.ceil(SIDE_PX * len(lines) / 2)  # beside the first and the last mark
    place = [{"calculate": _place(ticks, x=x, n_lines=len(lines), room=room), "as": "x"}]
    encoding: Spec = {
        "x": _beta_axis(ticks, x=x, room=room),
        "y": score_axis(),
        "color": COLOUR,
    }
    return {
        **of_a_score(title, lines, limits=score_limits([*lines, *beside])),
        "height": HEIGHT_PX,
        "encoding": {"color": COLOUR},
        "layer": [
            _untrained(encoding),
            _intervals(encoding, place),
            _seeds(encoding, place),
            _means(encoding, place),
            *mark_layers(encoding, place=place),
            _names(encoding),
        ],
    }


def _beta_axis(ticks: Sequence[float], *, x: str, room: int) -> Spec:
    """Return the horizontal axis, with so many pixels of room at both ends."""
    shown: Spec = {"format": ".3~r", "labelOverlap": "greedy"}
    values = {"values": list(ticks)} if len(ticks) <= MAX_TICKS else {}
    return {
        "field": "x",
        "type": "quantitative",
        "title": f"{AXES[x]} (log scale)",
        "scale": {"type": "log", "domain": [*_ends(ticks)], "nice": False, "padding": room},
        "axis": shown | values,
    }


def _place(ticks: Sequence[float], *, x: str, n_lines: int, room: int) -> str:
    """Return where a mark stands on the horizontal axis: beside its β, each line a step aside.

    An expression of the mark and of the chart's width, which is `room` less at both ends.
    """
    first, last = _ends(ticks)
    middle = (n_lines - 1) / 2
    per_px = f"pow({last / first:.9g}, 1 / (width - {2 * room}))"
    return f"datum.{x} * pow({per_px}, (datum.line - {middle}) * {_side_px(ticks, n_lines, room)})"


def _side_px(ticks: Sequence[float], n_lines: int, room: int) -> str:
    """Return how far apart lines stand at one value, so that each is nearest to its own value.

    An expression of the chart's width.
    """
    first, last = _ends(ticks)
    ratios = (high / low for low, high in pairwise(ticks))
    nearest = min((one for one in ratios if one > 1.01), default=last / first)
    share = SIDE_SHARE * math.log(nearest) / math.log(last / first) / max(n_lines, 1)
    return f"min({SIDE_PX}, {share:.9g} * (width - {2 * room}))"


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value, an octave about one that is alone."""
    low, high = min(values), max(values)
    return (low, high) if low < high else (low / math.sqrt(2), high * math.sqrt(2))


def _untrained(encoding: Spec) -> Spec:
    """Return what untrained encoders score, as dotted lines over the whole width."""
    return {
        "data": {"name": "untrained"},
        "mark": {"type": "rule", "strokeDash": [2, 4], "strokeWidth": 1.6},
        "encoding": {"y": encoding["y"]},
    }


def _intervals(encoding: Spec, place: Sequence[Spec]) -> Spec:
    """Return the intervals of the means, as pale bars."""
    return {
        "data": {"name": "means"},
        "transform": [{"filter": "isValid(datum.low)"}, *place],
        "mark": {"type": "rule", "strokeWidth": 7, "opacity": 0.25, "clip": True},
        "encoding": {
            "x": encoding["x"],
            "y": encoding["y"] | {"field": "low"},
            "y2": {"field": "high"},
        },
    }


def _seeds(encoding: Spec, place: Sequence[Spec]) -> Spec:
    """Return the single trials, as dots."""
    return {
        "data": {"name": "seeds"},
        "transform": list(place),
        "mark": {"type": "circle", "size": 10, "opacity": 0.65, "clip": True},
        "encoding": {"x": encoding["x"], "y": encoding["y"]},
    }


def _means(encoding: Spec, place: Sequence[Spec]) -> Spec:
    """Return the lines through the means over seeds."""
    return {
        "data": {"name": "means"},
        "transform": list(place),
        "mark": {"type": "line", "strokeWidth": 2, "clip": True},
        "encoding": {"x": encoding["x"], "y": encoding["y"]},
    }


def _names(encoding: Spec) -> Spec:
    """Return the names of the lines, right of the chart."""
    # a chart that can be zoomed clips what is not told otherwise
    style = {"align": "left", "dx": 8, "fontWeight": 600, "clip": False}
    return {
        "data": {"name": "labels"},
        "mark": {"type": "text", **style},
        "encoding": {
            "x": {"value": "width"},
            "y": encoding["y"],
            "text": {"field": "label"},
        },
    }
