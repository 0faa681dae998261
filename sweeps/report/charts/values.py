"""The values of a specification: its numbers, and the parameters that the page's script sets."""

import math
from typing import Any

from sweeps.report.vega import Spec

NOWHERE = -1
"""The number of no configuration."""


def params(low: float, high: float) -> list[Spec]:
    """Return the parameters: what is chosen, at first nothing, and the ends of a scale."""
    values = {"chosen": NOWHERE, "low": short(low), "high": short(high)}
    return [{"name": name, "value": value} for name, value in values.items()]


def short(value: float) -> Any:
    """Return a number in five digits: no reader sees more; JSON has no NaN.

    >>> short(0.1234567), short(float("nan"))
    (0.12346, None)
    """
    return float(f"{value:.5g}") if math.isfinite(value) else None
