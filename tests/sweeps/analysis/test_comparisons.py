"""Studies compared, as numbers."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sweeps.analysis.comparisons import (
    configuration_differences,
    key_differences,
    record_differences,
    shared_lines,
    shared_scores,
    study_names,
    why_not_subtracted,
)
from sweeps.analysis.summary import summarize


def write_udr(study: Any, scores: Mapping[str, float]) -> None:
    """Put the UDR of some trials, by slug, where `sweeps udr` leaves it."""
    configurations = [
        {"codes": {}, "scores": {slug: {"udr": value} for slug, value in scores.items()}}
    ]
    study.folder.udr.write_text(json.dumps({"schema": 1, "cells": configurations}))


def rows(*studies: Any) -> list[tuple[str, tuple[object, ...]]]:
    """The differing keys with the value in each study."""
    found = key_differences([study.manifest for study in studies])
    return [(row.key, row.values) for row in found]


def test_only_what_differs_is_listed(pair: Any) -> None:
    """Keys apart from what was recorded; 4 and 4.0 are one value."""
    assert rows(*pair) == [("optimizer.lr", (0.001, 0.0003))]
    (threads,) = record_differences([study.manifest for study in pair])
    assert (threads.key, threads.values) == ("threads", (1, 2))


def test_nothing_is_listed_twice(make_study: Any) -> None:
    """What stands in the settings and beside them, and a choice's name and what it is made of."""
    base = {"protocol": "fast", "threads": 1, "loss.name": "beta_vae", "loss._target_": "A"}
    other = {"protocol": "full", "threads": 2, "loss.name": "beta_tcvae", "loss._target_": "B"}
    a = make_study(folder="a", base=base, protocol="fast", threads=1, versions={"code": "1"})
    b = make_study(folder="b", base=other, protocol="full", threads=2, versions={"code": "2"})
    found = key_differences([a.manifest, b.manifest])
    assert [row.key for row in found if not row.follows] == ["loss.name", "protocol", "threads"]
    assert [row.key for row in found if row.follows] == ["loss._target_"]
    assert record_differences([a.manifest, b.manifest]) == []


def test_swept_keys_are_listed_with_their_values(make_study: Any, trials_of: Any) -> None:
    """Those of the grid, too; of many values the ends and their number."""
    a = make_study(
        trials_of(betas=range(1, 11), latent_dims=(5,), seeds=(0,), loss=("beta_vae", "own")),
        folder="a",
    )
    b = make_study(
        trials_of(betas=(1, 4.0), latent_dims=(5,), seeds=(0,)),
        folder="b",
        base={"loss.name": "beta_vae", "loss.cycles": 4},
    )
    assert rows(a, b) == [
        ("loss", ("beta_vae, own", "beta_vae")),
        ("beta", ("1 to 10 (10 values)", "1, 4")),
    ]


def test_three_studies_have_a_value_each(make_study: Any) -> None:
    """None where a study does not have the key."""
    studies = [
        make_study(folder=name, base={"trainer.max_steps": steps, **more})
        for name, steps, more in (("a", 10, {}), ("b", 20, {"x": 1}), ("c", 10, {}))
    ]
    assert rows(*studies) == [("trainer.max_steps", (10, 20, 10)), ("x", (None, 1, None))]


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/r/a", "/r/b"], ["a", "b"]),
        (["/r/a", "/s/a"], ["r/a", "s/a"]),
        (["/x/r/a", "/y/r/a", "/y/r/b"], ["x/r/a", "y/r/a", "b"]),
        (["/a", "/r/a"], ["/a", "r/a"]),
    ],
)
def test_names_of_studies_are_unique(folders: list[str], names: list[str]) -> None:
    """The folder's, with as much of the path before it as tells it from the others."""
    assert study_names([Path(folder) for folder in folders]) == names


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"protocol": "fast"}, "by different protocols, locatello2019 and fast"),
        ({"lattice": "3x6"}, "on different images"),
        ({"image_size": 4096}, "differ in size"),
    ],
)
def test_scores_of_different_kinds_are_not_subtracted(
    make_study: Any, changed: Any, why: str
) -> None:
    """It is said why."""
    a, b = make_study(folder="a"), make_study(folder="b", **changed)
    assert why_not_subtracted(summarize(a), summarize(a)) == ""
    said = why_not_subtracted(summarize(a), summarize(b))
    assert why in said
    assert bool(said) == bool(why)


def test_lines_of_some_two_studies_are_shared(make_study: Any, trials_of: Any) -> None:
    """By their latent size; a third study need not have them."""
    reads = [
        summarize(make_study(trials_of(latent_dims=sizes, seeds=(0,)), folder=str(sizes)))
        for sizes in ((5, 10), (10, 20), (20, 40))
    ]
    assert shared_lines(reads, "mig") == [("", 10), ("", 20)]
    assert shared_scores(reads) == ["mig", "beta_vae"]
    assert shared_lines(reads, "no such") == []


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
