"""Which charts there are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bvae.exceptions import ConfigError
from sweeps.analysis.summary import summarize
from sweeps.report.drawings import (
    Choice,
    curve_line,
    curves,
    draw_curve,
    heat_maps,
    pareto_front,
    tradeoffs,
)


def shown(choices: Sequence[Choice]) -> list[tuple[str, str]]:
    """Return the scores and axes that are shown at first."""
    return [(choice.score, choice.x) for choice in choices if choice.shown]


def test_objective_over_beta_is_shown_first(make_study: Any) -> None:
    """Every score over both axes can be chosen; the objective over β is there at once."""
    choices = curves(summarize(make_study(objective="beta_vae")))
    assert len(choices) == 4
    assert shown(choices) == [("beta_vae", "beta")]
    assert [drawing.shape for drawing in choices[0].drawings] == ["wide", "narrow"]


def test_scores_of_other_codes_are_drawn_small(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """Few choose them, and there are many."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    results = {
        trial.slug: result_of(trial, scores={"mig": 0.2, "mig_sampled": 0.1}) for trial in trials
    }
    choices = curves(summarize(make_study(trials, results=results)))
    assert [drawing.shape for drawing in choices[-1].drawings] == ["half"]


def test_facets_stand_side_by_side(make_study: Any, trials_of: Any) -> None:
    """A chart for each value of a further axis, small enough to compare."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,), model=("mlp", "conv"))
    choice = curves(summarize(make_study(trials)))[0]
    assert [(d.facet, d.shape) for d in choice.drawings] == [
        ("model=conv", "half"),
        ("model=mlp", "half"),
    ]


def test_reconstruction_stands_beside_every_score(make_study: Any) -> None:
    """The heat map of the reconstruction goes with any chosen score."""
    choices = heat_maps(summarize(make_study()))
    assert shown(choices) == [("mig", ""), ("", "")]
    assert "Reconstruction" in choices[-1].drawings[0].svg


def test_tradeoffs_follow_the_score(make_study: Any) -> None:
    """One for each score."""
    choices = tradeoffs(summarize(make_study()))
    assert [choice.score for choice in choices] == ["mig", "beta_vae"]
    assert shown(choices) == [("mig", "")]


def test_unknown_objective_gives_way_to_a_known_score(make_study: Any) -> None:
    """Where the objective could not be computed, another score is shown."""
    assert shown(curves(summarize(make_study(objective="sap")))) == [("beta_vae", "beta")]


def test_single_configuration_has_one_chart(make_study: Any, trials_of: Any) -> None:
    """A run is not drawn twenty times."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    assert {choice.score for choice in curves(summarize(make_study(trials)))} == {"mig"}


def test_only_complete_trainings_are_dots(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """A pruned training has a score, of a model that was not finished."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0, 1))
    pruned = result_of(trials[1], state="pruned")
    read = summarize(make_study(trials, results={trials[1].slug: pruned}))
    line = curve_line(read, read.configurations, label="5", score="mig", x="beta")
    assert line.seeds == [(4.0, read.trials[0].values["mig"])]
    assert line.marks[0].y == read.trials[0].values["mig"]


def test_ids_of_charts_differ(make_study: Any) -> None:
    """No two charts of a page share an id."""
    read = summarize(make_study())
    choices = [*curves(read), *heat_maps(read), *tradeoffs(read)]
    names = [
        drawing.svg.partition(' id="')[2].partition("-")[0]
        for choice in choices
        for drawing in choice.drawings
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "title"),
    [("curve", "SAP"), ("heat_map", "SAP"), ("tradeoff", "SAP against reconstruction")],
)
def test_notebook_gets_each_chart(
    make_study: Any, trials_of: Any, result_of: Any, name: str, title: str
) -> None:
    """Of the chosen score; with further axes, the facet of the best configuration."""
    trials = trials_of(betas=(1, 4), latent_dims=(5, 10), seeds=(0, 1), model=("mlp", "conv"))
    results = {
        trial.slug: result_of(trial, scores={"mig": (trial.values["model"] == "mlp") / 2, "sap": 0})
        for trial in trials
    }
    found = make_study(trials, results=results).figure(name, score="sap")
    marks = found.axes[0].collections
    assert found.axes[0].get_title(loc="left") == title
    # configurations 0 to 3 are of conv, 4 to 7 of mlp
    assert "-".join(mark.get_gid().removeprefix("marks-") for mark in marks) == "4-5-6-7"


@pytest.mark.parametrize(
    ("name", "score", "message"),
    [
        ("pie", None, "pie: no such chart; expected one of curve, heat_map, tradeoff"),
        ("curve", "sap", "sap: no result has it; expected one of mig, beta_vae, recon"),
    ],
)
def test_unknown_chart_or_score_is_refused(
    make_study: Any, name: str, score: str | None, message: str
) -> None:
    """What there is is named."""
    with pytest.raises(ConfigError, match=message):
        make_study().figure(name, score=score)


@pytest.mark.parametrize("score", [None, "beta_vae"])
def test_curve_is_written_as_a_picture(make_study: Any, tmp_path: Path, score: str | None) -> None:
    """The chart of the README, into a folder that is made for it."""
    path = draw_curve(summarize(make_study()), tmp_path / "docs" / "curve.png", score=score)
    with Image.open(path) as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(
    ("marks", "front"),
    [
        ([(0, 10, 0.1), (1, 20, 0.3), (2, 30, 0.2), (3, 40, 0.4)], [0, 1, 3]),
        ([(0, 10, 0.1), (1, 10, 0.2)], [1]),
        ([(0, 20, 0.2), (1, 10, 0.2)], [1]),
        ([], []),
    ],
)
def test_front_holds_what_nothing_beats(
    marks: list[tuple[int, float, float]], front: list[int]
) -> None:
    """A trial stays if no other is at least as cheap and as good, and better in one."""
    assert pareto_front(marks) == front
