"""The learning curves of the page: whose, of what, and who had not stopped learning."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sweeps.analysis.summary import summarize
from sweeps.report.drawings import Drawing
from sweeps.report.learning import LearningView, learning, logged_columns, series_title
from sweeps.report.templates import NotYet
from tests.doubles.reported import sections_of_page

LOGGED = ("train/loss", "train/recon", "train/kl", "kl/active_units", "scores/mig")


def log(study: Any, names: Sequence[str] = LOGGED) -> None:
    """Let every trial log its seed at three steps, under these names."""
    for trial in study.trials:
        head = ",".join(["step", *names])
        rows = [
            ",".join(map(str, [step, *[trial.values["seed"]] * len(names)]))
            for step in (10, 20, 30)
        ]
        path: Path = study.trial_folder(trial.slug) / "history.csv"
        path.write_text("\n".join([head, *rows, ""]))


def view_of(study: Any) -> LearningView:
    """Return what the page shows of a study."""
    found = learning(summarize(study))
    assert isinstance(found, LearningView)
    return found


def rows_of(drawing: Drawing) -> Iterator[tuple[int, int, int, float]]:
    """Yield line, seed, step and value of a drawing."""
    (own,) = drawing.by_score.values()
    for row in own["datasets"]["logged"]:
        yield row["line"], row["seed"], row["step"], row["value"]


def test_best_of_each_latent_size_is_drawn(make_study: Any) -> None:
    """A chart for each column; in it a line for each configuration, with all its seeds."""
    study = make_study()
    log(study)
    view = view_of(study)
    titles = [
        drawing.by_score[name]["title"] for drawing in view.drawings for name in drawing.by_score
    ]

    assert titles == [
        "Loss (nats)", "Reconstruction (nats)", "KL (nats)", "Active latents", "MIG, validation",
    ]  # fmt: skip
    assert view.labels == ["β 4, 5 latents", "β 4, 10 latents"]
    assert list(rows_of(view.drawings[0])) == [
        (line, seed, step, seed) for line in (0, 1) for seed in (0, 1) for step in (10, 20, 30)
    ]


def test_facet_of_the_best_is_drawn(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """As many lines as there are latent sizes, not once more for each further value."""
    trials = trials_of(betas=(1, 4), latent_dims=(5, 10), seeds=(0,), model=("mlp", "conv"))
    results = {
        one.slug: result_of(one, scores={"mig": 0.2 + 0.1 * (one.values["model"] == "conv")})
        for one in trials
    }
    study = make_study(trials, results=results)
    log(study)

    assert [label.split(", ")[0] for label in view_of(study).labels] == ["model=conv"] * 2


def test_what_was_not_logged_has_no_chart(make_study: Any) -> None:
    """Without factors there is no validation score; without a history, a reason."""
    study = make_study()
    log(study, LOGGED[:3])

    assert [list(one.by_score) for one in view_of(study).drawings] == [
        [name] for name in LOGGED[:3]
    ]
    assert logged_columns(summarize(study)) == list(LOGGED[:3])
    assert isinstance(learning(summarize(make_study(folder="without"))), NotYet)


@pytest.mark.parametrize(
    ("column", "reaches"),
    [("train/loss", False), ("train/recon", False), ("train/kl", True), ("scores/mig", True)],
)
def test_what_falls_to_zero_is_drawn_down_to_it(
    make_study: Any, column: str, *, reaches: bool
) -> None:
    """Losses do not: what is left of them would be pressed flat."""
    study = make_study()
    log(study)
    drawing = next(one for one in view_of(study).drawings if column in one.by_score)

    assert drawing.specs[""]["layer"][0]["encoding"]["y"]["scale"]["zero"] is reaches


def test_lines_that_still_fall_are_named(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """With the configuration and by how much; no word of those that had settled."""
    trials = trials_of(betas=(0.25, 4, 64), seeds=(0, 1))
    results = {
        one.slug: result_of(one, loss_change=-0.031 if one.values["latent_dim"] == 10 else 0.001)
        for one in trials
    }
    study = make_study(trials, results=results)
    log(study)
    said = "β 4, 10 latents: still learning. The loss fell by 3.1 % over the last tenth"

    assert view_of(study).falling == [("β 4, 10 latents", "3.1 %")]
    page = sections_of_page(study, "learning")
    assert said in page
    assert page.count("still learning. ") == 1


@pytest.mark.parametrize(
    ("column", "title"),
    [
        ("train/kl", "KL (nats)"),
        ("scores/mig", "MIG, validation"),
        ("scores/own", "own, validation"),
    ],
)
def test_columns_have_titles(column: str, title: str) -> None:
    """In the words of the page; an own score keeps its name."""
    assert series_title(column) == title
