import csv
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import TrialState

from bvae.callbacks import VALIDATION_SCORE
from sweeps import load_study
from sweeps.analysis.summary import summarize
from sweeps.commands import optuna_copy
from sweeps.commands.optuna_copy import distributions, rebuild
from sweeps.study.study import Study
from sweeps.study.trials import Trial, grid
from tests.doubles.studies import (
    make_search,
    make_study,
    make_study_of_every_state,
    write_result,
)

DOCS = Path(__file__).resolve().parents[3] / "docs"
EVALUATORS = {
    "PED-ANOVA": PedAnovaImportanceEvaluator(),
    "fANOVA": FanovaImportanceEvaluator(seed=0),
}
RIGHT = {
    "quick": (FloatDistribution(0.25, 64, log=True), IntDistribution(5, 10, log=True)),
    "reference": (FloatDistribution(1, 128, log=True), IntDistribution(5, 40, log=True)),
}
"""Ranges of β and latent size, as whoever makes the Optuna study by hand would write them."""


def copied(study: Study) -> optuna.Study:
    """Return the copy of a study."""
    order = [("copied", trial.slug) for trial in study.trials]
    storage = rebuild({"copied": summarize(study)}, order=order, artifacts=lambda *_: {})
    return optuna.load_study(study_name="copied", storage=storage)


def published(name: str) -> list[Mapping[str, str]]:
    """Return the trials of a study of docs/."""
    with (DOCS / name / "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def made_by_hand(name: str) -> optuna.Study:
    """Return an Optuna study of published trials with the right ranges."""
    beta, latent_dim = RIGHT[name]
    study = optuna.create_study(direction="maximize")
    for row in published(name):
        params = {"beta": float(row["beta"]), "latent_dim": int(row["latent_dim"])}
        trial = optuna.create_trial(
            value=float(row["mig"]),
            params=params,
            distributions={"beta": beta, "latent_dim": latent_dim},
        )
        study.add_trial(trial)
    return study


def on_disk(name: str, root: Path) -> Study:
    """Return a study with results as published."""
    rows = published(name)
    listed = [
        Trial.of({key: float(row[key]) for key in ("beta", "latent_dim", "seed")}) for row in rows
    ]
    study = make_study(root, listed)
    for trial, row in zip(listed, rows, strict=True):
        active = int(row["active_latents"])
        write_result(study, trial, scores={"mig": float(row["mig"])}, active_latents=active)
    return load_study(root)


class TestImportances:
    @pytest.mark.parametrize("name", RIGHT)
    @pytest.mark.parametrize("evaluator", EVALUATORS.values(), ids=EVALUATORS)
    def test_as_with_the_right_ranges(self, name: str, evaluator: Any, tmp_path: Path) -> None:
        """Optuna says of the copy what it says of a study made by hand."""
        expected, found = (
            optuna.importance.get_param_importances(study, evaluator=evaluator)
            for study in (made_by_hand(name), copied(on_disk(name, tmp_path / name)))
        )

        assert pytest.approx(expected) == found

    def test_beta_decides(self, tmp_path: Path) -> None:
        """With the queue's ranges it was about as important as the latent size."""
        found = optuna.importance.get_param_importances(copied(on_disk("quick", tmp_path / "a")))

        assert {"beta", "latent_dim"} == set(found)
        assert 0.99 < found["beta"]


def test_optuna_drops_no_parameter(tmp_path: Path) -> None:
    """Whatever has become of a trial, its parameters have the distributions of all."""
    study = make_study_of_every_state(tmp_path / "tested")
    expected = distributions(study)

    assert expected == IntersectionSearchSpace(include_pruned=True).calculate(copied(study))
    assert all(expected == trial.distributions for trial in copied(study).trials)


def of_axis(values: list[object], tmp_path: Path) -> BaseDistribution:
    """Return the distribution of an axis with these values."""
    listed = grid({"beta": [1], "latent_dim": [5], "seed": [0], "an.axis": values})[0]
    study = make_study(tmp_path / "tested", listed, axes=["an.axis"])
    assert len(values) == len(copied(study).trials)
    return distributions(study)["an.axis"]


class TestDistributions:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([500, 1000, 2000], IntDistribution(500, 2000)),
            ([1, 10], IntDistribution(1, 10, log=True)),
            ([1e-4, 3e-4, 1e-3], FloatDistribution(1e-4, 1e-3, log=True)),
            ([0.0, 0.5], FloatDistribution(0, 0.5)),
            ([0, 1, 64], IntDistribution(0, 64)),
            (["mlp", "conv"], CategoricalDistribution(["mlp", "conv"])),
            ([True, False], CategoricalDistribution([True, False])),
            ([None, 8], CategoricalDistribution([None, 8])),
            ([[1, 2], [2, 4]], CategoricalDistribution(["[1,2]", "[2,4]"])),
        ],
    )
    def test_of_a_further_axis(
        self, values: list[object], expected: BaseDistribution, tmp_path: Path
    ) -> None:
        """Numbers have a range, logarithmic if it is wide; all else are choices."""
        assert expected == of_axis(values, tmp_path)

    def test_of_a_search(self, tmp_path: Path) -> None:
        """As wide as what is searched, however little of it was tried yet."""
        expected = {
            "beta": FloatDistribution(1, 64, log=True),
            "latent_dim": IntDistribution(5, 20, log=True),
        }

        assert expected == distributions(make_search(tmp_path / "tested"))


class TestTrials:
    def test_every_state(self, tmp_path: Path) -> None:
        """One trial each, with the score of those that are complete."""
        found = copied(make_study_of_every_state(tmp_path / "tested")).trials

        states = [TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED]
        assert [*states, *[TrialState.WAITING] * 3] == [trial.state for trial in found]
        assert [0.5, None, None] == [trial.value for trial in found[:3]]
        assert "ValueError: no" == found[1].user_attrs["error"]
        assert timedelta(seconds=2) == found[0].duration

    def test_attributes(self, tmp_path: Path) -> None:
        """Seed, other scores, losses and active latents, as trials.csv has them."""
        study = make_study_of_every_state(tmp_path / "tested")
        found = copied(study).trials[0].user_attrs

        expected = {"seed": 0, "beta_vae": 0.9, "recon": 40.0, "active_latents": 1}
        assert expected | {"slug": study.trials[0].slug} == {
            key: found[key] for key in (*expected, "slug")
        }
        assert not {"mig", "beta", "kl"} & set(found), "said already, or not known"

    def test_validation_scores(self, tmp_path: Path) -> None:
        """What was scored in training, by step; a step without a score is none."""
        study = make_study(tmp_path / "tested")
        history = study.folder.trial(study.trials[0].slug).history
        history.parent.mkdir(parents=True)
        history.write_text("step,val/loss,scores/mig\n50,9,\n100,8,0.125\n200,7,0.25\n")

        assert {100: 0.125, 200: 0.25} == copied(study).trials[0].intermediate_values
        assert VALIDATION_SCORE == optuna_copy.SCORE

    def test_complete_without_the_objective(self, tmp_path: Path) -> None:
        """It is the worst, and importances leave it out."""
        study = make_study(tmp_path / "tested")
        write_result(study, study.trials[0], scores={"sap": 0.5})

        assert -math.inf == copied(load_study(study.folder.root)).trials[0].value

    def test_udr_is_the_value(self, tmp_path: Path) -> None:
        """Where it is the objective, as a configuration's seeds share it."""
        study = make_study(tmp_path / "tested", objective="udr")
        for trial in study.trials:
            write_result(study, trial, scores={})
        slugs = [trial.slug for trial in study.trials if trial.values["beta"] == 4]
        scores = {slug: {"udr": 0.75} for slug in slugs}
        study.folder.udr.write_text(
            f'{{"schema": 1, "cells": [{{"codes": {{}}, "scores": {scores}}}]}}'.replace("'", '"')
        )
        found = copied(load_study(study.folder.root)).trials

        assert {0.75} == {trial.value for trial in found if trial.user_attrs["slug"] in slugs}
        assert ["UDR"] == copied(study).metric_names


class TestStudy:
    def test_what_it_says(self, tmp_path: Path) -> None:
        """The best configuration over its seeds, the verdict, what it is of and how it was made."""
        study = on_disk("quick", tmp_path / "tested")
        found = copied(study).user_attrs

        assert found["best"].startswith("beta=16 latent_dim=5  mig 0.252")
        assert found["curve"].startswith("not resolved")
        assert ("dsprites32", "mlp", "fast") == tuple(
            found[key] for key in ("data", "model", "protocol")
        )
        assert (24, 24) == (found["trials expected"], found["trials complete"])
        assert study.manifest.code_version == found["code version"]

    def test_until_all_have_ended(self, tmp_path: Path) -> None:
        """The best is the best so far."""
        study = make_study(tmp_path / "tested")
        assert not [key for key in copied(study).user_attrs if key.startswith("best")]
        write_result(study, study.trials[0])

        assert "best so far" in copied(load_study(study.folder.root)).user_attrs

    def test_the_metric_has_its_name(self, tmp_path: Path) -> None:
        """That of the objective, which is maximised."""
        study = make_study(tmp_path / "tested")
        longer = replace(study.manifest, objective="beta_vae")
        longer.write(study.folder.manifest)
        found = copied(load_study(study.folder.root))

        assert ["Higgins (β-VAE) score"] == found.metric_names
        assert optuna.study.StudyDirection.MAXIMIZE is found.direction
