"""Sentences that the pages and `sweeps best` share."""

from sweeps.analysis.best import BetaRange
from sweeps.analysis.verdict import Judgement
from sweeps.labels import span

BEYOND = {(True, True): "outside", (True, False): "below", (False, True): "above"}
"""Where the best β may lie, by whether its range is open at the low and the high end."""


def verdict(judged: Judgement) -> str:
    """Write the verdict on a line, and how it falls."""
    how = {None: "", "gradual": ", falls gradually", "collapse": ", falls by posterior collapse"}
    return f"{judged.verdict}{how[judged.fall]}"


def beta_range(found: BetaRange) -> str:
    """Write which β of those tried may be best, and whether one beyond them may be better."""
    norms = span(found.norm_low, found.norm_high)
    beyond = _beyond(found)
    better = f"; a β {beyond} the grid may be better" if beyond else ""
    return f"{span(found.low, found.high)} (β_norm {norms}; 95 % confidence){better}"


def tried_beta(found: BetaRange) -> str:
    """Write the same in the width of a table's column."""
    beyond = _beyond(found)
    return span(found.low, found.high) + (f", or {beyond}" if beyond else "")


def _beyond(found: BetaRange) -> str | None:
    return BEYOND.get((found.open_low, found.open_high))
