"""A chart as Vega-Lite draws it: a page by its scripts, files and notebooks by vl-convert.

Colours are named as the page's CSS variables, `var(--text)`, so that they follow its light and dark
mode; in files they are those of the light one.
"""

import functools
import json
import re
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vl_convert

from bvae.exceptions import ConfigError
from bvae.machine import GB
from bvae.versions import digest

Spec = dict[str, Any]
"""A Vega-Lite specification, plain JSON."""

LIGHT = {
    "background": "#ffffff",
    "wash": "#f4f6f8",
    "text": "#1c2530",
    "muted": "#5b6775",
    "rule": "#dfe3e8",
    "edge": "#838d99",
    "accent": "#0b5f8a",
    "line-0": "#0062b0",
    "line-1": "#b8500b",
    "line-2": "#0a7d5a",
    "line-3": "#8a3d99",
    "line-4": "#8a6d00",
    "line-5": "#56606e",
}
DARK = {
    "background": "#14181d",
    "wash": "#1e242b",
    "text": "#e8ecf1",
    "muted": "#a3adb9",
    "rule": "#343c46",
    "edge": "#7d8794",
    "accent": "#7cc0ee",
    "line-0": "#6cb2ff",
    "line-1": "#ff9e5e",
    "line-2": "#4fcf9f",
    "line-3": "#d79bea",
    "line-4": "#d9b84a",
    "line-5": "#aab4c0",
}
"""Colours by the names of the page's CSS variables."""

FONT = '"Helvetica Neue", -apple-system, "Segoe UI", Roboto, Arial, sans-serif'
CONFIG: Spec = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "title": {
        "anchor": "start",
        "color": "var(--text)",
        "fontSize": 14,
        "fontWeight": 600,
        "offset": 12,
        "subtitleColor": "var(--muted)",
        "subtitleFontSize": 12,
        "subtitlePadding": 4,
    },
    "axis": {
        "domainColor": "var(--edge)",
        "gridColor": "var(--rule)",
        "labelColor": "var(--muted)",
        "labelFontSize": 12,
        "tickColor": "var(--edge)",
        "titleColor": "var(--muted)",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "axisX": {"domain": False, "grid": False},
    "axisY": {"domain": False, "ticks": False},
    "text": {"color": "var(--text)", "fontSize": 12},
}
ADDRESSES = 70 * GB
"""Bytes of addresses that V8 reserves for its heaps, measured with vl-convert 1.9."""

_VARIABLE = re.compile(r"var\(--([\w-]+)\)")
_CLIP = re.compile(r'(?<=\bid=")clip\d+(?=")|(?<=url\(#)clip\d+(?=\))')


@dataclass(frozen=True)
class Chart:
    """A chart that stands alone: `spec` has its data and its size."""

    spec: Spec

    def svg(self) -> str:
        """Return the chart as an `<svg>` element whose colours are those of the page around it."""
        return _drawn(_complete(self.spec))

    def save(self, path: Path) -> None:
        """Write the chart as PNG (two pixels for each CSS pixel) or SVG, by the path's suffix."""
        if path.suffix == ".svg":
            path.write_text(_drawn(self._light()), encoding="utf-8")
        else:
            path.write_bytes(self._repr_png_())

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows."""
        check_machine()
        return vl_convert.vegalite_to_png(self._light(), scale=2)

    def _light(self) -> Spec:
        text = json.dumps(_complete(self.spec))
        spec: Spec = json.loads(_VARIABLE.sub(lambda name: LIGHT[name[1]], text))
        spec["config"] |= {"background": LIGHT["background"]}
        return spec


@functools.cache
def scripts() -> str:
    """Return the scripts that draw charts in a page: vegaEmbed(element, spec), vega; 0.9 MB."""
    check_machine()
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _drawn(spec: Spec) -> str:
    """Draw; Vega numbers clips by how many it drew before, here they are named by the chart."""
    check_machine()
    svg = vl_convert.vegalite_to_svg(spec)
    chart = digest(json.dumps(spec).encode())
    names = {name: f"clip-{chart}-{i}" for i, name in enumerate(dict.fromkeys(_CLIP.findall(svg)))}
    return _CLIP.sub(lambda found: names[found[0]], svg)


def check_machine() -> None:
    """Check that V8, which draws, has what it needs: where it has not, it ends the process.

    Raises:
        ConfigError: it has not.
    """
    if sys.platform == "linux" and not Path("/proc/self").exists():
        raise ConfigError("charts are drawn by V8, which reads /proc; mount it, or draw elsewhere")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if resource.RLIM_INFINITY != limit < ADDRESSES:
        raise ConfigError(
            f"charts are drawn with {ADDRESSES / GB:.0f} GB of addresses (not of memory), but this "
            f"shell allows {limit / GB:.0f} GB; type `ulimit -v unlimited`, or draw elsewhere"
        )


def _complete(spec: Spec) -> Spec:
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": CONFIG} | spec
