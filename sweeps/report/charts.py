"""The charts of the report as Vega-Lite specifications: numbers in, plain JSON out.

Every mark of a configuration has its `number`; the mark whose number is the parameter `chosen` is
marked. The layer named `marks` is the one a pointer chooses from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from sweeps.report.vega import Spec

COLOURS = tuple(f"var(--line-{i})" for i in range(6))
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down")
"""Five, so that no two of 30 lines share colour and shape."""

AXES = {"beta": "β", "beta_norm": "β_norm = β · latents / input values"}
OF_A_SCORE = ("title", "params", "datasets")
"""What differs between charts of two scores."""

# where the nearest mark is looked for, Vega-Lite asks its cell, whose datum is the mark
WORDS: Spec = {"value": {"expr": "(datum.datum || datum).words"}}

NOWHERE = -1
"""The number of no configuration."""

MAX_LINES = 24
LABEL_PX = 15
SIDE_PX = 9
SIDE_SHARE = 0.6
"""Lines stand side by side at a value, within this share of the way to the next one."""
TARGET_PX = 12
"""A pointer finds a mark so far beside it: WCAG 2.2 asks for 24 pixels across."""

BETA_PX = 40
"""Room for the β beside a mark."""

HEIGHT_PX = 360
ROW_PX = 52
MAX_TICKS = 12
MAX_VALUES = 14
"""Columns of a heat map that a number can be written into."""

LEAST_KL_NATS = 0.1


class Mark(NamedTuple):
    """A configuration on a chart: its score with its interval, how it is marked, what it says.

    `recon` is its reconstruction error (nats).
    """

    configuration: int
    beta: float
    beta_norm: float
    y: float
    low: float = math.nan
    high: float = math.nan
    recon: float = math.nan
    hollow: bool = False
    ringed: bool = False
    words: str = ""


class Seed(NamedTuple):
    """The score of one trial."""

    beta: float
    beta_norm: float
    y: float


@dataclass(frozen=True)
class Trace:
    """The configurations of one latent size in order of β, and their single seeds.

    `untrained` is what an untrained encoder scores.
    """

    label: str
    marks: Sequence[Mark]
    seeds: Sequence[Seed] = ()
    untrained: float = math.nan


class Box(NamedTuple):
    """A field of a heat map: its β and latent size, what it holds, and what it says."""

    configuration: int
    beta: float
    latent_dim: int
    value: float
    words: str = ""


class Learnt(NamedTuple):
    """What a trial logged at a step; `line` says which configuration's, by colour."""

    line: int
    seed: int
    step: int
    value: float


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
    first, last = _ends(ticks)
    room = TARGET_PX + math.ceil(SIDE_PX * len(lines) / 2)  # beside the first and the last mark
    middle = (len(lines) - 1) / 2
    per_px = f"pow({last / first:.9g}, 1 / (width - {2 * room}))"
    aside = f"pow({per_px}, (datum.line - {middle}) * {_side_px(ticks, len(lines), room)})"
    place = [{"calculate": f"datum.{x} * {aside}", "as": "x"}]
    encoding: Spec = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "title": f"{AXES[x]} (log scale)",
            "scale": {"type": "log", "domain": [first, last], "nice": False, "padding": room},
            "axis": _number_axis(ticks),
        },
        "y": _score_axis(),
        "color": COLOUR,
    }
    x_and_y = {"x": encoding["x"], "y": encoding["y"]}
    return {
        **_of_a_score(title, lines, limits=score_limits([*lines, *beside])),
        "height": HEIGHT_PX,
        "encoding": {"color": COLOUR},
        "layer": [
            {
                "data": {"name": "untrained"},
                "mark": {"type": "rule", "strokeDash": [2, 4], "strokeWidth": 1.6},
                "encoding": {"y": encoding["y"]},
            },
            {
                "data": {"name": "means"},
                "transform": [{"filter": "isValid(datum.low)"}, *place],
                "mark": {"type": "rule", "strokeWidth": 7, "opacity": 0.25, "clip": True},
                "encoding": {
                    "x": encoding["x"],
                    "y": encoding["y"] | {"field": "low"},
                    "y2": {"field": "high"},
                },
            },
            {
                "data": {"name": "seeds"},
                "transform": place,
                "mark": {"type": "circle", "size": 10, "opacity": 0.65, "clip": True},
                "encoding": x_and_y,
            },
            {
                "data": {"name": "means"},
                "transform": place,
                "mark": {"type": "line", "strokeWidth": 2, "clip": True},
                "encoding": x_and_y,
            },
            *_mark_layers(encoding, place=place),
            {
                "data": {"name": "labels"},
                # a chart that can be zoomed clips what is not told otherwise
                "mark": {
                    "type": "text",
                    "align": "left",
                    "dx": 8,
                    "fontWeight": 600,
                    "clip": False,
                },
                "encoding": {
                    "x": {"value": "width"},
                    "y": encoding["y"],
                    "text": {"field": "label"},
                },
            },
        ],
    }


def heat_map(
    boxes: Sequence[Box],
    *,
    title: str,
    beside: Sequence[float] = (),
    low_is_good: bool = False,
    digits: int = 2,
) -> Spec:
    """Return the heat map, bright where good: a column for every β, a row for every latent size.

    Values are written into the fields, with so many digits, where there is room. Maps beside it,
    of these values, have the same colours.
    """
    known = [box for box in boxes if math.isfinite(box.value)]
    values = [value for value in [*(box.value for box in known), *beside] if math.isfinite(value)]
    betas = sorted({box.beta for box in boxes})
    sizes = sorted({box.latent_dim for box in boxes}, reverse=True)
    axes: Spec = {
        "x": {
            "field": "beta",
            "type": "ordinal",
            "title": "β",
            "scale": {"domain": betas},
            "axis": {"labelAngle": 0, "ticks": False, "domain": False} | _written(betas),
        },
        "y": {
            "field": "latents",
            "type": "ordinal",
            "title": "latents",
            "scale": {"domain": sizes},
        },
    }
    numbers = [_field_numbers(axes, digits=digits)] if len(betas) <= MAX_VALUES else []
    return {
        "title": title,
        "params": _params(min(values), max(values)),
        "height": ROW_PX * len(sizes),
        "datasets": {
            "fields": [
                {
                    "number": box.configuration,
                    "beta": box.beta,
                    "latents": box.latent_dim,
                    "value": _short(box.value),
                    "words": box.words,
                }
                for box in known
            ]
        },
        "data": {"name": "fields"},
        "layer": [_fields(axes, reverse=low_is_good), *numbers, _chosen_field(axes)],
    }


def _fields(axes: Spec, *, reverse: bool) -> Spec:
    """Return the coloured fields, which a pointer chooses from."""
    colour = {
        "field": "value",
        "type": "quantitative",
        "scale": {
            "scheme": "viridis",
            "domainMin": {"expr": "low"},
            "domainMax": {"expr": "high"},
            "reverse": reverse,
        },
        "legend": None,
    }
    return {
        "name": "marks",
        "mark": {"type": "rect", "strokeWidth": 2, "cursor": "pointer"},
        "encoding": axes
        | {
            "color": colour,
            "stroke": {"value": "var(--background)"},
            "tooltip": WORDS,
            "description": {"field": "words"},
        },
    }


def _field_numbers(axes: Spec, *, digits: int) -> Spec:
    """Return the values, black or white, whichever is read better on its field."""
    is_light = "luminance(scale('color', datum.value)) > 0.179"
    return {
        "mark": {"type": "text", "tooltip": None},
        "encoding": axes
        | {
            "text": {"field": "value", "format": f".{digits}f"},
            "color": {"condition": {"test": is_light, "value": "black"}, "value": "white"},
        },
    }


def _chosen_field(axes: Spec) -> Spec:
    style = {"filled": False, "strokeWidth": 3.5, "stroke": "var(--text)", "tooltip": None}
    return {
        "transform": [{"filter": "datum.number === chosen"}],
        "mark": {"type": "rect", **style},
        "encoding": axes,
    }


def tradeoff(lines: Sequence[Trace], *, title: str) -> Spec:
    """Return a score against reconstruction: a line for each latent size, along β."""
    marks = [mark for line in lines for mark in line.marks]
    front = pareto_front([(mark.recon, mark.y) for mark in marks])
    encoding: Spec = {
        "x": {
            "field": "recon",
            "type": "quantitative",
            "title": "reconstruction, nats (left is better)",
            "scale": {"zero": False, "nice": False, "padding": BETA_PX},
            "axis": {"tickCount": 6},
        },
        "y": _score_axis(),
        "color": COLOUR,
    }
    bare = [
        Trace(line.label, [mark._replace(high=math.nan) for mark in line.marks]) for line in lines
    ]
    shared = _of_a_score(title, bare, limits=score_limits(bare))
    shared["datasets"] |= {
        "front": [{"recon": _short(recon), "y": _short(score)} for recon, score in front]
    }
    return {
        **shared,
        "height": 320,
        "layer": [
            {
                "data": {"name": "front"},
                "mark": {"type": "line", "stroke": "var(--rule)", "strokeWidth": 9, "clip": True},
                "encoding": {
                    "x": encoding["x"],
                    "y": encoding["y"],
                    "order": {"field": "recon", "type": "quantitative"},
                },
            },
            {
                "data": {"name": "means"},
                "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.6, "clip": True},
                "encoding": encoding | {"order": {"field": "beta", "type": "quantitative"}},
            },
            {
                "data": {"name": "means"},
                "mark": {
                    "type": "text",
                    "align": "left",
                    "dx": 9,
                    "dy": -8,
                    "fontSize": 11,
                    "clip": True,
                },
                "encoding": encoding
                | {"text": {"field": "beta", "type": "quantitative", "format": ".3~r"}},
            },
            *_mark_layers(encoding),
        ],
    }


def kl(kl_nats: Sequence[float], *, n_active: int) -> Spec:
    """Return the KL of each latent (nats), sorted; the first `n_active` are marked as active."""
    order = sorted(range(len(kl_nats)), key=lambda j: -kl_nats[j])
    return {
        "height": 100,
        "datasets": {
            "latents": [
                {"latent": f"z{j}", "kl": _short(kl_nats[j]), "active": rank < n_active}
                for rank, j in enumerate(order)
            ]
        },
        "data": {"name": "latents"},
        "layer": [
            {
                "mark": {"type": "bar", "tooltip": True},
                "encoding": {
                    "x": {
                        "field": "latent",
                        "type": "nominal",
                        "sort": None,
                        "title": None,
                        "axis": {"labelAngle": 0, "labelOverlap": "greedy"},
                    },
                    "y": {
                        "field": "kl",
                        "type": "quantitative",
                        "title": None,
                        "axis": {"tickCount": 3},
                    },
                    "color": {
                        "condition": {"test": "datum.active", "value": "var(--line-0)"},
                        "value": "var(--edge)",
                    },
                },
            },
            # of a latent that carries nothing, no bar is to be seen: the axis reaches so far
            {"mark": {"type": "rule", "opacity": 0}, "encoding": {"y": {"datum": LEAST_KL_NATS}}},
        ],
    }


def learning(rows: Sequence[Learnt] = (), *, title: str, zero: bool = False) -> Spec:
    """Return learning curves: seeds as thin lines, the mean of each line's as a thick one.

    `zero` says whether the vertical axis reaches down to it.
    """
    x = {"field": "step", "type": "quantitative", "title": "step", "axis": {"tickCount": 4}}
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"zero": zero},
        "axis": {"tickCount": 4},
    }
    return {
        "title": title,
        "height": 130,
        "datasets": {
            "logged": [one._asdict() | {"value": _short(one.value)} for one in rows],
        },
        "data": {"name": "logged"},
        "encoding": {"x": x, "color": COLOUR},
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 0.8, "opacity": 0.45},
                "encoding": {"y": y, "detail": {"field": "seed"}},
            },
            {
                "mark": {"type": "line", "strokeWidth": 2.4},
                "encoding": {"y": y | {"aggregate": "mean"}},
            },
        ],
    }


def score_limits(lines: Sequence[Trace]) -> tuple[float, float]:
    """Return the ends of the vertical axis: zero or less, and what holds every seed.

    Intervals may run off the top: with two seeds they would press the curve flat.
    """
    marks = [mark for line in lines for mark in line.marks]
    values = [mark.y for mark in marks] + [seed.y for line in lines for seed in line.seeds]
    values += [line.untrained for line in lines if math.isfinite(line.untrained)]
    highest = max([*values, 1e-3])
    longest = max([mark.high for mark in marks if math.isfinite(mark.high)], default=highest)
    return 1.05 * min([*values, 0]), 1.07 * min(max(highest, longest), 1.3 * highest)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (cost, score) that no other beats in both, by cost.

    >>> pareto_front([(10, 0.1), (20, 0.3), (30, 0.2)])
    [(10, 0.1), (20, 0.3)]
    """
    front: list[tuple[float, float]] = []
    highest = -math.inf
    for cost, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if score > highest:
            front.append((cost, score))
            highest = score
    return front


def _of_a_score(title: str, lines: Sequence[Trace], *, limits: tuple[float, float]) -> Spec:
    """Return what differs between charts of two scores (`OF_A_SCORE`)."""
    low, high = limits
    return {
        "title": title,
        "params": _params(low, high),
        "datasets": {
            "means": [
                _row(mark) | {"line": i, "number": mark.configuration}
                for i, line in enumerate(lines)
                for mark in line.marks
            ],
            "seeds": [
                _row(seed) | {"line": i} for i, line in enumerate(lines) for seed in line.seeds
            ],
            "untrained": [
                {"line": i, "y": _short(line.untrained)}
                for i, line in enumerate(lines)
                if math.isfinite(line.untrained)
            ],
            "labels": _labels(lines, low=low, high=high),
        },
    }


def _params(low: float, high: float) -> list[Spec]:
    values = {"chosen": NOWHERE, "low": _short(low), "high": _short(high)}
    return [{"name": name, "value": value} for name, value in values.items()]


def _row(record: Mark | Seed) -> Spec:
    """Return a record as a row, without what it has not; JSON has no NaN."""
    named: Spec = {**record._asdict(), "configuration": None}
    short = {name: _short(one) if isinstance(one, float) else one for name, one in named.items()}
    return {name: one for name, one in short.items() if one is not None and one is not False}


def _mark_layers(encoding: Spec, *, place: Sequence[Spec] = ()) -> list[Spec]:
    """Return the marks of configurations: a ring for the best, a larger one for the chosen."""
    return [
        _ring("datum.ringed", encoding, place, colour="var(--text)", size=230, strokeWidth=1.5),
        _ring(
            "datum.number === chosen",
            encoding,
            place,
            colour="var(--accent)",
            size=450,
            strokeWidth=3,
        ),
        {
            "name": "marks",
            "data": {"name": "means"},
            "transform": list(place),
            "mark": {"type": "point", "size": 62, "strokeWidth": 1.8, "opacity": 1, "clip": True},
            "encoding": encoding
            | {
                "shape": {
                    "field": "line",
                    "type": "nominal",
                    "scale": _in_turn(SHAPES),
                    "legend": None,
                },
                "fill": COLOUR
                | {"condition": {"test": "datum.hollow", "value": "var(--background)"}},
                "tooltip": WORDS,
                "description": {"field": "words"},
            },
        },
    ]


def _ring(
    which: str, encoding: Spec, place: Sequence[Spec], *, colour: str, **style: float
) -> Spec:
    return {
        "data": {"name": "means"},
        "transform": [*place, {"filter": which}],
        "mark": {"type": "point", "opacity": 1, "clip": True, "tooltip": None, **style},
        "encoding": {"x": encoding["x"], "y": encoding["y"], "color": {"value": colour}},
    }


def _score_axis() -> Spec:
    return {
        "field": "y",
        "type": "quantitative",
        "title": None,
        "scale": {
            "domainMin": {"expr": "low"},
            "domainMax": {"expr": "high"},
            "nice": False,
            "zero": False,
            "padding": TARGET_PX,
        },
        "axis": {"tickCount": 6},
    }


def _in_turn(values: Sequence[str]) -> Spec:
    """Return the scale that gives lines these values; after the last it begins anew."""
    numbers = list(range(MAX_LINES))
    return {"domain": numbers, "range": [values[i % len(values)] for i in numbers]}


COLOUR: Spec = {"field": "line", "type": "ordinal", "scale": _in_turn(COLOURS), "legend": None}


def _labels(lines: Sequence[Trace], *, low: float, high: float) -> list[Spec]:
    """Return the lines' names at their right ends, moved apart where they would overlap."""
    apart = LABEL_PX * (high - low) / (HEIGHT_PX - 2 * TARGET_PX)
    ends = sorted((line.marks[-1].y, i, line.label) for i, line in enumerate(lines) if line.marks)
    places: list[float] = []
    for end, _, _ in ends:
        places.append(max(end, places[-1] + apart if places else low))
    ceiling = high
    for k in reversed(range(len(places))):  # where there is no room above, those below make it
        places[k] = min(places[k], ceiling)
        ceiling = places[k] - apart
    return [
        {"line": i, "label": label, "y": _short(place)}
        for place, (_, i, label) in zip(places, ends, strict=True)
    ]


def _number_axis(ticks: Sequence[float]) -> Spec:
    shown: Spec = {"format": ".3~r", "labelOverlap": "greedy"}
    return shown | ({"values": list(ticks)} if len(ticks) <= MAX_TICKS else {})


def _written(betas: Sequence[float]) -> Spec:
    every = math.ceil(len(betas) / MAX_VALUES)
    return {"values": list(betas[::every]), "format": ".3~r"}


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value, an octave about one that is alone."""
    low, high = min(values), max(values)
    return (low, high) if low < high else (low / math.sqrt(2), high * math.sqrt(2))


def _side_px(ticks: Sequence[float], n_lines: int, room: int) -> str:
    """Return how far apart lines stand at one value, so that each is nearest to its own value.

    An expression of the chart's width, which is `room` less at both ends.
    """
    first, last = _ends(ticks)
    ratios = (high / low for low, high in pairwise(ticks))
    nearest = min((one for one in ratios if one > 1.01), default=last / first)
    share = SIDE_SHARE * math.log(nearest) / math.log(last / first) / max(n_lines, 1)
    return f"min({SIDE_PX}, {share:.9g} * (width - {2 * room}))"


def _short(value: float) -> Any:
    """Return a number in five digits: no reader sees more; JSON has no NaN."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
