"""Learning curves: what trials logged, step by step."""

from collections.abc import Sequence
from typing import NamedTuple

from sweeps.report.charts.encodings import COLOUR
from sweeps.report.charts.values import short
from sweeps.report.vega import Spec


class Learnt(NamedTuple):
    """What a trial logged at a step; `line` says which configuration's, by colour."""

    line: int
    seed: int
    step: int
    value: float


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
            "logged": [one._asdict() | {"value": short(one.value)} for one in rows],
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
