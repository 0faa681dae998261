"""Traces of a few configurations, their curve, and where values lie on it."""

from collections.abc import Sequence
from typing import Any

from sweeps.report import charts
from sweeps.report.charts import Mark, Seed, Trace
from sweeps.report.charts.encodings import TARGET_PX
from sweeps.report.charts.traces import HEIGHT_PX, score_limits
from sweeps.report.vega import Spec

BETAS = (1.0, 4.0, 16.0)


def mark(number: int, beta: float, y: float, *interval: float, **more: Any) -> Mark:
    """Return a configuration of 5 latents and 50 input values."""
    return Mark(number, beta, beta / 10, y, *interval, **more)


LINE = Trace(
    "5 latents",
    [
        mark(0, 1.0, 0.2, 0.1, 0.3, words="β 1\nMIG 0.2"),
        mark(1, 4.0, 0.4, 0.3, 0.5, ringed=True),
        mark(2, 16.0, 0.1, hollow=True),
    ],
    [Seed(1.0, 0.1, 0.15), Seed(1.0, 0.1, 0.25), Seed(4.0, 0.4, 0.4)],
)
OTHER = Trace("10 latents", [mark(3, 1.0, 0.3), mark(4, 16.0, 0.3)])


def curve(*lines: Trace, ticks: Sequence[float] = BETAS, x: str = "beta", **more: Any) -> Spec:
    """Return the inverted-U chart of some lines."""
    return charts.curve(lines, title="MIG", x=x, ticks=ticks, **more)


def heights(values: Sequence[float], lines: Sequence[Trace]) -> list[float]:
    """Return where values are on the chart of some lines, px from its top."""
    low, high = score_limits(lines)
    height = HEIGHT_PX - 2 * TARGET_PX
    return [TARGET_PX + height * (high - value) / (high - low) for value in values]
