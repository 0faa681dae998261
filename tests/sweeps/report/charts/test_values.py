"""The values that every specification may have."""

import json
import math

import pytest

from sweeps.report.charts.values import params, short


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.1234567, "0.12346"),
        (123456.7, "123460.0"),
        (0.0, "0.0"),
        (math.nan, "null"),
        (math.inf, "null"),
    ],
)
def test_a_number_is_short_and_json(value: float, written: str) -> None:
    """Five digits, and nothing that JSON does not know."""
    assert json.dumps(short(value)) == written


def test_nothing_is_chosen_at_first() -> None:
    """The page's script sets what is chosen; the ends of the scale are there from the start."""
    assert {one["name"]: one["value"] for one in params(0, 1.5)} == {
        "chosen": -1,
        "low": 0,
        "high": 1.5,
    }
