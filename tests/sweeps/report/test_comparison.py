"""Two studies side by side."""

import re
from typing import Any

import pytest

from sweeps.analysis.summary import summarize
from sweeps.report import comparison
from sweeps.report.comparison import SECTIONS, render, write_comparison


def test_page_is_written_beside_the_second_report(pair: Any) -> None:
    """Names of both, a chart for each latent size, bold where it is clear."""
    path = write_comparison(*pair)
    text = path.read_text(encoding="utf-8")
    assert path == pair[1].folder.report / "against-a.html"
    assert "A: a" in text
    assert "B: b" in text
    assert text.count('class="clear"') == 4


def test_raw_beta_is_not_compared_across_image_sizes(make_study: Any, trials_of: Any) -> None:
    """With other images one β means another; only β_norm is shown."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    studies = [
        make_study(trials, folder=name, image_size=size)
        for name, size in (("a", 1024), ("b", 4096))
    ]
    text = render(*(summarize(study) for study in studies))
    assert "only β_norm is compared" in text
    assert "β_norm 0.0195, 5 latents" in text
    assert "β 4, 5 latents" not in text
    assert 'data-x="beta"' not in text
    assert "configuration by configuration" not in text


@pytest.mark.parametrize("protocol", ["locatello2019", "fast"])
def test_other_protocol_is_a_warning(make_study: Any, trials_of: Any, protocol: str) -> None:
    """Scores of two protocols are not the same score."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    first = make_study(trials, folder="a")
    second = make_study(trials, folder="b", protocol=protocol)
    warned = "different protocols" in render(summarize(first), summarize(second))
    assert warned == (protocol == "fast")


def test_nothing_in_common_is_said(make_study: Any, trials_of: Any) -> None:
    """Studies of different latent sizes share no line."""
    studies = [
        make_study(trials_of(betas=(4,), latent_dims=(size,), seeds=(0,)), folder=str(size))
        for size in (5, 10)
    ]
    assert "in common" in render(*(summarize(study) for study in studies))


def test_objective_without_values_gives_way(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """Another score that both have is laid over and tabulated; the objective is no choice."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    results = {
        trial.slug: result_of(trial, scores={"mig": float("nan"), "sap": 0.1}) for trial in trials
    }
    studies = [make_study(trials, folder=name, results=results) for name in ("a", "b")]
    text = render(*(summarize(study) for study in studies))
    assert "in common" not in text
    assert re.findall(r'<option value="(.*?)"( selected)?', text) == [("sap", " selected")]
    assert re.findall(r'<div class="scroll" data-score="(.*?)"( hidden)?', text) == [("sap", "")]


def test_score_cannot_name_itself_into_the_page(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """The name of a score comes from a file; whatever it is, it stays a text."""
    name = 'x"><script>alert(1)</script>'
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    results = {trial.slug: result_of(trial, scores={"mig": 0.2, name: 0.1}) for trial in trials}
    studies = [make_study(trials, folder=folder, results=results) for folder in ("a", "b")]
    text = render(*(summarize(study) for study in studies))
    assert name not in text
    assert text.count("<script") == 2
    assert "x&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_names_are_escaped(make_study: Any, trials_of: Any) -> None:
    """Here too."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    studies = [make_study(trials, folder=name, name="<script>x") for name in ("a", "b")]
    assert "<script>x" not in render(*(summarize(study) for study in studies))


@pytest.mark.parametrize("failing", [section.name for section in SECTIONS])
def test_section_that_fails_is_a_note(
    pair: Any, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """It says what failed and why, and all other sections stand."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a <hole> in the study")

    studies = [summarize(study) for study in pair]
    marks = {"compared": "optimizer.lr", "overlays": "Large marks", "differences": "shared seeds"}
    changed = [one._replace(show=fail) if one.name == failing else one for one in SECTIONS]
    monkeypatch.setattr(comparison, "SECTIONS", changed)
    text = render(*studies)

    assert "could not be made (ZeroDivisionError: a &lt;hole&gt; in the study)" in text
    assert {name for name, mark in marks.items() if mark in text} == marks.keys() - {failing}
