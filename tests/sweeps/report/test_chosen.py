"""The configuration that is looked at, and what the page's script knows of all others."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bvae.history import columns
from sweeps.analysis.summary import summarize
from sweeps.report.charts import Learnt, kl, learning
from sweeps.report.chosen import PageData, embed, page_data, pictures_of
from sweeps.report.templates import NotYet
from sweeps.scoring.udr import SCHEMA as UDR_SCHEMA
from sweeps.scoring.untrained import Level, UntrainedBaseline, write_untrained
from tests.doubles.reported import sections_of_page
from tests.doubles.svgs import Drawn


def known(study: Any, *, embed_all: bool = False) -> PageData:
    """Return what the page's script knows of a study."""
    found = page_data(summarize(study), embed_all=embed_all)
    assert isinstance(found, PageData)
    return found


def test_file_comes_back_from_its_address(tmp_path: Path) -> None:
    """The address holds the type and the very bytes."""
    (tmp_path / "a.gif").write_bytes(b"GIF89a\x00\xff")
    address = embed(tmp_path / "a.gif")
    assert address is not None
    kind, _, data = address.partition(",")
    assert (kind, base64.b64decode(data)) == ("data:image/gif;base64", b"GIF89a\x00\xff")


def test_absent_pictures_are_left_out(tmp_path: Path) -> None:
    """A trial folder without some pictures has those it has."""
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "traversal.png").write_bytes(b"png")
    assert list(pictures_of(tmp_path)) == ["traversal"]


def test_configurations_are_in_the_order_of_their_numbers(make_study: Any) -> None:
    """The script finds a configuration by its number."""
    read = summarize(make_study())
    found = page_data(read)
    assert isinstance(found, PageData)
    assert found.configurations[0]["title"] == "β 0.25, 5 latents"
    assert [(one["beta"], one["latents"]) for one in found.configurations] == [
        (one.beta, one.latent_dim) for one in read.configurations
    ]


def test_best_model_is_shown_first(make_study: Any) -> None:
    """The best configuration by the objective, and of it the seed with the highest score."""
    read = summarize(make_study())
    found = page_data(read)
    assert isinstance(found, PageData)
    assert read.overall is not None
    assert found.number == read.overall.number
    assert found.shown["title"] == "β 4, 5 latents"
    assert found.trial["slug"] == found.slug == read.best_trial(read.overall).slug


def test_scores_are_said_with_interval_and_seeds(make_study: Any) -> None:
    """What is shown on hovering over a mark; reconstruction and active latents too."""
    said = known(make_study()).configurations[1]["words"]["mig"].split("\n")
    assert said[0] == "β 4, 5 latents"
    assert said[1].startswith("MIG 0.")
    assert said[1].endswith("; 2 seeds)")
    assert said[2].startswith("reconstruction ")
    assert said[2].endswith(" nats, 4 active latents")


def test_udr_is_said_to_be_of_two_seeds(make_study: Any) -> None:
    """A pair of seeds has one."""
    study = make_study()
    configuration = [slug for slug in study.results if slug.startswith("beta=4,latent_dim=5,")]
    scores = {slug: {"udr": 0.5} for slug in configuration}
    pairs = {"schema": UDR_SCHEMA, "cells": [{"codes": {}, "scores": scores}]}
    study.folder.udr.write_text(json.dumps(pairs))
    said = [one["words"]["udr"].split("\n")[1] for one in known(study).configurations]

    assert [text for text in said if "0.500" in text] == [
        "UDR 0.500 (–; 2 seeds, which have one UDR)"
    ]


def test_complete_trials_come_first(make_study: Any, trials_of: Any) -> None:
    """A click on a configuration shows a trial that has pictures."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0, 1))
    found = known(make_study(trials, results={trials[0].slug: None}))
    (configuration,) = found.configurations
    assert [
        (one["seed"], one["state"], one["scores"]["mig"]) for one in configuration["trials"]
    ] == [
        (1, "complete", configuration["trials"][0]["scores"]["mig"]),
        (0, "pending", "–"),
    ]


def test_untrained_baseline_is_said_on_hovering(make_study: Any) -> None:
    """Of the latent sizes and scores it is known for."""
    study = make_study()
    baseline = UntrainedBaseline(
        (("latent_dim", 5),), "locatello2019", "3x6x40x8x8", 3, {"mig": Level(0.012, 0.003)}
    )
    write_untrained(study.folder.untrained, [baseline])
    said = {one["title"]: one["words"] for one in known(study).configurations}

    assert said["β 4, 5 latents"]["mig"].endswith("\nuntrained 0.012")
    assert "untrained" not in said["β 4, 5 latents"]["beta_vae"]
    assert "untrained" not in said["β 4, 10 latents"]["mig"]


def test_pictures_of_the_best_are_embedded(make_study: Any) -> None:
    """Of each latent size one model; the others are loaded from the study's folder."""
    study = make_study(pictures=True)
    read = summarize(study)
    pictures = known(study).pictures
    assert set(pictures) == {read.best_trial(one).slug for one in read.best}
    assert all(
        list(own) == ["animation", "reconstructions", "traversal"] for own in pictures.values()
    )
    assert set(known(study, embed_all=True).pictures) == set(study.results)


def test_kl_and_active_latents_of_each_trial_are_known(make_study: Any, trials_of: Any) -> None:
    """By latent, so that the script can draw them; a trial that waits has none."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0, 1))
    study = make_study(trials, results={trials[1].slug: None})
    done, waiting = known(study).configurations[0]["trials"]
    result = study.results.get(trials[0].slug)
    assert done["kl"] == pytest.approx(result.kl_per_latent, abs=1e-4)
    assert (done["active"], waiting["kl"], waiting["active"]) == (result.active_latents, [], 0)


@pytest.mark.parametrize(
    ("recorded", "held_out"), [({}, False), ({"held_out": {"images": 64}}, True)]
)
def test_images_held_out_are_named_so(
    make_study: Any, trials_of: Any, result_of: Any, recorded: Any, *, held_out: bool
) -> None:
    """Reconstructions are of images that were not trained on where some were held out."""
    (trial,) = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    result = result_of(trial, data={"image_shape": [1, 32, 32], **recorded})
    found = known(make_study([trial], results={trial.slug: result}))
    assert found.trial["held_out"] is held_out


def test_learning_curves_go_with_each_trial(make_study: Any, trials_of: Any) -> None:
    """By column of history.csv, which has a title; steps and values are equally many."""
    (trial,) = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    study = make_study([trial])
    names = columns(latent_dim=5, scores=True)
    rows = [names, *([step, *[1234.5678] * (len(names) - 1)] for step in (10, 20))]
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (study.trial_folder(trial.slug) / "history.csv").write_text(text)
    found = known(study)
    assert found.trial["learning"]["train/loss"] == [[10, 20], [1235, 1235]]
    assert list(found.trial["learning"]) == list(found.titles)
    assert list(found.titles.values()) == [
        "Loss (nats)", "Reconstruction (nats)", "KL (nats)", "Active latents", "MIG, validation",
    ]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), [(-0.02, "2.0 %"), (0.001, "")])
def test_configuration_that_still_learns_says_so(
    make_study: Any, trials_of: Any, result_of: Any, change: float, said: str
) -> None:
    """By the median change over its seeds."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1))
    results = {
        one.slug: result_of(one, loss_change=change) for one in trials if one.values["beta"] == 1
    }
    found = known(make_study(trials, results=results))
    assert [one["falling"] for one in found.configurations] == [said, ""]


def test_charts_of_the_panel_take_the_numbers_of_any_trial(make_study: Any) -> None:
    """The script puts them in; what is drawn is what Python would draw."""
    found = known(make_study())
    rows = {"latents": [{"latent": "z1", "kl": 2.0, "active": True}]}
    logged = {"logged": [{"line": 0, "seed": 3, "step": step, "value": 5.0} for step in (1, 2)]}
    assert Drawn(found.kl | {"datasets": rows}).of("bar") == Drawn(
        kl([1.0, 2.0], n_active=1) | {"datasets": rows}
    ).of("bar")
    drawn = Drawn(found.learning | {"datasets": logged})
    expected = learning([Learnt(0, 3, step, 5.0) for step in (1, 2)], title="")
    assert drawn.of("line") == Drawn(expected).of("line")


def test_nothing_complete_is_nothing_to_look_at(make_study: Any, trials_of: Any) -> None:
    """The panel says why."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    study = make_study(trials, results={trials[0].slug: None})
    reason = page_data(summarize(study))
    assert isinstance(reason, NotYet)
    page = sections_of_page(study, "chosen")
    assert f'<p class="empty">{reason.reason}</p>' in page
    assert 'id="data"' not in page


def test_first_trial_is_shown_before_anything_is_best(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """A model without a score can be looked at all the same."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    results = {trials[0].slug: None, trials[1].slug: result_of(trials[1], scores={})}
    found = known(make_study(trials, results=results))
    assert (found.number, found.slug) == (1, trials[1].slug)


def test_pictures_stand_in_the_page_without_script(make_study: Any) -> None:
    """Those of the best model, each under what it shows; absent ones are explained."""
    page = sections_of_page(make_study(pictures=True), "chosen")
    for caption in ("Every latent moving", "Input over output", "One latent a row, by KL"):
        assert f'<figcaption>{caption}</figcaption><img src="data:image/' in page
    without = sections_of_page(make_study(folder="without"), "chosen")
    assert "Its pictures are not in the trial folder." in without
