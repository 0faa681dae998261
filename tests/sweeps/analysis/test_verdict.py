"""The verdict on a line, as a number and in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sweeps.analysis.curve import lines
from sweeps.analysis.verdict import Judgement, judge
from sweeps.statistics.inverted_u import seeds_to_settle
from tests.doubles.frames import judge_all

# Shapes: C configurations, S seeds.

Means = Sequence[float] | np.ndarray

BETAS = (0.1, 0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)

# as measured on 32×32 sprites with 5 latents and smoothed; the last has collapsed
HIGGINS = (0.73, 0.79, 0.81, 0.84, 0.84, 0.82, 0.62, 0.20)


def study(
    means: Means,
    *,
    n_collapsed: int = 0,
    seeds: int = 3,
    sd: float = 0.01,
    betas: Sequence[float] = BETAS,
    **columns: Any,
) -> pd.DataFrame:
    """A finished study of one latent size with these means, as `Study.frame()` gives it."""
    configurations = len(means)
    noise = np.random.default_rng(0).normal(size=(configurations, seeds))
    if seeds > 1:
        noise -= noise.mean(axis=1, keepdims=True)
    rows = [
        {
            "beta": betas[i],
            "latent_dim": 10,
            "seed": seed,
            "state": "complete",
            "beta_norm": betas[i] * 10 / 1024,
            "beta_vae": means[i] + sd * noise[i, seed],
            "active_latents": 0.0 if i >= configurations - n_collapsed else 5.0,
            "protocol": "locatello2019",
            **columns,
        }
        for i in range(configurations)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def judged(frame: pd.DataFrame) -> Judgement:
    """The judgement of the only line."""
    (found,) = judge_all(frame, score_names=["beta_vae"])
    return found


class TestJudge:
    def test_inverted_u(self) -> None:
        """A clear U is called one, with its course, and needs nothing more."""
        found = judged(study(HIGGINS, n_collapsed=1))
        assert (found.verdict, found.fall) == ("inverted U", "gradual")
        assert found.text == (
            "0.730 at β = 0.1, 0.840 at β = 4 (rise: p < 0.001), "
            "0.200 at β = 64 (collapsed, fall: p < 0.001)"
        )
        assert (found.best.beta, found.more_seeds, found.next_beta) == (4.0, None, None)
        assert (found.best_range.low, found.best_range.high) == (4.0, 8.0)
        assert found.left_out_score <= found.best.mean

    def test_rising(self) -> None:
        """A curve that only rises is none; the next β to try lies beyond the border."""
        found = judged(study(np.linspace(0.2, 0.9, 8)))
        assert (found.verdict, found.fall) == ("rising", None)
        assert found.best_range.open_high
        assert found.next_beta == 130.0
        assert found.more_seeds is None

    def test_falling(self) -> None:
        """The mirror; β below the grid is the next to try."""
        found = judged(study(np.linspace(0.9, 0.2, 8)))
        assert (found.verdict, found.fall, found.next_beta) == ("falling", "gradual", 0.02)

    def test_flat(self) -> None:
        """Many seeds show that there is no bump; how high one would be is said."""
        found = judged(study([0.5] * 6, sd=0.01, seeds=20))
        assert (found.verdict, found.fall) == ("flat", None)
        assert found.text.startswith("no bump as high as the standard deviation of a seed (0.0")

    def test_fall_by_collapse(self) -> None:
        """The same curve that ends in a collapse falls, but not with two active latents."""
        found = judged(study([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.1], n_collapsed=1))
        assert (found.verdict, found.fall) == ("inverted U", "collapse")
        assert found.next_beta == 45.0
        assert not found.best_range.open_high

    def test_a_fall_is_gradual_with_two_active_latents(self) -> None:
        """The very same scores fall gradually if the last configuration has not collapsed."""
        means = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.1]
        assert judged(study(means, n_collapsed=0)).fall == "gradual"

    def test_two_configurations_and_a_collapse(self) -> None:
        """Three β are enough: the peak may be the last before the collapse."""
        found = judged(study([0.7, 0.8, 0.1], n_collapsed=1))
        assert (found.verdict, found.fall) == ("inverted U", "collapse")

    def test_a_dip(self) -> None:
        """More seeds would not make one peak of two: none are asked for."""
        found = judged(study([0.8, 0.6, 0.4, 0.6, 0.8]))
        assert (found.verdict, found.more_seeds) == ("not resolved", None)
        assert "more seeds will hardly tell" in found.text

    def test_not_resolved(self) -> None:
        """Where noise hides the curve, the number of seeds that would do is given."""
        found = judged(study([0.78, 0.8, 0.8, 0.78], sd=0.04))
        assert found.verdict == "not resolved"
        assert found.more_seeds > 3
        assert found.text.startswith(
            f"needs about {found.more_seeds} more seeds a configuration: 0.780 at"
        )

    def test_seeds_to_settle_by_hand(self) -> None:
        """The seeds asked for are 2 s² (t + z)² / h² with the observed height h and scatter s."""
        frame = study([0.70, 0.73, 0.72, 0.71], sd=0.03)
        values = next(lines(frame, score_names=["beta_vae"])).values
        rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
        s2, df, h, z = (rest**2).sum() / 6, 6, 0.02, stats.norm.ppf(0.8)
        # one-sided 5 % of the larger of two t with 6 df and correlation ½ (Dunnett, 1955): 2.34
        yes = 2 * s2 * ((2.34 + z) / h) ** 2
        no = 2 * s2 * ((stats.t.ppf(0.975, df) + z) / (np.sqrt(s2) - h)) ** 2
        found = seeds_to_settle(values, np.zeros(len(values), dtype=np.bool_))
        assert found == pytest.approx(min(yes, no), rel=0.02)
        assert judged(frame).more_seeds == int(np.ceil(found)) - 3

    def test_counts_the_seeds_that_all_configurations_have(self) -> None:
        """Fresh seeds at one configuration only do not make the others any surer."""
        frame = study([0.78, 0.8, 0.8, 0.78], sd=0.04, seeds=5)
        frame = frame[(frame["seed"] < 3) | (frame["beta"] == 0.5)]
        values = next(lines(frame, score_names=["beta_vae"])).values
        total = seeds_to_settle(values, np.zeros(len(values), dtype=np.bool_))
        assert judged(frame).more_seeds == int(np.ceil(total)) - 3

    @pytest.mark.parametrize(
        ("extra", "look"),
        [
            ({}, "this study has no stricter score"),
            ({"sap": 0.1, "mig": 0.2}, "look at mig"),
            ({"factor_vae": 0.5}, "look at factor_vae"),
        ],
    )
    def test_saturated(self, extra: dict[str, float], look: str) -> None:
        """More than a quarter of the configurations near the ceiling: a stricter score is named."""
        means = [0.80, 0.98, 0.985, 0.99, 0.9, 0.8, 0.7, 0.6]
        found = judged(study(means, sd=0.001, **extra))
        assert found.verdict == "saturated"
        assert found.text == f"3 of 8 configurations exceed 0.97 and cannot be told apart: {look}"

    def test_saturated_does_not_send_to_itself(self) -> None:
        """The saturated score is not the stricter one, even if it usually would be."""
        frame = study([0.98] * 4, sd=0.001).rename(columns={"beta_vae": "mig"}).assign(sap=0.1)
        (found,) = judge_all(frame, score_names=["mig"])
        assert found.text.endswith("look at sap")

    def test_an_own_score_has_no_ceiling(self) -> None:
        """One of the user's may be a hundred, and still tell configurations apart."""
        means = [20.0, 40, 60, 90, 70, 60, 50, 10]
        frame = study(means, sd=0.5).rename(columns={"beta_vae": "my_score"})
        (found,) = judge_all(frame, score_names=["my_score"])

        assert "inverted U" == found.verdict

    @pytest.mark.parametrize(("near", "verdict"), [(5, "saturated"), (4, "inverted U")])
    def test_saturation_is_the_studys(self, near: int, verdict: str) -> None:
        """More than a quarter at the ceiling, over all latent sizes: every line is saturated."""
        high = study([0.98] * near + [0.5] * (8 - near), sd=0.001)
        low = study([0.2, 0.3, 0.5, 0.8, 0.6, 0.5, 0.4, 0.3], sd=0.001).assign(latent_dim=5)
        found = judge_all(pd.concat([high, low]), score_names=["beta_vae"])
        assert {at.latent_dim: str(at.verdict) for at in found}[5] == verdict

    def test_a_quarter_near_the_ceiling_is_not_saturated(self) -> None:
        """Two of eight configurations may be that good."""
        assert (
            judged(study([0.8, 0.98, 0.99, 0.9, 0.8, 0.7, 0.6, 0.5], sd=0.001)).verdict
            == "inverted U"
        )

    def test_leaves_incomplete_configurations_aside_and_counts_them(self) -> None:
        """A configuration with a failed seed is neither a peak nor a flank."""
        frame = study([0.2, 0.3, 0.9, 0.3, 0.2])
        frame.loc[(frame["beta"] == 2.0) & (frame["seed"] == 1), "state"] = "failed"
        found = judged(frame)
        assert found.n_incomplete == 1
        assert found.best.beta != 2.0

    def test_of_a_search_that_has_completed_one_configuration(self) -> None:
        """The β with fewer seeds are the grid around it: nothing lies at its border."""
        frame = study([0.2, 0.3, 0.5, 0.4, 0.3], seeds=3)
        frame = frame[(frame["seed"] == 0) | (frame["beta"] == 2.0)].assign(repeats=3)
        found = judged(frame)
        assert (found.best.beta, found.n_incomplete) == (2.0, 4)
        assert (found.next_beta, found.best_range) == (None, None)

    def test_left_out_seeds_of_udr_are_none(self) -> None:
        """The UDR of a seed is made of pairs with those that chose β."""
        frame = study(HIGGINS, n_collapsed=1).rename(columns={"beta_vae": "udr"})
        (found,) = judge_all(frame, score_names=["udr"])
        assert np.isfinite(found.best.mean)
        assert np.isnan(found.left_out_score)

    def test_a_collapsed_configuration_is_neither_best_nor_chosen(self) -> None:
        """Where nothing is encoded some scores are high."""
        found = judged(study([0.2, 0.3, 0.5, 0.4, 1.0], n_collapsed=1))
        assert (found.best.beta, found.best.collapsed, found.next_beta) == (2.0, False, None)
        assert found.left_out_score == pytest.approx(0.5, abs=0.03)

    def test_says_how_many_configurations_it_takes(self) -> None:
        """Two β are no curve."""
        found = judged(study([0.2, 0.3]))
        assert (found.verdict, found.more_seeds) == ("not resolved", None)
        assert found.text.startswith("takes three β, has 2")

    def test_asks_for_three_seeds_of_a_study_with_one(self) -> None:
        """One seed tells no noise."""
        found = judged(study([0.2, 0.4, 0.2], seeds=1))
        assert (found.verdict, found.more_seeds) == ("not resolved", 2)

    def test_does_not_compare_configurations_that_share_no_seed(self) -> None:
        """Seeds are blocks: a layout without blocks settles nothing, and does not crash."""
        frame = study([0.2, 0.4, 0.2], seeds=6)
        frame = frame[frame["seed"] % 3 == frame["beta"].map({0.1: 0, 0.5: 1, 2.0: 2})]
        assert judged(frame).verdict == "not resolved"

    def test_asks_for_seeds_where_some_configurations_share_none(self) -> None:
        """A pair of configurations without a shared seed is passed over, not taken for unknown."""
        frame = study([0.78, 0.8, 0.8, 0.78], sd=0.04, seeds=6)
        early, late = frame["seed"] < 3, frame["seed"] >= 3
        frame = frame[~((frame["beta"] == 0.1) & late) & ~((frame["beta"] == 0.5) & early)]
        found = judged(frame)
        assert found.verdict == "not resolved"
        assert found.more_seeds > 3

    def test_of_a_study_that_has_just_begun(self) -> None:
        """Without a complete configuration there is nothing to say."""
        found = judged(study([0.2, 0.4, 0.2]).assign(state="pending"))
        assert (found.verdict, found.text) == ("not resolved", "no configuration is complete yet")
        assert (found.best, found.best_range, found.next_beta) == (None, None, None)
        assert found.n_incomplete == 3

    def test_of_a_single_latent(self) -> None:
        """With one latent nothing is disentangled: no configuration has two active ones."""
        found = judged(study([0.2, 0.4, 0.2], n_collapsed=3))
        assert found.text.startswith("every β between the ends has collapsed")


def test_judge_all_judges_every_line_of_the_chart() -> None:
    """Each latent size, axis value and score has its own verdict."""
    up, bump = np.linspace(0.2, 0.9, 8), HIGGINS
    frame = pd.concat([study(up, model="mlp"), study(bump, model="conv")]).assign(mig=0.5)
    found = judge_all(frame, score_names=["beta_vae", "mig"], axes=["model"])
    assert [(dict(one.axes)["model"], one.score, str(one.verdict)) for one in found[:2]] == [
        ("conv", "beta_vae", "inverted U"),
        ("mlp", "beta_vae", "rising"),
    ]


def test_judge_ignores_the_order_of_seeds() -> None:
    """Renumbering seeds changes nothing: blocks have no order."""
    frame = study(HIGGINS, n_collapsed=1, sd=0.05)
    (line,) = lines(frame, score_names=["beta_vae"])
    (other,) = lines(frame.assign(seed=[2, 0, 1] * 8), score_names=["beta_vae"])
    assert judge(line).text == judge(other).text
