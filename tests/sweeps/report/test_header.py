"""How far a study is, in the head of its page, and what it was made with, at the foot."""

import re
from typing import Any

import pytest

from sweeps.analysis.summary import summarize
from sweeps.report.header import header
from sweeps.study.manifest import SearchSettings
from tests.doubles.reported import sections_of_page


def facts(study: Any) -> dict[str, str]:
    """Return the facts of a study by name, as the foot of the page has them."""
    page = sections_of_page(study, "about")
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    return {name: re.sub(r"<.*?>", "", value) for name, value in found}


def state(study: Any) -> str:
    """Return what the head of the page says of a study."""
    page = sections_of_page(study, "state")
    head = page[page.index("<header>") : page.index("</header>")]
    return " ".join(re.sub(r"<.*?>", " ", head).split())


def test_states_are_counted(make_study: Any, trials_of: Any) -> None:
    """What trials are in, and what is missing."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1))
    head = header(summarize(make_study(trials, results={trials[0].slug: None})))
    assert {state: head.counts[state] for state in head.states} == {"complete": 3, "pending": 1}
    assert head.missing == ["pending"]


def test_finished_study_has_nothing_missing(make_study: Any) -> None:
    """No word about an unfinished study where there is none."""
    assert header(summarize(make_study())).missing == []


@pytest.mark.parametrize(
    ("seeds", "said"), [((0, 1), "2 trials, all complete"), ((0,), "1 trial, complete")]
)
def test_finished_study_takes_one_line(
    make_study: Any, trials_of: Any, seeds: Any, said: str
) -> None:
    """Its name, its data and model, and how many trials it has."""
    study = make_study(trials_of(betas=(4,), latent_dims=(5,), seeds=seeds))
    assert state(study) == f"quick dsprites32 · mlp · {said}"


def test_unfinished_study_says_what_to_do(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """How many trials are in each state, and that the same command trains the missing ones."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1))
    failed = result_of(trials[1], state="failed", scores={}, attempt=3)
    said = state(make_study(trials, results={trials[0].slug: None, trials[1].slug: failed}))
    assert "2 complete 1 failed 1 pending of 4 trials" in said
    assert "Unfinished. 2 of 4 trials are complete." in said
    assert "Type the study’s command again" in said


def test_study_whose_trials_failed_changes_no_more(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """Nothing is to come: the page does not promise it."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    failed = result_of(trials[1], state="failed", scores={}, attempt=3)
    study = make_study(trials, results={trials[1].slug: failed})
    assert state(study).endswith("Unfinished. 1 of 2 trials are complete.")
    assert 'id="top">' in sections_of_page(study, "state")  # it does not load itself again


def test_facts_say_what_it_was_made_with(make_study: Any) -> None:
    """Data, model, objective, versions and command are there."""
    found = facts(make_study())
    assert found["data"] == "dsprites32, scored on 3x6x40x8x8"
    assert found["objective"] == "MIG, protocol locatello2019"
    assert found["made with"] == "bvae-sweeps 0.1.0, torch 2.13.0"
    assert found["command"] == "bvae -m experiment=quick"
    assert found["seeds a configuration"] == "2"


@pytest.mark.parametrize(
    ("written", "shown"),
    [("2026-11-24T06:00:00+02:00", "2026-11-24 04:00 UTC"), ("some day", "some day")],
)
def test_start_is_written_for_people(make_study: Any, written: str, shown: str) -> None:
    """In UTC; what cannot be read stays as it is."""
    assert facts(make_study(created_at=written))["started"] == shown


def test_seeds_of_an_unfinished_study(make_study: Any, trials_of: Any) -> None:
    """How many seeds the configurations have, of how many they will."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1))
    found = facts(make_study(trials, results={trials[0].slug: None}))
    assert found["seeds a configuration"] == "1 to 2 of 2"


def test_a_search_is_named(make_study: Any) -> None:
    """How many trials, how many seeds, and which sampler."""
    assert "search" not in facts(make_study())
    search = SearchSettings({}, [0, 1, 2], {"_target_": "optuna.samplers.GPSampler"}, n_trials=16)
    found = facts(make_study(search=search))["search"]
    assert found == "16 trials, 3 seeds for the incumbent, GPSampler"


def test_scores_of_a_table_are_explained(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """How they were drawn and why some are missing, once each; nothing where all is well."""
    first, second = trials_of(betas=(1,), latent_dims=(5,), seeds=(0, 1))
    rare = {"explicitness": "too rare", "explicitness_active": "too rare"}
    scorings = (
        {"draws": "from the rows", "missing": {"factor light": "it has a single class"}},
        {"draws": "from the rows", "missing": {"factor light": "it has a single class", **rare}},
    )
    results = {
        trial.slug: result_of(trial, scoring=scoring)
        for trial, scoring in zip((first, second), scorings, strict=True)
    }
    study = make_study([first, second], results=results)
    assert facts(study)["scores"] == (
        "from the rows; no factor light: it has a single class; no explicitness: too rare"
    )
    assert "scores" not in facts(make_study())


def test_swept_model_is_not_named(make_study: Any, trials_of: Any) -> None:
    """With two models, the base configuration's would mislead."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,), model=("mlp", "conv"))
    study = make_study(trials)
    assert facts(study)["model"] == "swept"
    assert "dsprites32 · model swept ·" in state(study)


def test_work_and_elapsed_time_are_told_apart(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """Two trials of 10 min side by side, one of 5 min the next day: 25 min of work, not a day.

    An attempt that never ran, and one whose start cannot be read, do not count.
    """
    trials = trials_of(betas=(1, 2, 4, 8, 16), latent_dims=(5,), seeds=(0,))
    begun = [
        ("2026-11-24T10:00:00+00:00", 600.0),
        ("2026-11-24T11:02:00+01:00", 600.0),
        ("2026-11-25T10:00:00+00:00", 300.0),
        ("2026-11-27T10:00:00+00:00", 0.0),
        ("some day", 0.1),
    ]
    results = {
        trial.slug: result_of(trial, started_at=started, wall_time_s=seconds)
        for trial, (started, seconds) in zip(trials, begun, strict=True)
    }
    found = facts(make_study(trials, results=results))
    assert found["training time"].startswith("25 min 0 s of work, ")
    assert found["elapsed"] == "24 h 5 min from first to last, breaks included"


def test_no_trial_yet(make_study: Any, trials_of: Any) -> None:
    """A study that has just begun has taken no time."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,))
    found = facts(make_study(trials, results={trials[0].slug: None}))
    assert found["training time"] == "none yet"
    assert "elapsed" not in found
