"""Sentences that the page and `sweeps best` share."""

import pytest

from sweeps.analysis.best import BetaRange
from sweeps.report.words import beta_range, tried_beta


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


@pytest.mark.parametrize(
    ("ends", "beyond"),
    [((False, False), ""), ((False, True), ", or above"), ((True, True), ", or outside")],
)
def test_range_in_a_table_is_short(ends: tuple[bool, bool], beyond: str) -> None:
    """The head of its column says the rest."""
    assert tried_beta(BetaRange(1, 16, 0.01, 0.16, *ends)) == f"1 to 16{beyond}"
    assert tried_beta(BetaRange(4, 4, 0.01, 0.01, *ends)) == f"4{beyond}"
