"""Which charts there are, and which configurations go where on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bvae.exceptions import ConfigError
from sweeps.analysis.summary import summarize
from sweeps.report.drawings import (
    Drawing,
    curve_line,
    curves,
    draw_curve,
    draw_heat_map,
    drawing,
    figure,
    heat_maps,
    tradeoffs,
    words,
)
from sweeps.report.templates import NotYet
from sweeps.report.vega import Spec
from tests.doubles.svgs import Drawn


def drawn(found: Sequence[Drawing] | NotYet | None) -> Sequence[Drawing]:
    """Return drawings that are there."""
    assert found is not None
    assert not isinstance(found, NotYet)
    return found


def whole(one: Drawing, x: str, score: str) -> Any:
    """Return a chart as the page's script puts it together."""
    return {**one.specs[x], **one.by_score[score]}


def numbers(one: Drawing, score: str, data: str = "means") -> list[int]:
    """Return the configurations on a chart."""
    return [row["number"] for row in one.by_score[score]["datasets"][data]]


def test_objective_over_beta_is_shown_first(make_study: Any) -> None:
    """Every score over both axes can be chosen; the objective over β is there at once."""
    (one,) = drawn(curves(summarize(make_study(objective="beta_vae"))))
    assert list(one.by_score) == ["beta_vae", "mig"]
    assert list(one.specs) == ["beta", "beta_norm"]
    svg = one.svg(400)
    assert ">Higgins (β-VAE) score<" in svg
    assert ">β (log scale)<" in svg


def test_scores_of_other_codes_can_be_chosen(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """After the others."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    results = {
        trial.slug: result_of(trial, scores={"mig_sampled": 0.1, "mig": 0.2}) for trial in trials
    }
    (one,) = drawn(curves(summarize(make_study(trials, results=results))))
    assert list(one.by_score) == ["mig", "mig_sampled"]


def test_facets_stand_side_by_side(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """A chart for each value of a further axis, with the same vertical axis."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,), model=("mlp", "conv"))
    results = {
        one.slug: result_of(one, scores={"mig": 0.9 if one.values["model"] == "mlp" else 0.1})
        for one in trials
    }
    read = summarize(make_study(trials, results=results))
    for found in (curves(read), tradeoffs(read)):
        assert [one.facet for one in drawn(found)] == ["model=conv", "model=mlp"]
    conv, mlp = drawn(curves(read))
    assert conv.by_score["mig"]["params"] == mlp.by_score["mig"]["params"]
    assert [numbers(one, "mig") for one in (conv, mlp)] == [[0, 1], [2, 3]]
    maps = drawn(heat_maps(read))
    assert [one.facet for one in maps] == ["model=conv"] * 2 + ["model=mlp"] * 2
    assert maps[0].by_score["mig"]["params"] == maps[2].by_score["mig"]["params"]


def test_reconstruction_stands_beside_every_score(make_study: Any) -> None:
    """The heat map of the reconstruction goes with any chosen score; low is bright."""
    by_score, recon = drawn(heat_maps(summarize(make_study())))
    assert list(by_score.by_score) == ["mig", "beta_vae"]
    assert list(recon.by_score) == ["recon"]
    assert "Reconstruction" in recon.svg(400)
    colour = recon.specs[""]["layer"][0]["encoding"]["color"]
    assert colour["scale"]["reverse"] is True


def test_tradeoffs_follow_the_score(make_study: Any) -> None:
    """One for each score, of all configurations."""
    (one,) = drawn(tradeoffs(summarize(make_study())))
    assert list(one.by_score) == ["mig", "beta_vae"]
    assert numbers(one, "mig") == list(range(6))
    assert one.by_score["mig"]["title"] == "MIG against reconstruction"


def test_unknown_objective_gives_way_to_a_known_score(make_study: Any) -> None:
    """Where the objective could not be computed, another score is shown."""
    (one,) = drawn(curves(summarize(make_study(objective="sap"))))
    assert next(iter(one.by_score)) == "beta_vae"


def test_single_configuration_has_one_chart(make_study: Any, trials_of: Any) -> None:
    """A run is not drawn twenty times, and has neither a map nor a trade-off."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    read = summarize(make_study(trials))
    (one,) = drawn(curves(read))
    assert list(one.by_score) == ["mig"]
    assert (heat_maps(read), tradeoffs(read)) == (None, None)


def test_nothing_complete_has_no_chart(make_study: Any, trials_of: Any) -> None:
    """The place of the curve says why; nothing is said of the others."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    read = summarize(make_study(trials, results={trial.slug: None for trial in trials}))
    assert curves(read) == NotYet("No trial is complete yet, so there is no curve to draw.")
    assert (heat_maps(read), tradeoffs(read)) == (None, None)


def test_only_complete_trials_are_dots(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """A pruned trial has a score, of a model that was not finished."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0, 1))
    pruned = result_of(trials[1], state="pruned")
    read = summarize(make_study(trials, results={trials[1].slug: pruned}))
    line = curve_line(read, read.configurations, label="5", score="mig")
    (dot,) = line.seeds
    assert dot == (4.0, read.configurations[0].beta_norm, read.trials[0].values["mig"])
    assert line.marks[0].y == read.trials[0].values["mig"]


def test_best_of_each_size_is_ringed_and_the_collapsed_hollow(make_study: Any) -> None:
    """By the score that is drawn."""
    (one,) = drawn(curves(summarize(make_study())))
    means = one.by_score["mig"]["datasets"]["means"]
    assert [(row["beta"], row["line"]) for row in means if row.get("ringed")] == [(4, 0), (4, 1)]
    assert [(row["beta"], row["line"]) for row in means if row.get("hollow")] == [(64, 0), (64, 1)]


@pytest.mark.parametrize("x", ["beta", "beta_norm"])
@pytest.mark.parametrize("score", ["mig", "sap", "beta_vae"])
def test_charts_of_all_scores_and_axes_come_back(
    make_study: Any, trials_of: Any, result_of: Any, x: str, score: str
) -> None:
    """What they share is kept once; latent sizes have their colours also where one has no score."""
    trials = trials_of(betas=(1, 4), latent_dims=(5, 10), seeds=(0,))
    scores = {"mig": 0.3, "beta_vae": 0.8}
    more = {5: {}, 10: {"sap": 0.1}}
    results = {
        one.slug: result_of(one, scores=scores | more[int(str(one.values["latent_dim"]))])
        for one in trials
    }
    read = summarize(make_study(trials, results=results))
    (one,) = drawn(curves(read))
    marks = Drawn(whole(one, x, score)).of("point", "means", name="marks")
    colours = [mark.style["stroke"] for mark in marks]
    assert colours == ["var(--line-0)"] * (0 if score == "sap" else 2) + ["var(--line-1)"] * 2
    (alone,) = drawn(curves(summarize(make_study(trials, results=results, objective=score))))
    assert whole(one, x, score) == whole(alone, x, score)


def test_drawing_keeps_what_is_shared_once() -> None:
    """By axis all but title, parameters and data, which are kept by score."""

    def spec(score: str, x: str) -> Spec:
        return {"title": score, "datasets": {"means": [score]}, "height": 1, "layer": [x]}

    scores, axes = ("mig", "sap"), ("beta", "beta_norm")
    by_score = {score: spec(score, "beta") for score in scores}
    found = drawing("model=mlp", by_score, {x: spec("mig", x) for x in axes})
    assert found.facet == "model=mlp"
    assert all(not {"title", "datasets"} & set(one) for one in found.specs.values())
    assert all(whole(found, x, score) == spec(score, x) for x in axes for score in scores)


def test_what_a_mark_says_follows_the_score(make_study: Any) -> None:
    """Name, score with interval and seeds, reconstruction; a map of the latter says it once."""
    read = summarize(make_study())
    (best,) = [one for one in read.best if one.latent_dim == 5]
    mig, recon = words(read, best, "mig").split("\n"), words(read, best, "recon").split("\n")
    assert (mig[0], mig[1][:6]) == ("β 4, 5 latents", "MIG 0.")
    assert recon == [mig[0], mig[2]]


@pytest.mark.parametrize(
    ("name", "title", "data"),
    [
        ("curve", "SAP", "means"),
        ("heat_map", "SAP", "fields"),
        ("tradeoff", "SAP against reconstruction", "means"),
    ],
)
def test_notebook_gets_each_chart(
    make_study: Any, trials_of: Any, result_of: Any, name: str, title: str, data: str
) -> None:
    """Of the chosen score; with further axes, the facet of the best configuration."""
    trials = trials_of(betas=(1, 4), latent_dims=(5, 10), seeds=(0, 1), model=("mlp", "conv"))
    results = {
        trial.slug: result_of(trial, scores={"mig": (trial.values["model"] == "mlp") / 2, "sap": 0})
        for trial in trials
    }
    found = make_study(trials, results=results).figure(name, score="sap")
    # configurations 0 to 3 are of conv, 4 to 7 of mlp
    assert [row["number"] for row in found.spec["datasets"][data]] == [4, 5, 6, 7]
    assert {title, "model=mlp"} <= set(Drawn(found.spec).texts)


def test_picture_of_the_curve_says_what_its_marks_are(make_study: Any) -> None:
    """It is read alone, in a README or a paper."""
    text = " ".join(Drawn(figure(summarize(make_study()), "curve").spec).texts)
    for part in ("means over seeds", "95 % intervals", "dots: seeds", "ring: the best"):
        assert part in text


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


def test_heat_map_is_written_as_a_picture(make_study: Any, tmp_path: Path) -> None:
    """By the path's suffix, here one that can be read."""
    path = draw_heat_map(summarize(make_study()), tmp_path / "heat-map.svg")
    assert ">MIG<" in path.read_text(encoding="utf-8")
