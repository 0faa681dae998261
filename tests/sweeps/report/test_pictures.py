"""Pictures as text, and what the page's script knows."""

import base64
import json
from pathlib import Path
from typing import Any

from sweeps.analysis.summary import summarize
from sweeps.report.pictures import embed, pictures_of, viewer_data
from sweeps.scoring.udr import SCHEMA as UDR_SCHEMA
from sweeps.scoring.untrained import Level, UntrainedBaseline, write_untrained


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
    titles = [one["title"] for one in viewer_data(read).configurations]
    assert titles[0] == "β 0.25, 5 latents"
    assert len(titles) == len(read.configurations)


def test_scores_are_said_with_interval_and_seeds(make_study: Any) -> None:
    """What is shown on hovering over a mark."""
    said = viewer_data(summarize(make_study())).configurations[1]["scores"]["mig"]
    assert said.startswith("MIG 0.")
    assert said.endswith("; 2 seeds)")


def test_udr_is_said_to_be_of_two_seeds(make_study: Any) -> None:
    """A pair of seeds has one."""
    study = make_study()
    configuration = [slug for slug in study.results if slug.startswith("beta=4,latent_dim=5,")]
    scores = {slug: {"udr": 0.5} for slug in configuration}
    known = {"schema": UDR_SCHEMA, "cells": [{"codes": {}, "scores": scores}]}
    study.folder.udr.write_text(json.dumps(known))
    said = [one["scores"]["udr"] for one in viewer_data(summarize(study)).configurations]

    assert [text for text in said if "0.500" in text] == [
        "UDR 0.500 (–; 2 seeds, which have one UDR)"
    ]


def test_complete_trials_come_first(make_study: Any, trials_of: Any) -> None:
    """A click on a configuration opens a trial that has pictures."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0, 1))
    (configuration,) = viewer_data(
        summarize(make_study(trials, results={trials[0].slug: None}))
    ).configurations
    assert [(t["seed"], t["state"]) for t in configuration["trials"]] == [
        (1, "complete"),
        (0, "pending"),
    ]


def test_untrained_baseline_is_said_on_hovering(make_study: Any) -> None:
    """Of the latent sizes and scores it is known for."""
    study = make_study()
    baseline = UntrainedBaseline(
        (("latent_dim", 5),), "locatello2019", "3x6x40x8x8", 3, {"mig": Level(0.012, 0.003)}
    )
    write_untrained(study.folder.untrained, [baseline])
    said = {one["title"]: one["scores"] for one in viewer_data(summarize(study)).configurations}

    assert said["β 4, 5 latents"]["mig"].endswith("\nuntrained 0.012")
    assert "untrained" not in said["β 4, 5 latents"]["beta_vae"]
    assert "untrained" not in said["β 4, 10 latents"]["mig"]
