"""A chart as it is drawn: what a reader sees of a Vega-Lite specification."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from sweeps.report.vega import Chart, Spec

WIDTH_PX = 400
NUMBER = re.compile(r"-?[\d.]+(?:e-?\d+)?")


class Shape(NamedTuple):
    """One mark: where it is or, of lines and bars, begins (px, y downwards), and how it looks."""

    x: float
    y: float
    path: Sequence[tuple[float, float]]
    style: dict[str, str]
    text: str


class Drawn:
    """A drawn chart, of `WIDTH_PX` where the specification does not say otherwise."""

    def __init__(self, spec: Spec) -> None:
        self._layers = spec["layer"]
        self._root = ElementTree.fromstring(Chart({"width": WIDTH_PX} | spec).svg())

    @property
    def texts(self) -> list[str]:
        """Everything that is written, line by line."""
        return [line for one in self._root.iter() for line in _lines(one)]

    def of(self, kind: str, data: str = "", *, name: str = "") -> list[Shape]:
        """Return the marks of a kind that are drawn from a data set, those of `name` if given."""
        return [
            shape
            for i, layer in enumerate(self._layers)
            if layer["mark"]["type"] == kind
            if layer.get("data", {}).get("name", "") == data
            if layer.get("name", "") == name
            for shape in self._shapes(name or f"layer_{i}")
        ]

    def axis(self, title: str) -> list[Shape]:
        """Return the numbers that are shown at the axis of this title, "X" or "Y" without one."""
        (axis,) = (
            one
            for one in self._root.iter()
            if re.search(f"{title}'|^{title}-axis for", one.get("aria-label", ""))
            if one.get("aria-roledescription") == "axis"
        )
        labels = next(one for one in axis.iter() if "role-axis-label" in one.get("class", ""))
        shown = [_shape(one) for one in labels if one.get("opacity") == "1"]
        return [one for one in shown if one.text]

    def _shapes(self, layer: str) -> list[Shape]:
        return [
            _shape(one)
            for group in self._root.iter()
            if f"{layer}_marks" in group.get("class", "").split()
            for one in group
        ]


def _lines(element: ElementTree.Element) -> list[str]:
    return list(element.itertext()) if element.tag.endswith("}text") else []


def _shape(element: ElementTree.Element) -> Shape:
    numbers = [float(one) for one in NUMBER.findall(element.get("transform", ""))]
    path = [float(one) for one in NUMBER.findall(element.get("d", ""))]
    points = list(zip(path[::2], path[1::2], strict=False))
    x, y = numbers[:2] or points[0]
    return Shape(x, y, points, dict(element.attrib), element.text or "")


def chosen(spec: Spec, number: int) -> Spec:
    """Return the chart with a configuration chosen."""
    others = [one for one in spec["params"] if one["name"] != "chosen"]
    return spec | {"params": [*others, {"name": "chosen", "value": number}]}
