"""Which β, and how to get its best model again."""

from collections.abc import Sequence
from typing import Any

import pytest

from sweeps.analysis.summary import summarize
from sweeps.report.answer import (
    BestAnswer,
    ScoreAnswer,
    all_scores,
    best_answer,
    best_model,
    headline,
    line_answers,
    score_answers,
)
from sweeps.report.templates import NotYet
from sweeps.scoring.untrained import Level, UntrainedBaseline, write_untrained
from tests.doubles.reported import sections_of_page


def answers_of(read: Any, *, scores: Sequence[str]) -> list[ScoreAnswer]:
    """Return the answers by some scores that trials have."""
    found = score_answers(read, scores=scores)
    assert found is not None
    return found


def test_best_model_has_the_highest_score(make_study: Any) -> None:
    """Of the best configuration, the seed with the highest objective; its command and weights."""
    read = summarize(make_study())
    assert read.overall is not None
    model = best_model(read, read.overall)
    scores = {t.seed: t.values["mig"] for t in read.trials_of(read.overall)}
    assert model.seed == max(scores, key=lambda seed: scores[seed])
    assert model.command.startswith("bvae experiment=quick beta=4 ")
    assert f" seed={model.seed} study=quick-again " in model.command
    assert model.checkpoint == f"trials/{model.slug}/checkpoints/last.ckpt"


def test_absent_weights_have_no_path(make_study: Any) -> None:
    """Without a checkpoint nothing is promised."""
    study = make_study()
    for weights in study.folder.root.glob("trials/*/checkpoints/last.ckpt"):
        weights.unlink()
    read = summarize(study)
    assert best_model(read, read.best[0]).checkpoint == ""


def test_every_latent_size_has_an_answer(make_study: Any, trials_of: Any) -> None:
    """A clear inverted U is called one; nothing is to be tried next."""
    answers = line_answers(summarize(make_study(trials_of())), score="mig")
    assert [answer.scored.latent_dim for answer in answers] == [5, 10]
    assert {answer.judged.verdict for answer in answers} == {"inverted U"}


def test_best_configuration_has_the_answer_of_its_latent_size(
    make_study: Any, trials_of: Any
) -> None:
    """By the objective; where nothing is best, the reason is said."""
    read = summarize(make_study(trials_of()))
    found = best_answer(read)
    assert isinstance(found, BestAnswer)
    assert found.headlines[0].configuration == read.overall
    assert found.headlines[0].score == read.objective
    assert [one.score for one in found.headlines] == read.charted

    late = {trial.slug: None for trial in trials_of()}
    waiting = summarize(make_study(trials_of(), folder="waiting", results=late))
    reason = best_answer(waiting)
    assert isinstance(reason, NotYet)
    assert "every seed" in reason.reason


def test_best_beta_at_the_border_asks_for_another(make_study: Any, trials_of: Any) -> None:
    """Where the score still rises at the largest β, the command adds a larger one."""
    trials = trials_of(betas=(0.25, 0.5, 1), latent_dims=(5,), seeds=(0, 1))
    read = summarize(make_study(trials))
    found = headline(read, "mig")
    assert found is not None
    assert found.judged.next_beta == 2
    assert found.next_step is not None
    again = "bvae -m experiment=quick beta=2 latent_dim=5 seed=0,1 study=quick "
    assert found.next_step.command.startswith(again)


def test_range_of_the_best_beta_may_be_open(make_study: Any, trials_of: Any) -> None:
    """A range that reaches the end of the grid says so; the confidence is of those tried."""
    trials = trials_of(betas=(0.25, 0.5, 1), latent_dims=(5,), seeds=(0, 1))
    (answer,) = line_answers(summarize(make_study(trials)), score="mig")
    assert answer.judged.best_range is not None
    assert answer.judged.best_range.open_high
    assert not answer.judged.best_range.open_low


def test_values_of_null_and_numbers_are_axes(make_study: Any, trials_of: Any) -> None:
    """A size that is not given stands beside one that is; each has its answer, by its name."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1), resolution=(None, 32))
    (answer,) = answers_of(summarize(make_study(trials)), scores=("mig",))

    assert [line.configuration.facet for line in answer.lines] == [
        "resolution=32",
        "resolution=null",
    ]


def test_single_beta_was_not_chosen(make_study: Any, trials_of: Any) -> None:
    """Where nothing else was tried, none is called best with any confidence."""
    read = summarize(make_study(trials_of(betas=(4,), latent_dims=(5,))))
    (answer,) = line_answers(read, score="mig")
    assert answer.judged.best_range is None


def test_answer_so_far_is_about_the_best_so_far(make_study: Any, trials_of: Any) -> None:
    """Of a study in progress the seeds that are there choose and judge: one story, not two."""
    trials = trials_of(latent_dims=(5,))
    late = {p.slug: None for p in trials if p.values["seed"] == 2 and p.values["beta"] > 0.25}
    read = summarize(make_study(trials, results=late))
    (answer,) = line_answers(read, score="mig")
    assert read.in_progress
    assert (answer.scored.beta, answer.judged.verdict) == (4, "inverted U")
    found = answer.judged.best_range
    assert found is not None
    assert (found.low, found.high) == (4, 4)


def test_finished_study_says_what_to_type_next(make_study: Any, trials_of: Any) -> None:
    """A finer grid where the curve is known, nothing while trials are to come."""
    trials = trials_of(betas=(0.25, 4, 64), seeds=(0, 1))
    found = headline(summarize(make_study(trials)), "mig")
    assert found is not None
    assert found.next_step is not None
    assert found.next_step.why == (
        "the curve is known, and only a finer grid says more; try β = 16 next"
    )
    again = "bvae -m experiment=quick beta=16 latent_dim=5 seed=0,1 study=quick "
    assert found.next_step.command.startswith(again)

    late = {trial.slug: None for trial in trials if trial.values["seed"] == 1}
    so_far = headline(summarize(make_study(trials, folder="late", results=late)), "mig")
    assert so_far is not None
    assert so_far.next_step is None


def test_scores_of_other_representations_stand_apart(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """Most readers want the scores of means; those of samples and active latents fold."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    scores = {"mig": 0.5, "mig_sampled": 0.3, "beta_vae": 0.8, "mig_active": 0.5}
    results = {trial.slug: result_of(trial, scores=scores) for trial in trials}
    found = all_scores(summarize(make_study(trials, results=results)))
    assert found is not None
    assert [one.judged.score for one in found.by_score] == ["mig", "beta_vae"]
    assert [one.judged.score for one in found.of_representations] == ["mig_active", "mig_sampled"]

    waiting = make_study(trials, folder="waiting", results={trial.slug: None for trial in trials})
    assert all_scores(summarize(waiting)) is None


def test_every_score_has_its_own_answer(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Best β and verdict are those of the score."""
    trials = trials_of(latent_dims=(5,))
    falling = {
        trial.slug: result_of(trial) | {"scores": {**result_of(trial)["scores"], "sap": sap}}
        for trial in trials
        for sap in [0.5 - 0.1 * [0.25, 1, 4, 16, 64].index(float(str(trial.values["beta"])))]
    }
    read = summarize(make_study(trials, results=falling))
    mig, sap = answers_of(read, scores=("mig", "sap"))

    assert [mig.score, sap.score] == ["mig", "sap"]
    (of_mig,), (of_sap,) = mig.lines, sap.lines
    assert (of_mig.scored.beta, of_mig.judged.verdict) == (4, "inverted U")
    assert (of_sap.scored.beta, of_sap.scored.mean) == pytest.approx((0.25, 0.5))
    assert of_sap.judged.verdict in ("falling", "not resolved")
    assert of_sap.judged.next_beta == 0.062


def test_flags_follow_the_score(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Only other representations of the score are named."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    scores = {"mig": 0.5, "mig_sampled": 0.3, "beta_vae": 0.8, "beta_vae_sampled": 0.8}
    read = summarize(
        make_study(trials, results={trials[0].slug: result_of(trials[0], scores=scores)})
    )
    found = answers_of(read, scores=("mig", "beta_vae"))

    assert [len(one.flags) for one in found] == [1, 0]


def test_untrained_baseline_stands_with_the_answer(make_study: Any) -> None:
    """What is not trained at all, where it is known."""
    study = make_study()
    baseline = UntrainedBaseline(
        (("latent_dim", 5),), "locatello2019", "3x6x40x8x8", 3, {"mig": Level(0.012, 0.003)}
    )
    write_untrained(study.folder.untrained, [baseline])
    (answer,) = answers_of(summarize(study), scores=("mig",))
    five, ten = answer.lines

    assert five.untrained == Level(0.012, 0.003)
    assert ten.untrained is None
    page = sections_of_page(study, "verdicts")
    assert "<td>0.012</td>" in page
