"""Sentences that the pages and `sweeps best` share."""

from sweeps.analysis.best import BetaRange
from sweeps.analysis.budget import Check
from sweeps.analysis.verdict import Judgement
from sweeps.labels import NOTHING, number, span

BEYOND = {(True, True): "outside", (True, False): "below", (False, True): "above"}
"""Where the best β may lie, by whether its range is open at the low and the high end."""

BUDGETS = {
    "moves": "best β at this budget",
    "open": "best β, the longer one at the border of what was trained so long",
    "holds": "best β, the same within one step of the grid",
}
"""What is said of the best β by two budgets, by the answer."""


def budget_check(check: Check) -> str:
    """Write the best β by either budget, and which ones may be."""
    return (
        f"{BUDGETS[check.answer]}: {_best(check.short)} after {check.fewer_images} images, "
        f"{_best(check.long)} after {check.more_images}"
    )


def _best(judged: Judgement) -> str:
    beta = NOTHING if judged.best is None else number(judged.best.beta)
    found = judged.best_range
    if found is None:
        return beta
    return f"{beta} (of those tried {span(found.low, found.high)}, with 95 % confidence)"


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
