from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sweeps.analysis.curve import Line
from sweeps.analysis.paper_claims import (
    ClaimAnswer,
    informative_latents_carry_the_kl,
    larger_layers_want_larger_beta,
    noise_of_means,
    reconstruction_costs_score,
    reconstruction_ranks_backwards,
)
from tests.doubles.curve_lines import line_of
from tests.doubles.frames import check_claims

# Shapes: C configurations, S seeds.

Means = Sequence[float] | np.ndarray

RISE = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.1)
ERRORS = (50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 110.0)  # reconstruction, nats


def line(
    means: Means,
    *,
    latent_dim: int = 10,
    sd: float = 0.005,
    seeds: int = 3,
    n_collapsed: int = 0,
    seed: int = 0,
) -> Line:
    """A line of a model named mlp with these means and noise."""
    noise = np.random.default_rng(seed).normal(size=(len(means), seeds))
    return line_of(
        np.array(means)[:, None] + sd * noise,
        latent_dim=latent_dim,
        axes=(("model", "mlp"),),
        n_collapsed=n_collapsed,
    )


def peak(at: int, **options: Any) -> Line:
    """A line of seven configurations whose best is configuration `at`."""
    return line(0.3 - 0.05 * np.abs(np.arange(7) - at), **options)


class TestLargerLayersWantLargerBeta:
    def test_is_supported_where_the_best_beta_grows(self) -> None:
        """Slope of log best β on log M by least squares; clear peaks leave it no doubt."""
        lines = [peak(1, latent_dim=5), peak(2, latent_dim=10), peak(4, latent_dim=20)]
        found = larger_layers_want_larger_beta(lines)
        expected = stats.linregress(np.log([5, 10, 20]), np.log([2.0, 4.0, 16.0])).slope
        assert found.estimate == pytest.approx(expected)
        assert found.low == found.high == pytest.approx(expected)
        assert (found.answer, found.latent_dim) == ("supported", None)
        assert found.axes == (("model", "mlp"),)
        assert "best β 2 at M = 5, 4 at M = 10, 16 at M = 20" in found.text

    def test_is_not_supported_at_constant_beta(self) -> None:
        """Where the best β stays, β_norm rises with M all the same; raw β says no."""
        lines = [peak(3, latent_dim=5), peak(3, latent_dim=10), peak(3, latent_dim=20)]
        found = larger_layers_want_larger_beta(lines)
        assert (found.answer, found.low, found.high) == ("not supported", 0.0, 0.0)
        norms = [one.beta_norms[3] for one in lines]
        assert norms == sorted(set(norms))

    def test_is_contradicted_where_it_falls(self) -> None:
        """Larger layers that want a smaller β contradict the paper."""
        found = larger_layers_want_larger_beta([peak(4, latent_dim=5), peak(1, latent_dim=20)])
        assert found.answer == "contradicted"

    def test_takes_every_best_beta_anywhere_in_its_range(self) -> None:
        """A flat top of the second and third against a clear fourth: slope between 1/2 and 1."""
        flat = line((0.0, 0.1, 0.3, 0.3, 0.1, 0.0, 0.0), latent_dim=5)
        found = larger_layers_want_larger_beta([flat, peak(4, latent_dim=20)])
        assert (found.low, found.high) == pytest.approx((0.5, 1.0))

    def test_knows_no_bound_where_the_best_beta_is_at_the_border(self) -> None:
        """The best β of the larger layer may lie beyond the grid, so the slope may be larger."""
        found = larger_layers_want_larger_beta([peak(3, latent_dim=5), peak(6, latent_dim=20)])
        assert (found.low, found.high) == (pytest.approx(1.5), np.inf)
        assert found.answer == "supported"
        assert "(95 %: 1.5 to no bound)" in found.text

    def test_is_not_testable_without_any_bound(self) -> None:
        """Where both best β are at the border, the slope may be anything."""
        found = larger_layers_want_larger_beta([peak(6, latent_dim=5), peak(6, latent_dim=20)])
        assert (found.low, found.high) == (-np.inf, np.inf)
        assert found.answer == "not testable"
        assert found.text.startswith("slope of log best β on log M 0 (95 %: no bound); best β 64")

    def test_knows_no_bound_on_either_side(self) -> None:
        """The best β of the smaller layer may lie before the grid, so the slope may be larger."""
        found = larger_layers_want_larger_beta([peak(0, latent_dim=5), peak(3, latent_dim=20)])
        assert (found.low, found.high) == (pytest.approx(1.5), np.inf)

    def test_does_not_need_the_bound_of_a_latent_size_in_the_middle(self) -> None:
        """Of 5, 10 and 20 latents the middle one has no weight, at the border or not."""
        lines = [peak(1, latent_dim=5), peak(6, latent_dim=10), peak(3, latent_dim=20)]
        found = larger_layers_want_larger_beta(lines)
        assert (found.low, found.high) == pytest.approx((1.0, 1.0))

    def test_shows_small_layers_apart(self) -> None:
        """Fewer latents than factors cannot hold them all: M = 3 is named but not used."""
        lines = [peak(5, latent_dim=3), peak(2, latent_dim=5), peak(3, latent_dim=10)]
        found = larger_layers_want_larger_beta(lines, n_factors=5)
        assert found.estimate == pytest.approx(1.0)
        assert found.text.endswith("; apart, with fewer latents than factors, best β 32 at M = 3")

    @pytest.mark.parametrize("n_factors", [None, 20])
    def test_takes_two_latent_sizes(self, n_factors: int | None) -> None:
        """One latent size has no slope."""
        lines = [peak(2, latent_dim=10)] + [peak(3, latent_dim=20)] * (n_factors is not None)
        found = larger_layers_want_larger_beta(lines, n_factors)
        assert found.answer == "not testable"
        assert "takes two latent sizes" in found.text
        assert "has 1; best β" in found.text
        assert np.isnan(found.estimate)

    @pytest.mark.parametrize("n_factors", [None, 20])
    def test_nothing_to_name(self, n_factors: int | None) -> None:
        """Without a complete configuration the text says what is missing and ends there."""
        empty = peak(2).keep(np.zeros(7, dtype=np.bool_))
        found = larger_layers_want_larger_beta([empty], n_factors)
        assert found.answer == "not testable"
        assert found.text.endswith("has 0")

    def test_leaves_out_a_latent_size_without_complete_configurations(self) -> None:
        """A line that has just begun has no best β."""
        empty = peak(2).keep(np.zeros(7, dtype=np.bool_))
        found = larger_layers_want_larger_beta([empty, peak(2, latent_dim=20)])
        assert found.answer == "not testable"

    def test_is_rarely_supported_by_chance(self) -> None:
        """Equal peaks, noise of .04: at most 5 % of 200 studies, and 2.3 standard errors."""
        answers = [
            larger_layers_want_larger_beta(
                [peak(3, latent_dim=5, sd=0.04, seed=2 * i), peak(3, sd=0.04, seed=2 * i + 1)]
            ).answer
            for i in range(200)
        ]
        assert answers.count(ClaimAnswer.SUPPORTED) / 200 <= 0.05 + 2.3 * np.sqrt(0.05 * 0.95 / 200)


class TestReconstructionCostsScore:
    def test_is_supported_where_the_best_reconstruction_scores_low(self) -> None:
        """The score lost is the best mean less that of the configuration of lowest error."""
        scores = line(RISE)
        found = reconstruction_costs_score(scores, line(ERRORS, sd=0.1))
        means = scores.values.mean(axis=1)
        assert found.estimate == pytest.approx(means[5] - means[0])
        assert 0 < found.low < found.estimate < found.high
        assert (found.answer, found.latent_dim) == ("supported", 10)
        assert found.text.startswith(
            "MIG lost by taking β = 1, which reconstructs best, instead of β = 32: 0.2"
        )

    def test_is_not_supported_where_the_best_reconstruction_scores_best(self) -> None:
        """Nothing is lost if the best-reconstructing configuration is the best."""
        found = reconstruction_costs_score(line(RISE[::-1][1:]), line(ERRORS[:6], sd=0.1))
        assert (found.answer, found.estimate, found.low) == ("not supported", 0.0, 0.0)

    def test_leaves_collapsed_configurations_out(self) -> None:
        """A score that is high without active latents is not what one could have had."""
        found = reconstruction_costs_score(
            line((*RISE[:6], 0.9), n_collapsed=1), line(ERRORS, sd=0.1)
        )
        assert "instead of β = 32" in found.text
        assert found.estimate == pytest.approx(0.25, abs=0.02)

    def test_holds_the_truth_in_95_percent_of_studies(self) -> None:
        """The interval covers the score that is truly lost (300 studies, 2.3 standard errors)."""
        errors = line(ERRORS, sd=0.1)
        found = [
            reconstruction_costs_score(line(RISE, sd=0.04, seed=i), errors) for i in range(300)
        ]
        covered = np.mean([claim.low <= 0.25 <= claim.high for claim in found])
        assert covered >= 0.95 - 2.3 * np.sqrt(0.05 * 0.95 / 300)

    @pytest.mark.parametrize(
        "scores",
        [line(RISE, seeds=1), line(RISE, n_collapsed=7), line(RISE).keep(np.zeros(7, dtype=bool))],
        ids=["one seed", "all collapsed", "no complete configuration"],
    )
    def test_takes_noise_to_go_by(self, scores: Line) -> None:
        """Without two seeds and two uncollapsed configurations there is no interval."""
        errors = line(ERRORS, seeds=scores.values.shape[1]).keep(np.arange(7) < len(scores.betas))
        found = reconstruction_costs_score(scores, errors)
        assert found.answer == "not testable"
        assert found.text == "takes two seeds and two complete β with two or more active latents"


class TestReconstructionRanksBackwards:
    def test_is_supported_where_error_and_score_rise_together(self) -> None:
        """Up to the best β, worse reconstruction goes with a higher score; collapse is left out."""
        found = reconstruction_ranks_backwards(line(RISE), line(ERRORS, sd=0.1))
        assert (found.answer, found.estimate) == ("supported", -1.0)
        assert found.text.startswith(
            "rank correlation -1 over 6 β up to the best, without the best"
        )

    def test_is_contradicted_where_good_reconstruction_scores_high(self) -> None:
        """If score falls as the error rises, up to a lone best, the claim is wrong."""
        means = (0.30, 0.25, 0.2, 0.15, 0.1, 0.4, 0.0)
        found = reconstruction_ranks_backwards(line(means), line(ERRORS, sd=0.1))
        assert (found.answer, found.estimate) == ("contradicted", 1.0)

    def test_is_spearmans_correlation(self) -> None:
        """The same as scipy's, over the configurations before the best."""
        means = (0.2, 0.1, 0.25, 0.05, 0.15, 0.4, 0.0)
        scores, errors = line(means), line(ERRORS, sd=30)
        found = reconstruction_ranks_backwards(scores, errors)
        expected = stats.spearmanr(
            scores.values.mean(axis=1)[:5], -errors.values.mean(axis=1)[:5]
        ).statistic
        assert found.estimate == pytest.approx(expected)
        assert found.low <= found.estimate <= found.high

    def test_is_rarely_supported_on_a_flat_curve(self) -> None:
        """The best configuration was chosen for its score, which must not make the claim true.

        At most 5 % of 200 flat studies, with 2.3 standard errors of margin; counting the best
        configuration would make it 8 %.
        """
        errors = line(ERRORS, sd=0.1)
        answers = [
            reconstruction_ranks_backwards(line([0.2] * 7, sd=0.04, seed=i), errors).answer
            for i in range(200)
        ]
        testable = 200 - answers.count(ClaimAnswer.NOT_TESTABLE)
        margin = 2.3 * np.sqrt(0.05 * 0.95 / testable)
        assert answers.count(ClaimAnswer.SUPPORTED) / testable <= 0.05 + margin

    @pytest.mark.parametrize(
        ("scores", "has"),
        [
            (peak(3), "has 3 and 3"),
            (line(RISE, seeds=1), "has 5 and 1"),
            (line(RISE).keep(np.zeros(7, dtype=bool)), "has 0 and 3"),
        ],
        ids=["three below the best", "one seed", "no complete configuration"],
    )
    def test_takes_four_configurations_and_two_seeds(self, scores: Line, has: str) -> None:
        """Fewer configurations have no order worth the name; the best is not counted."""
        errors = line(ERRORS, seeds=scores.values.shape[1])
        found = reconstruction_ranks_backwards(
            scores, errors.keep(np.arange(7) < len(scores.betas))
        )
        assert found.answer == "not testable"
        assert found.text.endswith(has)


def test_noise_of_means_has_the_covariance_of_the_means() -> None:
    """Variance within over the number of seeds, score and error of a seed kept together.

    2,000 draws of 40 configurations know a variance to ±.5 %.
    """
    rng = np.random.default_rng(0)
    score = rng.normal(size=(40, 3))
    both = np.stack([score, 2 * score + rng.normal(size=(40, 3))])
    within = both - both.mean(axis=-1, keepdims=True)
    expected = np.einsum("acs,bcs->ab", within, within) / (40 * 2) / 3
    draws = noise_of_means(both)  # [B, 2, C]
    assert draws.shape == (2000, 2, 40)
    found = np.cov(np.moveaxis(draws, 1, 0).reshape(2, -1))
    np.testing.assert_allclose(found, expected, rtol=0.03)


def latents(
    informative_kl: float, quiet_kl: float, *, n_informative: int = 4, model: str = "mlp"
) -> pd.DataFrame:
    """Ten latents in each of six trials."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "model": model,
            "beta": beta,
            "latent_dim": 10,
            "seed": seed,
            "kl_nats": (informative_kl if i < n_informative else quiet_kl) * rng.uniform(0.9, 1.1),
            "informative": i < n_informative,
        }
        for beta in (1.0, 4.0)
        for seed in (0, 1, 2)
        for i in range(10)
    ]
    return pd.DataFrame(rows)


class TestInformativeLatentsCarryTheKl:
    def test_is_supported_where_the_others_have_almost_none(self) -> None:
        """The difference is the mean over trials, with Student's interval."""
        table = latents(3.0, 0.01)
        (found,) = informative_latents_carry_the_kl(table)
        kl = table.groupby(["beta", "seed", "informative"])["kl_nats"].mean().unstack()
        gap = kl[True] - kl[False]
        low, high = stats.t.interval(0.95, 5, gap.mean(), stats.sem(gap))
        assert found.answer == "supported"
        assert (found.estimate, found.low, found.high) == pytest.approx((gap.mean(), low, high))
        assert found.text.endswith("nats, in 6 of the 6 best models that have both kinds")

    def test_is_not_supported_where_the_others_have_some_too(self) -> None:
        """More KL alone is not the claim: the others must be close to none."""
        (found,) = informative_latents_carry_the_kl(latents(3.0, 0.5))
        assert found.answer == "not supported"
        assert found.low > 0
        assert found.text.endswith("; that the others have no more than 0.1 is not shown")

    def test_is_contradicted_where_the_others_have_more(self) -> None:
        """The wrong way round is said to be so."""
        (found,) = informative_latents_carry_the_kl(latents(0.01, 3.0))
        assert found.answer == "contradicted"

    @pytest.mark.parametrize("n_informative", [0, 10])
    def test_takes_trials_with_both_kinds(self, n_informative: int) -> None:
        """If all latents are alike there is nothing to compare."""
        (found,) = informative_latents_carry_the_kl(latents(3, 0.01, n_informative=n_informative))
        assert found.answer == "not testable"
        assert found.text == "takes two best models with both kinds of latents, has 0"

    def test_keeps_axes_apart(self) -> None:
        """Each value of an axis has its own answer."""
        table = pd.concat([latents(3.0, 0.01), latents(0.01, 3.0, model="conv")])
        found = informative_latents_carry_the_kl(table, axes=["model"])
        assert [(claim.axes, str(claim.answer)) for claim in found] == [
            ((("model", "mlp"),), "supported"),
            ((("model", "conv"),), "contradicted"),
        ]

    def test_takes_axes_of_lists_and_null(self) -> None:
        """Steps that are swept are tuples; None beside numbers is no number."""
        table = pd.concat([latents(3.0, 0.01), latents(0.01, 3.0)], ignore_index=True)
        table["every"] = [(1, 1, 2)] * 60 + [(1, 2, 2)] * 60
        table["resolution"] = [np.nan] * 60 + [32.0] * 60
        found = informative_latents_carry_the_kl(table, axes=["every", "resolution"])
        assert [claim.axes for claim in found] == [
            (("every", (1, 1, 2)), ("resolution", None)),
            (("every", (1, 2, 2)), ("resolution", 32)),
        ]


class TestCheckClaims:
    def frame(self) -> pd.DataFrame:
        """A study of two models, two latent sizes, seven β and three seeds."""
        rng = np.random.default_rng(0)
        rows = [
            {
                "model": model,
                "beta": 2.0**i,
                "latent_dim": latent_dim,
                "seed": seed,
                "state": "complete",
                "beta_norm": 2.0**i * latent_dim / 1024,
                "mig": 0.4 - 0.05 * abs(i - at) + rng.normal(0, 0.003),
                "recon": 50.0 + 10 * i + rng.normal(0, 0.1),
                "active_latents": 4,
                "protocol": "p",
            }
            for model in ("mlp", "conv")
            for latent_dim, at in ((10, 4), (20, 5))
            for i in range(7)
            for seed in range(3)
        ]
        return pd.DataFrame(rows)

    def test_answers_every_claim_for_each_facet(self) -> None:
        """Per facet: the slope over latent sizes, then two claims for each latent size."""
        found = check_claims(self.frame(), score="mig", axes=["model"])
        assert [(dict(claim.axes)["model"], claim.latent_dim) for claim in found] == [
            *[("conv", size) for size in (None, 10, 10, 20, 20)],
            *[("mlp", size) for size in (None, 10, 10, 20, 20)],
        ]
        assert {str(claim.answer) for claim in found} == {"supported"}

    def test_passes_on_the_number_of_factors(self) -> None:
        """Latent sizes below it are not in the slope."""
        frame = self.frame().query("model == 'mlp'")
        found = check_claims(frame, score="mig", n_factors=15)
        assert found[0].answer == "not testable"

    def test_leaves_out_configurations_without_reconstruction(self) -> None:
        """Score and reconstruction are compared on configurations that have both."""
        frame = self.frame().query("model == 'mlp'").copy()
        frame.loc[(frame["beta"] == 1.0) & (frame["seed"] == 0), "recon"] = np.nan
        found = check_claims(frame, score="mig")
        assert "taking β = 2, which reconstructs best" in found[1].text

    def test_of_a_study_that_has_just_begun(self) -> None:
        """Nothing can be tested yet, and nothing breaks."""
        found = check_claims(self.frame().assign(state="pending"), score="mig", axes=["model"])
        assert {str(claim.answer) for claim in found} == {"not testable"}
