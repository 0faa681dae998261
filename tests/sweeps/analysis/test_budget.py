"""How long models were trained."""

import shlex
from typing import Any

import pytest

from sweeps.analysis.budget import budget, falling
from sweeps.analysis.summary import summarize
from sweeps.commands.conclude import conclusion
from sweeps.labels import NOTHING
from sweeps.report.answer import headline
from tests.doubles.reported import sections_of_page

BETAS = (1, 4, 16, 64)


@pytest.fixture
def make_trained(make_study: Any, trials_of: Any, result_of: Any) -> Any:
    """A function that writes a study of so many steps whose score is highest at a given β."""

    def make(name: str, steps: int, peak: float, **changes: Any) -> Any:
        trials = trials_of(betas=BETAS, latent_dims=(5,), seeds=(0, 1, 2))

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


@pytest.mark.parametrize(
    ("changes", "fell"),
    [
        ((-0.05, -0.02, 0.03), "2.0 %"),
        ((-0.05, -0.009, -0.009), ""),
        ((0.05, 0.02, 0.03), ""),
        ((None, None, None), ""),
    ],
)
def test_any_configuration_may_still_learn(
    make_study: Any, trials_of: Any, result_of: Any, changes: Any, fell: str
) -> None:
    """By the median over its own seeds, whatever the others do; older results say nothing."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1, 2))
    of_seeds = dict(zip((0, 1, 2), changes, strict=True))
    results = {
        trial.slug: result_of(
            trial,
            loss_change=of_seeds[trial.values["seed"]] if trial.values["beta"] == 1 else -0.5,
        )
        for trial in trials
    }
    read = summarize(make_study(trials, results=results))
    assert [falling(read, one) for one in read.configurations] == [fell, "50.0 %"]


@pytest.mark.parametrize(("change", "fell"), [(-0.02, "2.0 %"), (-0.009, ""), (0.02, "")])
def test_best_configuration_that_still_learns_is_the_best_at_this_budget(
    make_trained: Any, change: float, fell: str
) -> None:
    """Where the loss fell by more than 1 %, the page says so and gives the command that checks."""
    study = make_trained("quick", 1000, 16, loss_change=change)
    found = budget(summarize(study))
    page = sections_of_page(study, "answer")
    assert found.falling == fell
    assert ("best β at this budget" in page) == bool(fell)
    assert found.command.startswith(
        "bvae -m experiment=quick beta=4,16,64 latent_dim=5 seed=0,1,2 "
        "trainer.max_steps=2000 study=quick-longer "
    )
    assert shlex.split(found.compare)[-1].endswith("/quick-longer")
    head = headline(summarize(study), "mig")
    assert head is not None
    said = "\n".join(conclusion(head, found, left=0))
    assert ("still fell by" in said) == bool(fell)
    assert ("fell no more" in said) == (found.change != NOTHING and not fell)
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
