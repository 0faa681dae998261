"""Two studies compared, as numbers."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sweeps.analysis.comparisons import configuration_differences, key_differences
from sweeps.analysis.summary import summarize


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
