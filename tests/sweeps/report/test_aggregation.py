"""What each way to sum up the seeds says."""

from typing import Any

import numpy as np
import pytest

from sweeps.analysis.curve import lines
from sweeps.analysis.summary import Digest, digest
from sweeps.report.aggregation import Row, aggregation, evaluations
from sweeps.statistics.aggregates import summarise
from sweeps.statistics.inverted_u import judge

EVALUATIONS = 3


@pytest.fixture
def scored(make_study: Any, trials_of: Any, result_of: Any) -> Any:
    """Read a study of one latent size whose trials kept their evaluations, but for some."""

    def scored(*, without: int = 0, seeds: tuple[int, ...] = (0, 1, 2)) -> Digest:
        trials = trials_of(latent_dims=(5,), seeds=seeds)
        results = {trial.slug: kept(trial, i >= without) for i, trial in enumerate(trials)}
        return digest(make_study(trials, results=results))

    def kept(trial: Any, keeps: bool) -> dict[str, Any]:
        result = result_of(trial)
        mig = result["scores"]["mig"]
        values = [mig - 0.05, mig, mig + 0.05]
        scoring = {**result["scoring"], "scores": {"mig": {"values": values if keeps else []}}}
        return result | {"scoring": scoring}

    return scored


def line_of(read: Digest) -> Any:
    """The only line of a study."""
    return next(lines(read.frame, score_names=["mig"]))


def rows_of(read: Digest) -> tuple[Row, ...]:
    """The rows of the only line."""
    return aggregation(read, line_of(read), judge(line_of(read)))


def test_rows_are_the_summaries(scored: Any) -> None:
    """Best β, value and verdict of each, in words."""
    read = scored()
    line = line_of(read)
    expected = summarise(line, judged=judge(line), evaluations=evaluations(read, line))
    found = rows_of(read)

    assert [row.name for row in found] == [
        "mean of the seeds", "median", "upper half (Higgins et al., 2017)",
    ]  # fmt: skip
    assert [row.value for row in found] == [f"{one.value:.3f}" for one in expected]
    assert [row.beta for row in found] == [f"{one.beta:g}" for one in expected]
    assert [row.verdict for row in found] == [str(one.verdict) for one in expected]


def test_evaluations_are_those_of_beta_and_seed(scored: Any) -> None:
    """[C, S, E] in the order of the line; their mean is the score."""
    read = scored()
    found = evaluations(read, line_of(read))

    assert found is not None
    assert found.shape == (5, 3, EVALUATIONS)
    np.testing.assert_allclose(found.mean(axis=-1), line_of(read).values)


def test_upper_half_sees_single_evaluations(scored: Any) -> None:
    """The half is that of evaluations x seeds, so it lies higher than that of the seeds alone."""
    with_them, without = (rows_of(read)[2].value for read in (scored(), scored(without=1)))
    assert float(with_them) > float(without)


@pytest.mark.parametrize("without", [1, 15])
def test_evaluations_count_only_if_all_were_kept(scored: Any, without: int) -> None:
    """Of older trials there are none."""
    read = scored(without=without)
    assert evaluations(read, line_of(read)) is None


def test_one_seed_has_no_rows(scored: Any) -> None:
    """There is no noise to go by."""
    read = scored(seeds=(0,))
    assert rows_of(read) == ()
