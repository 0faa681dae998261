"""A study as the report reads it."""

import math
from collections import Counter
from typing import Any

import pytest

from sweeps.analysis import curve, table
from sweeps.analysis.summary import facet_name, summarize
from sweeps.analysis.table import LOSSES
from sweeps.report.page import write_report
from sweeps.scoring.untrained import Level, UntrainedBaseline, write_untrained
from sweeps.statistics import inverted_u


def test_configurations_and_trials_carry_the_same_numbers(make_study: Any) -> None:
    """Every trial points at its configuration, every configuration at its trials."""
    read = summarize(make_study())
    assert [configuration.number for configuration in read.configurations] == list(range(6))
    for trial in read.trials:
        configuration = read.configurations[trial.configuration]
        assert f"beta={configuration.beta:g},latent_dim={configuration.latent_dim}" in trial.slug
        assert trial in read.trials_of(configuration)


def test_scores_are_those_of_the_trials(make_study: Any) -> None:
    """A configuration's mean is the mean over its trials; losses are there beside the scores."""
    read = summarize(make_study())

    assert len(read.configurations) > 1
    for name in ("mig", "beta_vae", "recon"):
        for configuration in read.configurations:
            own = [trial.values[name] for trial in read.trials_of(configuration)]
            assert read.scores[name][configuration.number].mean == pytest.approx(
                sum(own) / len(own)
            )


def test_collapsed_configurations_are_known(make_study: Any) -> None:
    """At β = 64 no latent of the synthetic study is active."""
    read = summarize(make_study())
    assert {
        configuration.beta for configuration in read.configurations if configuration.collapsed
    } == {64.0}


def test_best_has_the_highest_mean(make_study: Any) -> None:
    """One best configuration for each latent size, and the best of these."""
    read = summarize(make_study())
    assert [(configuration.latent_dim, configuration.beta) for configuration in read.best] == [
        (5, 4.0),
        (10, 4.0),
    ]
    means = {
        configuration: read.scores["mig"][configuration.number].mean for configuration in read.best
    }
    assert read.overall == max(means, key=lambda configuration: means[configuration])


def test_unfinished_study_has_a_best_so_far(make_study: Any, trials_of: Any) -> None:
    """While trainings are to come, configurations compete with the seeds they have."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1))
    read = summarize(make_study(trials, results={trials[-1].slug: None, trials[-2].slug: None}))
    assert read.in_progress
    assert read.overall is not None
    assert read.overall.beta == 4.0


def test_failed_seed_keeps_a_configuration_from_being_best(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """Once all is over, a configuration with a failed seed cannot win."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1))
    failed = next(trial for trial in trials if trial.values["beta"] == 4)
    result = result_of(failed, state="failed", scores={}, attempt=3, error="no memory\ntrace")
    read = summarize(make_study(trials, results={failed.slug: result}))
    assert read.overall is not None
    assert read.overall.beta == 0.25
    assert [t.error for t in read.trials if t.state == "failed"] == ["no memory"]


@pytest.mark.parametrize("state", ["pruned", "failed"])
def test_configuration_that_was_given_up_is_not_best_so_far(
    make_study: Any, trials_of: Any, result_of: Any, state: str
) -> None:
    """As at the end; a configuration that still waits for a seed may be."""
    trials = trials_of(betas=(0.25, 4, 16), latent_dims=(5,), seeds=(0, 1))
    by_slug = {trial.slug: trial for trial in trials}
    last = "beta=4,latent_dim=5,seed=1"
    ended = result_of(by_slug[last], state=state, attempt=3, error="no memory")
    read = summarize(make_study(trials, results={last: ended, "beta=16,latent_dim=5,seed=1": None}))
    assert read.in_progress
    assert read.overall is not None
    assert read.overall.beta == 16


def test_nothing_complete_has_no_best(make_study: Any, trials_of: Any) -> None:
    """A study that has just begun can be read."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,))
    read = summarize(make_study(trials, results={trials[0].slug: None}))
    assert read.overall is None
    assert math.isnan(read.scores["mig"][0].mean)
    assert read.score_names == ["mig"]


def test_further_axes_make_facets(make_study: Any, trials_of: Any) -> None:
    """Each value of a further axis has configurations of its own."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,), model=("mlp", "conv"))
    read = summarize(make_study(trials))
    assert read.facets == ["model=conv", "model=mlp"]
    assert len(read.best) == 2


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (math.nan, "null"), (True, "true"), ((1, 2), "[1,2]")]
)
def test_axis_values_are_written_as_typed(value: object, text: str) -> None:
    """Also those that pandas has turned into something else."""
    assert facet_name([("key", value)]) == f"key={text}"


def test_best_of_another_score(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """A ring and an answer follow the score that is looked at."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    results = {
        trial.slug: result_of(trial, scores={"mig": mig, "sap": 1 - mig})
        for trial, mig in zip(trials, (0.1, 0.3), strict=True)
    }
    read = summarize(make_study(trials, results=results))
    assert [configuration.beta for configuration in read.best_by("mig")] == [4.0]
    assert [configuration.beta for configuration in read.best_by("sap")] == [1.0]


def test_untrained_belong_to_facets(make_study: Any, trials_of: Any) -> None:
    """Each value of a further axis has its own; one of another protocol is not shown."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,), model=("mlp", "conv"))
    study = make_study(trials)
    conv, mlp = (
        UntrainedBaseline(
            (("latent_dim", 5), ("model", model)), protocol, "-", 3, {"mig": Level(0.01, 0.0)}
        )
        for model, protocol in (("conv", "locatello2019"), ("mlp", "kim2018"))
    )
    read = summarize(study)
    write_untrained(study.folder.untrained, [conv, mlp])  # as a sweep's end does, after its summary
    assert read.untrained == {("model=conv", 5): conv}


@pytest.mark.slow
def test_a_page_computes_every_line_once(
    make_study: Any, trials_of: Any, result_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row a trial, one line a score, one fit of its noise, however often they are read.

    12 trials with 18 scores: six, and their sampled and active representations.
    """
    names = ("mig", "sap", "beta_vae", "factor_vae", "modularity", "explicitness")
    scores = [name + end for name in names for end in ("", "_sampled", "_active")]
    trials = trials_of(betas=(1, 4, 16), latent_dims=(5, 10), seeds=(0, 1))
    results = {
        trial.slug: result_of(
            trial, scores={name: 0.1 * i % 0.7 + 0.01 * k for i, name in enumerate(scores)}
        )
        for k, trial in enumerate(trials)
    }
    study = make_study(trials, results=results)
    calls: Counter[str] = Counter()
    for module, name in (
        (table, "_row"),
        (curve, "_line"),
        (curve, "intervals"),
        (curve, "residual_noise"),
        (inverted_u, "residual_noise"),
    ):
        counted(module, name, calls, monkeypatch)

    write_report(summarize(study))

    n_lines = 2 * (len(scores) + len(LOSSES))
    assert len(trials) == calls["_row"]
    assert n_lines == calls["_line"]
    assert n_lines == calls["intervals"]
    assert 2 * len(scores) == calls["residual_noise"]


def counted(module: Any, name: str, calls: Counter[str], patch: pytest.MonkeyPatch) -> None:
    """Count the calls of a function of a module."""
    plain = getattr(module, name)

    def counting(*args: Any, **keywords: Any) -> Any:
        calls[name] += 1
        return plain(*args, **keywords)

    patch.setattr(module, name, counting)
