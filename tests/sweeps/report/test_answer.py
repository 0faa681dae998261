"""Which β, and how to get its best model again."""

from typing import Any

import pytest

from sweeps.analysis.best import BetaRange
from sweeps.analysis.summary import summarize
from sweeps.report.answer import (
    best_answer,
    best_model,
    beta_range,
    gallery,
    in_words,
    line_answers,
    score_answers,
)


def test_best_model_has_the_highest_score(make_study: Any) -> None:
    """Of the best cell's seeds, the one with the highest objective; its command and weights."""
    read = summarize(make_study())
    assert read.overall is not None
    model = best_model(read, read.overall, command="bvae -m experiment=quick")
    scores = {t.seed: t.values["mig"] for t in read.trials_of(read.overall)}
    assert model.seed == max(scores, key=lambda seed: scores[seed])
    assert model.command.startswith("bvae experiment=quick beta=4 ")
    assert model.command.endswith(f"seed={model.seed} study=quick-again")
    assert model.checkpoint == f"trials/{model.slug}/checkpoints/last.ckpt"


def test_absent_weights_have_no_path(make_study: Any) -> None:
    """Without a checkpoint nothing is promised."""
    study = make_study()
    for weights in study.folder.root.glob("trials/*/checkpoints/last.ckpt"):
        weights.unlink()
    read = summarize(study)
    assert best_model(read, read.best[0], command="bvae -m").checkpoint == ""


def test_cell_in_words(make_study: Any) -> None:
    """Numbers are written for people."""
    read = summarize(make_study())
    words = in_words(read, read.best[0])
    assert (words.beta, words.latent_dim, words.beta_norm) == ("4", 5, "0.0195")
    assert words.seeds == "2 seeds"
    assert float(words.mean) == round(read.scores["mig"][read.best[0].number].mean, 3)


def test_every_latent_size_has_an_answer(make_study: Any, trials_of: Any) -> None:
    """A clear inverted U is called one; nothing is to be tried next."""
    answers = line_answers(summarize(make_study(trials_of())), score="mig", command="bvae -m")
    assert [answer.best.latent_dim for answer in answers] == [5, 10]
    assert {answer.verdict for answer in answers} == {"yes"}
    assert {answer.next_command for answer in answers} == {""}


def test_best_cell_has_the_answer_of_its_latent_size(make_study: Any, trials_of: Any) -> None:
    """By the objective, whichever score is shown first; nothing where nothing is best."""
    read = summarize(make_study(trials_of()))
    assert read.overall is not None
    found = best_answer(read, score_answers(read, scores=("beta_vae", "mig"), command="bvae -m"))
    assert found is not None
    assert found.best == in_words(read, read.overall, score="mig")

    waiting = summarize(make_study(trials_of(), results={p.slug: None for p in trials_of()}))
    assert best_answer(waiting, []) is None


def test_best_beta_at_the_border_asks_for_another(make_study: Any, trials_of: Any) -> None:
    """Where the score still rises at the largest β, the command adds a larger one."""
    trials = trials_of(betas=(0.25, 0.5, 1), latent_dims=(5,), seeds=(0, 1))
    read = summarize(make_study(trials))
    (answer,) = line_answers(read, score="mig", command="bvae -m experiment=quick")
    assert answer.next_step == (
        "the best β is at the border of the grid or next to the collapse; try β = 2 next"
    )
    expected = "bvae -m experiment=quick beta=2 latent_dim=5 seed=0,1"
    assert answer.next_command == expected


def test_range_of_the_best_beta_may_be_open(make_study: Any, trials_of: Any) -> None:
    """A range that reaches the end of the grid says so; the confidence is of those tried."""
    trials = trials_of(betas=(0.25, 0.5, 1), latent_dims=(5,), seeds=(0, 1))
    (answer,) = line_answers(summarize(make_study(trials)), score="mig", command="bvae -m")
    assert answer.beta_range.endswith("; a β above the grid may be better")


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((False, False), ""),
        ((True, False), "; a β below the grid may be better"),
        ((True, True), "; a β outside the grid may be better"),
    ],
)
def test_confidence_is_that_of_the_betas_tried(ends: tuple[bool, bool], said: str) -> None:
    """Both scales stand before it; what may lie beyond the grid stands behind."""
    found = BetaRange(1, 16, 0.01, 0.16, *ends)
    assert beta_range(found) == f"1 to 16 (β_norm 0.01 to 0.16; 95 % confidence){said}"


def test_values_of_null_and_numbers_are_axes(make_study: Any, trials_of: Any) -> None:
    """A size that is not given stands beside one that is; each has its answer, by its name."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1), resolution=(None, 32))
    (answer,) = score_answers(summarize(make_study(trials)), scores=("mig",), command="bvae -m")

    assert [line.best.facet for line in answer.lines] == ["resolution=32", "resolution=null"]


def test_single_beta_was_not_chosen(make_study: Any, trials_of: Any) -> None:
    """Where nothing else was tried, none is called best with any confidence."""
    read = summarize(make_study(trials_of(betas=(4,), latent_dims=(5,))))
    (answer,) = line_answers(read, score="mig", command="bvae -m")
    assert answer.beta_range == "–"


def test_answer_so_far_is_about_the_best_so_far(make_study: Any, trials_of: Any) -> None:
    """Of a study in progress the seeds that are there choose and judge: one story, not two."""
    trials = trials_of(latent_dims=(5,))
    late = {p.slug: None for p in trials if p.values["seed"] == 2 and p.values["beta"] > 0.25}
    read = summarize(make_study(trials, results=late))
    (answer,) = line_answers(read, score="mig", command="bvae -m")
    assert read.in_progress
    assert (answer.best.beta, answer.verdict) == ("4", "yes")
    assert answer.beta_range == "4 (β_norm 0.0195; 95 % confidence)"


def test_gallery_shows_the_best_of_each_size(make_study: Any) -> None:
    """Pictures of one model for each latent size."""
    entries = gallery(summarize(make_study(pictures=True)), command="bvae -m")
    assert [entry.best.latent_dim for entry in entries] == [5, 10]
    assert all(set(e.pictures.known) >= {"reconstructions", "traversal"} for e in entries)


def test_every_score_has_its_own_answer(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Best β, verdict and words are those of the chosen score, the first one shown."""
    trials = trials_of(latent_dims=(5,))
    falling = {
        trial.slug: result_of(trial) | {"scores": {**result_of(trial)["scores"], "sap": sap}}
        for trial in trials
        for sap in [0.5 - 0.1 * [0.25, 1, 4, 16, 64].index(float(str(trial.values["beta"])))]
    }
    read = summarize(make_study(trials, results=falling))
    mig, sap = score_answers(read, scores=("mig", "sap"), command="bvae -m")

    assert [(mig.score, mig.shown), (sap.score, sap.shown)] == [("mig", True), ("sap", False)]
    assert (mig.lines[0].best.beta, mig.lines[0].verdict) == ("4", "yes")
    assert (sap.lines[0].best.beta, sap.lines[0].best.mean) == ("0.25", "0.500")
    assert sap.lines[0].verdict in ("no", "not resolved")
    assert sap.lines[0].next_step.endswith("try β = 0.062 next")
    assert sap.label == "SAP"


def test_flags_follow_the_score(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Only readings of the chosen score are named."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    scores = {"mig": 0.5, "mig_sampled": 0.3, "beta_vae": 0.8, "beta_vae_sampled": 0.8}
    read = summarize(
        make_study(trials, results={trials[0].slug: result_of(trials[0], scores=scores)})
    )
    found = score_answers(read, scores=("mig", "beta_vae"), command="bvae -m")

    assert [len(one.flags) for one in found] == [1, 0]
