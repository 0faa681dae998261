"""The encodings that charts share: colour, shape, words, the axis of scores, marks with rings."""

from collections.abc import Sequence

from sweeps.report.vega import Spec

COLOURS = tuple(f"var(--line-{i})" for i in range(6))
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down")
"""Five, so that no two of 30 lines share colour and shape."""

# where the nearest mark is looked for, Vega-Lite asks its cell, whose datum is the mark
WORDS: Spec = {"value": {"expr": "(datum.datum || datum).words"}}

MAX_LINES = 24
TARGET_PX = 12
"""A pointer finds a mark so far beside it: WCAG 2.2 asks for 24 pixels across."""


def _in_turn(values: Sequence[str]) -> Spec:
    """Return the scale that gives lines these values; after the last it begins anew."""
    numbers = list(range(MAX_LINES))
    return {"domain": numbers, "range": [values[i % len(values)] for i in numbers]}


COLOUR: Spec = {"field": "line", "type": "ordinal", "scale": _in_turn(COLOURS), "legend": None}


def score_axis() -> Spec:
    """Return the vertical axis, between the parameters `low` and `high`."""
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


def mark_layers(encoding: Spec, *, place: Sequence[Spec] = ()) -> list[Spec]:
    """Return the marks of configurations: a ring for the best, a larger one for the chosen.

    `place` are the transforms that give a mark its x, where that is not a field.
    """
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
