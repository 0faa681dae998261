"""The trade-off: a score against the reconstruction, and the front that nothing beats."""

import math
from collections.abc import Sequence

from sweeps.report.charts.encodings import COLOUR, mark_layers, score_axis
from sweeps.report.charts.traces import Trace, of_a_score, score_limits
from sweeps.report.charts.values import short
from sweeps.report.vega import Spec

BETA_PX = 40
"""Room for the β beside a mark."""


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
        "y": score_axis(),
        "color": COLOUR,
    }
    bare = [
        Trace(line.label, [mark._replace(high=math.nan) for mark in line.marks]) for line in lines
    ]
    shared = of_a_score(title, bare, limits=score_limits(bare))
    shared["datasets"] |= {
        "front": [{"recon": short(recon), "y": short(score)} for recon, score in front]
    }
    return {
        **shared,
        "height": 320,
        "layer": [_front(encoding), _lines(encoding), _betas(encoding), *mark_layers(encoding)],
    }


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


def _front(encoding: Spec) -> Spec:
    """Return the front, as a broad pale line behind all others."""
    return {
        "data": {"name": "front"},
        "mark": {"type": "line", "stroke": "var(--rule)", "strokeWidth": 9, "clip": True},
        "encoding": {
            "x": encoding["x"],
            "y": encoding["y"],
            "order": {"field": "recon", "type": "quantitative"},
        },
    }


def _lines(encoding: Spec) -> Spec:
    """Return the lines of the latent sizes, along β."""
    return {
        "data": {"name": "means"},
        "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.6, "clip": True},
        "encoding": encoding | {"order": {"field": "beta", "type": "quantitative"}},
    }


def _betas(encoding: Spec) -> Spec:
    """Return the β of each mark, written beside it."""
    style = {"align": "left", "dx": 9, "dy": -8, "fontSize": 11, "clip": True}
    return {
        "data": {"name": "means"},
        "mark": {"type": "text", **style},
        "encoding": encoding
        | {"text": {"field": "beta", "type": "quantitative", "format": ".3~r"}},
    }
