"""Sentences that the page and `sweeps best` share."""

import pytest

from sweeps.analysis.best import BetaRange
from sweeps.report.words import beta_range


@pytest.mark.parametrize(
    ("ends", "beyond"),
    [
        ((False, False), ""),
        ((True, False), "; a β below the grid may be better"),
        ((True, True), "; a β outside the grid may be better"),
    ],
)
def test_confidence_is_that_of_the_betas_tried(ends: tuple[bool, bool], beyond: str) -> None:
    """Both scales stand before it; what may lie beyond the grid stands behind."""
    found = BetaRange(1, 16, 0.01, 0.16, *ends)
    assert beta_range(found) == f"1 to 16 (β_norm 0.01 to 0.16; 95 % confidence){beyond}"
