"""Whether the best β moves from study to study, as numbers and in one sentence."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sweeps.analysis.movement import movement
from sweeps.analysis.summary import summarize
from sweeps.study.study import Study

BETAS = (1, 4, 16, 64)
Made = Callable[..., Study]


@pytest.fixture
def made(make_study: Any, trials_of: Any, result_of: Any) -> Made:
    """A function that writes a study whose score is highest at given β, at 0.3 against 0.2."""

    def make(
        name: str,
        peaks: Sequence[float],
        betas: Sequence[float] = BETAS,
        latent_dims: Sequence[int] = (5,),
        base: Any = None,
        **manifest: Any,
    ) -> Study:
        trials = trials_of(betas=betas, latent_dims=latent_dims, seeds=(0, 1, 2))

        def result(trial: Any) -> Any:
            # the first peak is the highest by less than the seeds tell apart
            beta, seed = trial.values["beta"], trial.values["seed"]
            score = 0.3 - 1e-4 * peaks.index(beta) if beta in peaks else 0.2
            score += 0.01 * (seed - 1) * (1 if beta in peaks[:1] else -1)
            norm = beta * trial.values["latent_dim"] / manifest.get("image_size", 1024)
            return result_of(trial, scores={"mig": score}, active_latents=3, beta_norm=norm)

        return make_study(
            trials, folder=name, base=base or {}, results={t.slug: result(t) for t in trials},
            **manifest,
        )  # fmt: skip

    return make


def steps(n: int) -> dict[str, Any]:
    """The settings of a study of so many steps."""
    return {"trainer.max_steps": n, "loss.name": "beta_vae"}


def said(*studies: Study) -> str:
    """The sentence on these studies, each by its folder's name."""
    return movement({study.folder.name: summarize(study) for study in studies}).text


@pytest.mark.parametrize(
    ("many", "times"), [(2000, "twice"), (10000, "ten times"), (2500, "2.5 times")]
)
def test_best_beta_moves_with_more_steps(made: Made, many: int, times: str) -> None:
    """From the study of fewer steps to that of more, whichever was named first."""
    few, more = made("few", [16], base=steps(1000)), made("more", [4], base=steps(many))
    assert said(few, more) == f"best β moves from 16 to 4 with {times} the steps"
    assert said(more, few) == said(few, more)


def test_three_studies_along_one_number_are_one_movement(made: Made) -> None:
    """In the order of the number, with the whole course."""
    a, b, c = (
        made(name, [peak], base=steps(n))
        for name, peak, n in (("a", 64, 100), ("b", 16, 1000), ("c", 4, 10000))
    )
    expected = "best β moves from 64 through 16 to 4 as the steps go from 100 through 1,000 to "
    assert said(c, a, b) == f"{expected}10,000"


def test_sets_that_overlap_show_no_move(made: Made) -> None:
    """Where the best of one study may be that of the other, both say what may be best."""
    few, more = made("few", [16, 4], base=steps(1000)), made("more", [4], base=steps(2000))
    assert said(few, more) == (
        "best β is not shown to move with twice the steps: "
        "16 in few (4 to 16 may be best) and 4 in more (4 may be best)"
    )


def test_the_same_best_stays(made: Made) -> None:
    """With what may be best beside it, unless only that β may."""
    few, more = made("few", [16], base=steps(1000)), made("more", [16], base=steps(10000))
    wide = made("wide", [16, 4], base=steps(10000))
    assert said(few, more) == "best β stays 16 with ten times the steps"
    assert said(few, wide) == (
        "best β stays 16 with ten times the steps (16 in few and 4 to 16 in wide may be best)"
    )


def test_another_choice_of_a_group_is_one_key(made: Made) -> None:
    """Whatever else of the loss differs, the sentence names the loss."""
    other = {"loss.name": "beta_tcvae", "loss.estimator": "weighted"}
    a = made("a", [16], base={"loss.name": "beta_vae", "loss.schedule": "constant"})
    b, c = made("b", [16], base=other), made("c", [4], base={"loss.name": "own"})
    assert said(a, b) == "best β stays 16 with loss=beta_tcvae instead of beta_vae"
    assert said(a, c) == "best β moves from 16 to 4 with loss=own instead of beta_vae"
    assert said(a, b, c).startswith("best β moves with loss: 16 in a (16 may be best), 16 in b ")


def test_what_follows_from_the_data_is_no_other_key(made: Made) -> None:
    """Nor are threads and how often is validated, which move no best β."""
    a = made("a", [16], base={"data.name": "dsprites32", "threads": 1})
    b = made("b", [4], base={"data.name": "npz", "data.path": "x", "threads": 2}, lattice=None)
    assert said(a, b) == "best β moves from 16 to 4 with data=npz instead of dsprites32"


def test_several_keys_have_no_reason(made: Made) -> None:
    """The best of each is said, and which keys differ; of many studies where they lie."""
    a = made("a", [16], base={**steps(100), "optimizer.lr": 0.1})
    b = made("b", [4], base={**steps(200), "optimizer.lr": 0.2})
    assert said(a, b) == (
        "best β is 16 in a (5 latents) and 4 in b (5 latents); "
        "several keys differ (optimizer.lr, trainer.max_steps)"
    )
    more = [made(f"m{peak}", [peak], base=steps(300)) for peak in (1, 16, 64)]
    assert said(a, b, *more).startswith("best β lies between 1 (in m1) and 64 (in m64); several")


def test_same_settings_are_said(made: Made) -> None:
    """As of a study that was run twice."""
    a, b = made("a", [16]), made("b", [16])
    assert said(a, b) == "best β stays 16 with the same settings"


def test_a_beta_that_one_study_has_not_tried_shows_no_move(made: Made) -> None:
    """Among those that both have, the last is best in both."""
    few = made("few", [16], betas=(1, 4, 16), base=steps(100))
    more = made("more", [64, 16], base=steps(200))
    found = movement({"few": summarize(few), "more": summarize(more)})
    assert [best.beta for best in found.bests] == [16, 64]
    assert not found.is_shown


def test_studies_without_a_common_beta_show_nothing(made: Made) -> None:
    """It is said that the grids do not tell."""
    a = made("a", [16], betas=(1, 4, 16), base=steps(100))
    b = made("b", [8], betas=(2, 8, 32), base=steps(200))
    assert said(a, b) == (
        "best β is not shown to move with twice the steps: 16 in a and 8 in b; "
        "too few β are in both to say how sure that is"
    )


def test_another_latent_size_is_compared_at_a_shared_one(made: Made) -> None:
    """Which is said; without a shared one each best has its own."""
    a = made("a", [16], latent_dims=(5, 10), base=steps(100))
    b = made("b", [4], latent_dims=(10,), base=steps(200))
    c = made("c", [4], latent_dims=(20,), base=steps(200))
    assert said(a, b) == "at 10 latents, best β moves from 16 to 4 with twice the steps"
    assert said(a, c) == (
        "best β is 16 in a (5 latents) and 4 in c (20 latents); no latent size is in both"
    )


def test_images_of_another_size_are_compared_by_beta_norm(made: Made) -> None:
    """β = 4 of 1,024 values is β = 16 of 4,096."""
    a = made("a", [4], base={"data.name": "small"})
    b = made("b", [16], base={"data.name": "large"}, image_size=4096)
    assert said(a, b) == "best β_norm stays 0.0195 with data=large instead of small"


def test_studies_without_an_answer_are_named(
    made: Made, make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """With failed trials only there is no best; where trials are to come it may change."""
    trials = trials_of(betas=BETAS, latent_dims=(5,), seeds=(0,))
    failed = {t.slug: result_of(t, state="failed", attempt=3, scores={}) for t in trials}
    none = make_study(trials, folder="none", results=failed)
    begun = make_study(trials, folder="begun", results={t.slug: None for t in trials[1:]})
    a = made("a", [16])
    assert said(a, none) == ("fewer than two of the studies have a best configuration to compare")
    assert said(a, none, begun).endswith(
        "; without a best configuration: none; not finished: begun"
    )
