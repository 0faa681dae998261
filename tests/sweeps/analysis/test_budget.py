"""How long models were trained, and what became of the best β when trained longer."""

from typing import Any

import pytest

from sweeps.analysis.budget import budget, budget_checks
from sweeps.analysis.summary import summarize
from sweeps.commands.conclude import conclusion
from sweeps.labels import NOTHING
from sweeps.report.answer import headline
from sweeps.report.comparison import render
from sweeps.report.words import budget_check
from tests.doubles.reported import sections_of_page

BETAS = (1, 4, 16, 64)


@pytest.fixture
def make_trained(make_study: Any, trials_of: Any, result_of: Any) -> Any:
    """A function that writes a study of so many steps whose score is highest at a given β."""

    def make(name: str, steps: int, peak: float, betas: Any = BETAS, **changes: Any) -> Any:
        trials = trials_of(betas=betas, latent_dims=(5,), seeds=(0, 1, 2))

        def result(trial: Any) -> Any:
            score = 0.3 - 0.1 * (trial.values["beta"] != peak) + 0.01 * trial.values["seed"]
            own = {"images_seen": 64 * steps, "scores": {"mig": score}, "active_latents": 3}
            return result_of(trial, **own, **changes)

        return make_study(
            trials,
            folder=name,
            base={"trainer.max_steps": steps},
            results={trial.slug: result(trial) for trial in trials},
        )

    return make


def test_images_and_change_of_the_loss_are_said(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """Over complete trainings: the median, and the one that changed most, with its sign."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1))
    changes = (-0.002, -0.03, 0.001, -0.004)
    results = {
        trial.slug: result_of(trial, loss_change=change, images_seen=seen)
        for trial, change, seen in zip(trials, changes, (64000, 64000, 128000, 64000), strict=True)
    }
    results[trials[2].slug] |= {"state": "failed", "attempt": 3, "scores": {}}
    found = budget(summarize(make_study(trials, results=results)))
    assert found.images == "64,000"
    assert found.change == "-0.4 % (median), -3.0 % (largest)"


def test_older_results_know_no_change(make_study: Any) -> None:
    """Then nothing is said of it, and nothing is called unsettled."""
    found = budget(summarize(make_study()))
    assert (found.change, found.falling) == ("–", "")


@pytest.mark.parametrize(("change", "falling"), [(-0.02, "2.0 %"), (-0.009, ""), (0.02, "")])
def test_best_configuration_that_still_learns_is_the_best_at_this_budget(
    make_trained: Any, change: float, falling: str
) -> None:
    """Where the loss fell by more than 1 %, the page says so and gives the command that checks."""
    study = make_trained("quick", 1000, 16, loss_change=change)
    found = budget(summarize(study))
    page = sections_of_page(study, "answer")
    assert found.falling == falling
    assert ("best β at this budget" in page) == bool(falling)
    assert found.command == (
        "bvae -m experiment=quick beta=4,16,64 latent_dim=5 seed=0,1,2 "
        "trainer.max_steps=2000 study=quick-longer"
    )
    assert found.compare.endswith("/quick-longer")
    head = headline(summarize(study), "mig")
    assert head is not None
    said = "\n".join(conclusion(head, found, left=0))
    assert ("still fell by" in said) == bool(falling)
    assert ("fell no more" in said) == (found.change != NOTHING and not falling)
    assert (found.command in said) == (found.change != NOTHING)


@pytest.mark.parametrize(
    ("relative", "error", "learnt"),
    [(0.3, 0.05, "30 %"), (0.3, 0.07, ""), (0.09, 0.0, ""), (-0.5, 0.01, ""), (None, None, "")],
)
def test_best_configuration_that_learns_by_heart(
    make_trained: Any, relative: float | None, error: float | None, learnt: str
) -> None:
    """Images held out are clearly worse by a tenth or more: page and terminal say so."""
    excess = {} if relative is None else {"relative": relative, "standard_error": error}
    read = summarize(make_trained("quick", 1000, 16, recon_excess=excess))
    head = headline(read, "mig")
    assert head is not None
    said = "\n".join(conclusion(head, budget(read), left=0))
    page = sections_of_page(read.study, "answer")

    assert learnt == budget(read).learnt
    assert ("by heart" in page) == ("by heart" in said) == bool(learnt)
    assert f"images held out are reconstructed {learnt} worse" in said or not learnt


def test_nothing_to_compare_has_no_command(make_study: Any, trials_of: Any) -> None:
    """With a single β, or where the steps are not known."""
    one = make_study(
        trials_of(betas=(4,), latent_dims=(5,), seeds=(0,)), base={"trainer.max_steps": 10}
    )
    for study in (one, make_study(folder="b")):
        assert budget(summarize(study)).command == ""


@pytest.mark.parametrize(
    ("peak", "betas", "answer"),
    [
        pytest.param(4, (1, 4, 16), "holds", id="the same"),
        pytest.param(16, BETAS, "holds", id="one step, others tried beyond"),
        pytest.param(8, (4, 8, 16), "holds", id="half a step"),
        pytest.param(16, (1, 4, 16), "open", id="one step, at the border"),
        pytest.param(64, BETAS, "moves", id="two steps"),
        pytest.param(0.25, (0.25, 1, 4), "moves", id="beyond the grid"),
    ],
)
def test_best_beta_holds_or_moves_when_trained_longer(
    make_trained: Any, peak: float, betas: Any, answer: str
) -> None:
    """More than one step of the shorter study's grid is a move, and both β are said."""
    short, long = make_trained("a", 1000, 4), make_trained("b", 2000, peak, betas)
    (check,) = budget_checks(summarize(short), summarize(long))
    assert (check.latent_dim, check.answer) == (5, answer)
    said = budget_check(check)
    assert "4 (of those tried 4, with 95 % confidence) after 64,000 images" in said
    assert f"{peak:g} (of those tried {peak:g}, " in said
    assert said.endswith("after 128,000")
    assert ("best β at this budget" in said) == (answer == "moves")
    (turned,) = budget_checks(summarize(long), summarize(short))
    assert budget_check(turned) == said
    assert "when trained longer?" in render(summarize(short), summarize(long))


def test_other_differences_are_no_budget_check(make_trained: Any, make_study: Any) -> None:
    """Where more than the steps differs, a move may have other reasons."""
    short = make_trained("a", 1000, 4)
    other = make_study(folder="b", base={"trainer.max_steps": 2000, "optimizer.lr": 0.1})
    same = make_study(folder="c", base={"trainer.max_steps": 1000})
    assert budget_checks(summarize(short), summarize(other)) == []
    assert budget_checks(summarize(short), summarize(same)) == []
