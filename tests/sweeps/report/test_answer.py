"""Which β, and how to get its best model again."""

from typing import Any

from sweeps.report.answer import best_model, gallery, in_words, line_answers
from sweeps.report.digest import digest


def test_best_model_has_the_highest_score(make_study: Any) -> None:
    """Of the best cell's seeds, the one with the highest objective; its command and weights."""
    read = digest(make_study())
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
    read = digest(study)
    assert best_model(read, read.best[0], command="bvae -m").checkpoint == ""


def test_cell_in_words(make_study: Any) -> None:
    """Numbers are written for people."""
    read = digest(make_study())
    words = in_words(read, read.best[0])
    assert (words.beta, words.latent_dim, words.beta_norm, words.n) == ("4", 5, "0.0195", 2)
    assert float(words.mean) == round(read.scores["mig"][read.best[0].number].mean, 3)


def test_every_latent_size_has_an_answer(make_study: Any, points_of: Any) -> None:
    """A clear inverted U is called one; nothing is to be tried next."""
    answers = line_answers(digest(make_study(points_of())), command="bvae -m")
    assert [answer.best.latent_dim for answer in answers] == [5, 10]
    assert {answer.verdict for answer in answers} == {"yes"}
    assert {answer.next_command for answer in answers} == {""}


def test_best_beta_at_the_border_asks_for_another(make_study: Any, points_of: Any) -> None:
    """Where the score still rises at the largest β, the command adds a larger one."""
    points = points_of(betas=(0.25, 0.5, 1), latent_dims=(5,), seeds=(0, 1))
    (answer,) = line_answers(digest(make_study(points)), command="bvae -m experiment=quick")
    assert answer.next_beta == "2"
    expected = "bvae -m experiment=quick beta=2 latent_dim=5 seed=0,1"
    assert answer.next_command == expected


def test_range_of_the_best_beta_may_be_open(make_study: Any, points_of: Any) -> None:
    """A range that reaches the end of the grid is said to."""
    points = points_of(betas=(0.25, 0.5, 1), latent_dims=(5,), seeds=(0, 1))
    (answer,) = line_answers(digest(make_study(points)), command="bvae -m")
    assert answer.beta_range.endswith(", or above")


def test_gallery_shows_the_best_of_each_size(make_study: Any) -> None:
    """Pictures of one model for each latent size."""
    entries = gallery(digest(make_study(pictures=True)), command="bvae -m")
    assert [entry.best.latent_dim for entry in entries] == [5, 10]
    assert all(set(e.pictures.known) >= {"reconstructions", "traversal"} for e in entries)
