"""How numbers and names are written."""

import math
from pathlib import Path

import pytest

from sweeps import labels
from sweeps.labels import shown

NAN = math.nan


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("mig", "MIG"),
        ("mig_sampled", "MIG, sampled codes"),
        ("beta_vae_active", "Higgins (β-VAE) score, active latents only"),
        ("unheard_of", "unheard_of"),
        ("unheard_of_active", "unheard_of_active"),
    ],
)
def test_scores_have_the_names_people_use(name: str, label: str) -> None:
    """Known scores and their variants are spelled out, others stay as they are."""
    assert labels.score_label(name) == label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25"),
        (64.0, "64"),
        (0.078125, "0.0781"),
        (1234.5, "1234"),
        (999.6, "1000"),
        (NAN, "–"),
        (None, "–"),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    """Three significant digits, no powers of ten, a dash for what is missing."""
    assert labels.number(value) == text


def test_numbers_round_up_to_one_digit_more() -> None:
    """No power of ten comes of it."""
    assert labels.number(9999.7, digits=4) == "10000"


@pytest.mark.parametrize(
    ("low", "high", "text"), [(0.1, 0.25, "0.100 to 0.250"), (NAN, 1, "–"), (0, math.inf, "–")]
)
def test_intervals_without_an_end_are_a_dash(low: float, high: float, text: str) -> None:
    """An interval is written only when both ends are numbers."""
    assert labels.interval(low, high) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7384, "2 h 3 min")],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """Seconds, minutes with seconds, hours with minutes."""
    assert labels.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (3599.4, "59:59"), (3600, "1:00:00"), (None, "–")],
)
def test_clock_durations(seconds: float | None, text: str) -> None:
    """Rounded once, so that no minute has 60 seconds."""
    assert text == labels.clock(seconds)


def test_a_path_is_shown_as_it_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to where one stands if it is below, else in full."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert "runs/quick" == shown(tmp_path / "here" / "runs" / "quick")
    assert str(tmp_path / "else") == shown(tmp_path / "else")
