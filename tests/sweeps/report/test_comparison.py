"""Two studies side by side."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sweeps.analysis.summary import summarize
from sweeps.report.comparison import (
    configuration_differences,
    key_differences,
    render,
    write_comparison,
)


@pytest.fixture
def pair(make_study: Any, trials_of: Any, result_of: Any) -> Any:
    """Two studies of the same grid; the second scores 0.1 more, give or take."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1, 2))

    def better(trial: Any) -> Any:
        result = result_of(trial)
        more = 0.1 + 0.01 * trial.values["seed"] * (-1 if trial.values["beta"] == 4 else 1)
        return result | {"scores": {k: v + more for k, v in result["scores"].items()}}

    return (
        make_study(trials, folder="a", base={"optimizer.lr": 0.001, "model.name": "mlp"}),
        make_study(
            trials, folder="b", base={"optimizer.lr": 0.0003, "model.name": "mlp"},
            results={trial.slug: better(trial) for trial in trials}, threads=2,
        ),
    )  # fmt: skip


def write_udr(study: Any, scores: Mapping[str, float]) -> None:
    """Put the UDR of some trials, by slug, where `sweeps udr` leaves it."""
    configurations = [{"scores": {slug: {"udr": value} for slug, value in scores.items()}}]
    study.folder.udr.write_text(json.dumps({"schema": 1, "cells": configurations}))


def test_only_what_differs_is_listed(pair: Any) -> None:
    """Keys of the configuration first."""
    found = key_differences(pair[0].manifest, pair[1].manifest)
    assert [(entry.key, entry.first, entry.second) for entry in found] == [
        ("optimizer.lr", 0.001, 0.0003),
        ("threads", 1, 2),
    ]


def test_differences_are_paired_by_seed(pair: Any) -> None:
    """The mean of the differences, with a t interval of their pooled variance."""
    rows = configuration_differences(summarize(pair[0]), summarize(pair[1]), score="mig")
    assert [row.difference for row in rows] == pytest.approx([0.11, 0.09])
    assert [row.n_shared for row in rows] == [3, 3]
    # both configurations deviate by ±0.01: s² = 4 · 0.01² / 4, with fewer than 4 degrees of freedom
    # where the seeds deviate together
    half = rows[0].high - 0.11
    bounds = [stats.t.ppf(0.975, df) * 0.01 / np.sqrt(3) for df in (4, 2)]
    assert bounds[0] - 1e-3 <= half <= bounds[1] + 1e-3
    assert all(row.is_clear for row in rows)


def test_seeds_of_one_study_only_do_not_count(make_study: Any, trials_of: Any) -> None:
    """Where seeds differ, only the shared ones are compared; without any there is a dash."""
    first = make_study(trials_of(betas=(4,), latent_dims=(5,), seeds=(0, 1)), folder="a")
    second = make_study(trials_of(betas=(4,), latent_dims=(5,), seeds=(1, 2)), folder="b")
    third = make_study(trials_of(betas=(4,), latent_dims=(5,), seeds=(3,)), folder="c")
    (row,) = configuration_differences(summarize(first), summarize(second), score="mig")
    assert (row.n_shared, row.difference) == (1, 0)
    (row,) = configuration_differences(summarize(first), summarize(third), score="mig")
    assert row.n_shared == 0
    assert math.isnan(row.difference)


def test_two_seeds_have_one_udr(make_study: Any, trials_of: Any) -> None:
    """That of their pair, so that their difference has no interval, and is not clear."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0, 1))
    studies = [make_study(trials, folder=name) for name in ("a", "b")]
    for study, value in zip(studies, (0.2, 0.5), strict=True):
        write_udr(study, {trial.slug: value for trial in trials})
    (row,) = configuration_differences(*(summarize(study) for study in studies), score="udr")
    assert row.difference == pytest.approx(0.3)
    assert math.isnan(row.low)
    assert not row.is_clear
    assert row.n_shared == 2


def test_seeds_that_share_pairs_are_not_independent(make_study: Any, trials_of: Any) -> None:
    """The interval of a difference of UDR is that of the pseudo-values, four times as wide."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0, 1, 2))
    values = np.array([[0.20, 0.24, 0.28], [0.46, 0.54, 0.62]])
    studies = [make_study(trials, folder=name) for name in ("a", "b")]
    for study, own in zip(studies, values, strict=True):
        write_udr(study, {trial.slug: float(u) for trial, u in zip(trials, own, strict=True)})
    (row,) = configuration_differences(*(summarize(study) for study in studies), score="udr")
    half = stats.t.ppf(0.975, 2) * 4 * 0.04 / np.sqrt(3)
    assert (row.first, row.second, row.difference) == pytest.approx((0.24, 0.54, 0.3))
    assert (row.low, row.high) == pytest.approx((0.3 - half, 0.3 + half))
    assert not row.is_clear


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
