"""Sentences that the page and `sweeps best` share."""

from sweeps.analysis.best import BetaRange
from sweeps.labels import span

BEYOND = {(True, True): "outside", (True, False): "below", (False, True): "above"}
"""Where the best β may lie, by whether its range is open at the low and the high end."""


def beta_range(found: BetaRange) -> str:
    """Write which β of those tried may be best, and whether one beyond them may be better."""
    norms = span(found.norm_low, found.norm_high)
    beyond = BEYOND.get((found.open_low, found.open_high))
    better = f"; a β {beyond} the grid may be better" if beyond else ""
    return f"{span(found.low, found.high)} (β_norm {norms}; 95 % confidence){better}"
