"""The heat map: a score by β and latent size, as colours."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sweeps.report.charts.encodings import WORDS
from sweeps.report.charts.values import params, short
from sweeps.report.vega import Spec

ROW_PX = 52
MAX_VALUES = 14
"""Columns of a heat map that a number can be written into."""


class Box(NamedTuple):
    """A field of a heat map: its β and latent size, what it holds, and what it says."""

    configuration: int
    beta: float
    latent_dim: int
    value: float
    words: str = ""


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
    axes = _axes(betas, sizes)
    numbers = [_numbers(axes, digits=digits)] if len(betas) <= MAX_VALUES else []
    return {
        "title": title,
        "params": params(min(values), max(values)),
        "height": ROW_PX * len(sizes),
        "datasets": {"fields": [_row(box) for box in known]},
        "data": {"name": "fields"},
        "layer": [_fields(axes, reverse=low_is_good), *numbers, _chosen(axes)],
    }


def _row(box: Box) -> Spec:
    return {
        "number": box.configuration,
        "beta": box.beta,
        "latents": box.latent_dim,
        "value": short(box.value),
        "words": box.words,
    }


def _axes(betas: Sequence[float], sizes: Sequence[int]) -> Spec:
    """Return the axes: β, of many only some named, and latent sizes from the top."""
    every = math.ceil(len(betas) / MAX_VALUES)
    return {
        "x": {
            "field": "beta",
            "type": "ordinal",
            "title": "β",
            "scale": {"domain": list(betas)},
            "axis": {
                "labelAngle": 0,
                "ticks": False,
                "domain": False,
                "values": list(betas[::every]),
                "format": ".3~r",
            },
        },
        "y": {
            "field": "latents",
            "type": "ordinal",
            "title": "latents",
            "scale": {"domain": list(sizes)},
        },
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


def _numbers(axes: Spec, *, digits: int) -> Spec:
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


def _chosen(axes: Spec) -> Spec:
    """Return the edge of the field that is chosen."""
    style = {"filled": False, "strokeWidth": 3.5, "stroke": "var(--text)", "tooltip": None}
    return {
        "transform": [{"filter": "datum.number === chosen"}],
        "mark": {"type": "rect", **style},
        "encoding": axes,
    }
