import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score

from bvae.exceptions import ConfigError, DataError
from bvae.metrics import score
from bvae.metrics.protocols import FAST, PROTOCOLS
from bvae.metrics.scores import SCORE_NAMES
from bvae.metrics.scoring import score_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SMALL = replace(FAST, n_train=600, n_eval=300, n_train_votes=600, n_eval_votes=300)
ALL = replace(SMALL, scores=SCORE_NAMES)
MIG = replace(SMALL, scores=("mig",))


def gap_of(codes: Floats, classes: Ints) -> float:
    """The gap of one factor by scikit-learn."""
    known = []
    for latent in codes.T:
        edges = np.histogram_bin_edges(latent, 20)
        known.append(mutual_info_score(np.digitize(latent, edges[1:-1]), classes))
    entropy = mutual_info_score(classes, classes)
    return float((sorted(known)[-1] - sorted(known)[-2]) / entropy)


@pytest.fixture(scope="module")
def logvar() -> Floats:
    """Log-variances of a code whose six latents are all informative."""
    return np.full((480, 6), -3.0)


@pytest.fixture(scope="module")
def plain(factors: Ints, entangled: Floats) -> dict[str, float]:
    """Scores of the middling code."""
    return score(entangled, factors, protocol=ALL)


@pytest.fixture(scope="module")
def five() -> Ints:
    """A lattice of five factors."""
    return np.indices((3, 2, 4, 5, 3)).reshape(5, -1).T


class TestCeilingsAndChance:
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_perfect_code(self, factors: Ints, identity: Floats, protocol: str) -> None:
        """A perfect code has every score at its ceiling."""
        values = score_table(
            identity, factors, protocol=replace(PROTOCOLS[protocol], scores=SCORE_NAMES)
        ).values()
        ones = dict.fromkeys(SCORE_NAMES, 1.0)
        below_one = {"sap", "explicitness"}

        assert {n: v for n, v in values.items() if n not in below_one} == pytest.approx(
            {n: v for n, v in ones.items() if n not in below_one}, abs=1e-6
        )
        assert values["explicitness"] > 0.95

    def test_constant_code(self, factors: Ints) -> None:
        """A constant code has every score at chance or 0, up to the frequencies of classes."""
        scores = score_table(np.full((480, 2), 0.1), factors, protocol=ALL).scores
        levels = {"beta_vae": 0.25, "explicitness": 0.5}
        levels["dci_informativeness"] = scores["dci_informativeness"].chance

        assert {name: s.value for name, s in scores.items()} == (
            dict.fromkeys(SCORE_NAMES, 0.0) | levels
        )

    def test_codes_in_between_are_in_between(self, factors: Ints, entangled: Floats) -> None:
        """A middling code is above its chance and below one in every score."""
        scores = score_table(entangled, factors, protocol=ALL).scores

        assert {*ALL.scores} == scores.keys()
        for found in scores.values():
            assert found.chance < found.value < 1


class TestSymmetries:
    def test_the_order_of_rows_is_nothing(
        self, factors: Ints, entangled: Floats, plain: dict[str, float]
    ) -> None:
        """Shuffled rows of a lattice have exactly the same scores."""
        order = np.random.default_rng(0).permutation(480)

        assert plain == score(entangled[order], factors[order], protocol=ALL)

    def test_the_order_of_latents_is_nothing(
        self, factors: Ints, entangled: Floats, plain: dict[str, float]
    ) -> None:
        """Permuted latents have the same scores, but for ties of trees and an answer or two."""
        permuted = score(entangled[:, [3, 1, 5, 0, 4, 2]], factors, protocol=ALL)

        assert plain == pytest.approx(permuted, abs=0.01)
        assert plain["mig"] == pytest.approx(permuted["mig"], abs=1e-12)
        assert plain["factor_vae"] == permuted["factor_vae"]

    def test_signs_are_nothing(
        self, factors: Ints, entangled: Floats, plain: dict[str, float]
    ) -> None:
        """Mirrored latents have the same scores, but for codes on the edges of bins and splits."""
        mirrored = score(entangled * [1, -1, -1, 1, -1, 1], factors, protocol=ALL)

        assert plain == pytest.approx(mirrored, abs=0.02)
        assert plain["beta_vae"] == mirrored["beta_vae"]
        assert plain["factor_vae"] == mirrored["factor_vae"]

    def test_higgins2017_sees_no_scale(self, factors: Ints, entangled: Floats) -> None:
        """Scaled codes move no score of the protocol by more than .01."""
        small, plain, large = (
            score(entangled * scale, factors, protocol="higgins2017") for scale in (0.1, 1, 10)
        )

        assert plain == pytest.approx(small, abs=0.01)
        assert plain == pytest.approx(large, abs=0.01)

    def test_the_seed_decides(self, factors: Ints, entangled: Floats) -> None:
        """The same seed gives the same scores, another seed others, but for the exact ones."""
        first, again, other = (
            score(entangled, factors, logvar=entangled * 0 - 1, protocol=SMALL, seed=seed)
            for seed in (1, 1, 2)
        )

        assert first == again
        assert {"mig", "modularity", "mig_active", "modularity_active"} == {
            name for name in first if first[name] == other[name]
        }


class TestRepresentations:
    def test_without_logvar_there_is_one(self, factors: Ints, entangled: Floats) -> None:
        """Samples and active latents need log-variances."""
        assert set(score(entangled, factors, protocol=ALL)) == set(SCORE_NAMES)

    def test_with_logvar_there_are_three(
        self, factors: Ints, entangled: Floats, logvar: Floats
    ) -> None:
        """Every score comes plain, on samples and on the active latents."""
        values = score(entangled, factors, logvar=logvar, protocol=SMALL)

        assert set(values) == {
            name + suffix for name in SMALL.scores for suffix in ("", "_sampled", "_active")
        }

    @pytest.mark.parametrize("protocol", [ALL, replace(PROTOCOLS["higgins2017"], n_evaluations=1)])
    def test_dead_latents_leave_active_scores_alone(
        self, factors: Ints, entangled: Floats, logvar: Floats, protocol: Any
    ) -> None:
        """Tiny latents that carry factors, with unit variance, bend only the plain scores."""
        tiny = factors - factors.mean(axis=0)
        tiny = 0.03 * tiny / tiny.std(axis=0)
        padded = np.hstack([tiny[:, :2], entangled, tiny[:, 2:]])
        padded_logvar = np.hstack([np.zeros((480, 2)), logvar, np.zeros((480, 2))])
        alone = score(entangled, factors, logvar=logvar, protocol=protocol)
        beside = score(padded, factors, logvar=padded_logvar, protocol=protocol)
        names = [name for name in alone if name.endswith("_active")]

        assert len(names) == len(SCORE_NAMES)
        assert {n: alone[n] for n in names} == {n: beside[n] for n in names}
        assert beside["mig"] > alone["mig"] + 0.2

    def test_active_scores_are_the_plain_ones_if_all_are(
        self, factors: Ints, entangled: Floats, logvar: Floats
    ) -> None:
        """Without a dead latent nothing is computed twice, nor different."""
        scores = score_table(entangled, factors, logvar=logvar, protocol=SMALL).scores
        active = {name: scores[f"{name}_active"] for name in SMALL.scores}

        assert {name: scores[name] for name in SMALL.scores} == active
        assert [] == [name for name, value in active.items() if value is not scores[name]]

    def test_no_active_latent_is_a_constant_code(self, factors: Ints) -> None:
        """A model that has collapsed altogether has the scores of a constant code."""
        tiny = 0.01 * factors
        values = score(tiny, factors, logvar=np.zeros_like(tiny), protocol=ALL)
        constant = score(np.zeros((480, 1)), factors, protocol=ALL)

        assert {name: values[name + "_active"] for name in SCORE_NAMES} == constant
        assert values["beta_vae_active"] == 0.25
        assert values["mig"] > 0.9

    @pytest.mark.parametrize("std", [0.01, 0.1, 0.4])
    def test_samples_have_the_posterior_deviation(
        self, factors: Ints, identity: Floats, std: float
    ) -> None:
        """MIG of the sample is that of codes with noise of this standard deviation."""
        noise = np.random.default_rng(9).normal(scale=std, size=(480, 4))
        expected = score(identity + noise, factors, protocol=MIG)["mig"]
        logvar = np.full((480, 4), 2 * np.log(std))
        values = score(identity, factors, logvar=logvar, protocol=MIG)

        assert values["mig_sampled"] == pytest.approx(expected, abs=0.03)
        assert values["mig"] == pytest.approx(1)

    def test_further_latents_leave_samples_as_they_are(
        self, factors: Ints, entangled: Floats, logvar: Floats
    ) -> None:
        """The noise of a latent does not depend on how many follow it."""
        more = np.hstack([entangled, np.zeros((480, 1))])
        more_logvar = np.hstack([logvar, np.full((480, 1), -50)])
        alone = score(entangled, factors, logvar=logvar, protocol=MIG)
        beside = score(more, factors, logvar=more_logvar, protocol=MIG)

        assert alone["mig_sampled"] == pytest.approx(beside["mig_sampled"], abs=1e-9)


class TestFactorsAskedFor:
    def test_higgins2017_asks_for_four_of_five(self, five: Ints) -> None:
        """The first of five factors varies but is not asked for; a code may ignore it."""
        scores = score_table(five[:, 1:] * 1.0, five, protocol="higgins2017", only=["beta_vae"])

        assert (1, 2, 3, 4) == scores.factors
        assert "3x2x4x5x3" == scores.lattice
        assert scores.scores["beta_vae"].n_factors == 4
        assert scores.scores["beta_vae"].value == 1

    @pytest.mark.parametrize(
        ("protocol", "drop", "asked"),
        [
            ("locatello2019", None, (0, 1, 2, 3, 4)),
            ("higgins2017", (), (0, 1, 2, 3, 4)),
            ("locatello2019", (1, 4), (0, 2, 3)),
        ],
    )
    def test_others_can_be_dropped(
        self, five: Ints, protocol: str, drop: tuple[int, ...] | None, asked: tuple[int, ...]
    ) -> None:
        """`drop` overrules the protocol, either way."""
        scores = score_table(five * 1.0, five, protocol=protocol, only=["mig"], drop=drop)

        assert asked == scores.factors
        assert len(asked) == scores.scores["mig"].n_factors

    def test_higgins2017_asks_for_all_of_four(self, factors: Ints, identity: Floats) -> None:
        """Tables without a shape are taken as they are."""
        scores = score_table(identity, factors, protocol="higgins2017", only=["mig"])

        assert (0, 1, 2, 3) == scores.factors


class TestMissing:
    def test_a_table_with_gaps_gets_every_score(self, factors: Ints, entangled: Floats) -> None:
        """No score needs a full lattice; which table it was stands beside them."""
        scores = score_table(entangled[1:], factors[1:], protocol=ALL)

        assert (None, {}, {}) == (scores.lattice, scores.missing, scores.left_out)
        assert set(SCORE_NAMES) == set(scores.scores)
        assert (479,) * 4 == scores.n_known

    def test_what_cannot_be_scored_is_logged(
        self, factors: Ints, entangled: Floats, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A factor of one class is left out, a score without a second factor is missing."""
        two = np.stack([factors[:, 1], np.full(480, 4)], axis=1)
        with caplog.at_level(logging.WARNING):
            values = score(entangled, two, protocol=ALL)

        assert {"mig", "sap", "explicitness"} == set(values)
        assert "No factor 1: it has a single class" in caplog.text
        assert "No beta_vae: Expected at least two factors" in caplog.text

    def test_unknown_classes_leave_out_their_rows_for_that_factor_alone(
        self, factors: Ints, entangled: Floats
    ) -> None:
        """A factor's gap is that of the rows where it is known, whatever is unknown of others."""
        rng = np.random.default_rng(0)
        lacking = np.where(rng.random(factors.shape) < 0.3, np.nan, factors)
        lacking[:, 0] = factors[:, 0]
        found = score_table(entangled, lacking, protocol=ALL)

        for k, gap in enumerate(found.scores["mig"].per_factor):
            known = ~np.isnan(lacking[:, k])
            assert known.sum() == found.n_known[k]
            assert gap == pytest.approx(gap_of(entangled[known], factors[known, k]))
        assert set(SCORE_NAMES) == set(found.scores)
        full = score_table(entangled, factors, protocol=ALL).values()
        assert full == pytest.approx(found.values(), abs=0.15)

    def test_a_subset_scores_like_its_lattice(
        self, factors: Ints, entangled: Floats, plain: dict[str, float]
    ) -> None:
        """Losing one row in 480 hardly moves the scores that are left."""
        part = score(entangled[1:], factors[1:], protocol=ALL)

        assert {name: plain[name] for name in part} == pytest.approx(part, abs=0.1)

    def test_a_single_factor_gets_what_needs_no_other(
        self, factors: Ints, identity: Floats
    ) -> None:
        """With K = 1 only scores of factors one by one are left."""
        scores = score_table(identity, factors[:, 3:], protocol=ALL)

        assert set(scores.scores) == {"mig", "sap", "explicitness"}
        assert "two factors" in scores.missing["dci_completeness"]

    def test_missing_variants_are_named(
        self, factors: Ints, entangled: Floats, logvar: Floats
    ) -> None:
        """Reasons come for samples and active latents too."""
        scores = score_table(entangled, factors[:, :1], logvar=logvar, protocol=SMALL)

        assert {"beta_vae_sampled", "beta_vae_active", "beta_vae"} <= set(scores.missing)

    def test_a_rare_class_may_lack_rows_to_evaluate(self) -> None:
        """An area under a curve needs rows of two classes; the other scores do not."""
        rare = np.arange(400) >= 398
        common = np.arange(400) % 2
        factors = np.stack([rare, common], axis=1)
        scores = score_table(factors * 1.0, factors, protocol=ALL, seed=2)

        assert {"explicitness"} == set(scores.missing)
        assert "a class is so rare" in scores.missing["explicitness"]

    def test_too_few_rows_to_train_on(self) -> None:
        """Where a class may lack training rows, scores without training are left."""
        factors = np.indices((12, 2)).reshape(2, -1).T
        scores = score_table(factors * 1.0, factors, protocol=ALL)

        assert {"beta_vae", "factor_vae", "mig", "modularity"} == set(scores.scores)
        assert "factor 0 has 12 classes and only 16 rows" in scores.missing["sap"]


class TestRefusals:
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_codes_that_are_not_finite(self, factors: Ints, bad: float) -> None:
        """NaN is an error of ours, not a traceback of scikit-learn's."""
        codes = np.zeros((480, 2))
        codes[7, 1] = bad

        with pytest.raises(DataError, match="finite `codes`, but 1 of 480 rows"):
            score(codes, factors)

    def test_fewer_points_than_classes(self) -> None:
        """Classes that hardly occur twice are refused before any counting."""
        with pytest.raises(DataError, match="factor 0 has 9 classes in 9 rows"):
            score(np.zeros((9, 2)), np.stack([np.arange(9), np.arange(9) * 3], axis=1))

    def test_unknown_names(self, factors: Ints, identity: Floats) -> None:
        """Wrong names of scores and protocols list the right ones."""
        with pytest.raises(ConfigError, match=r"among beta_vae, .*, but got dci, migg"):
            score_table(identity, factors, only=("migg", "dci", "mig"))
        with pytest.raises(ConfigError, match="among higgins2017"):
            score(identity, factors, protocol="higgins")

    def test_negative_seeds(self, factors: Ints, identity: Floats) -> None:
        """A seed that no generator takes is refused as a setting."""
        with pytest.raises(ConfigError, match="seed of at least 0, but got -1"):
            score(identity, factors, seed=-1)

    def test_hard_inputs_are_scored_without_a_warning(self, factors: Ints) -> None:
        """Repeated, constant, heavy-tailed, huge and tiny latents all give numbers."""
        rng = np.random.default_rng(0)
        codes = np.hstack(
            [
                factors[:, :1] * 1e5,
                factors[:, :1] * 1e5,
                np.full((480, 1), 3.3),
                rng.standard_cauchy((480, 1)).clip(-1e5, 1e5),
                1e-9 * factors[:, 1:2],
            ]
        )
        values = score(codes, factors, logvar=np.full_like(codes, -30), protocol=ALL)

        assert np.isfinite(list(values.values())).all()


def test_one_latent_gets_every_score(factors: Ints, identity: Floats) -> None:
    """With M = 1 every score has its documented value."""
    values = score(identity[:, :1], factors, protocol=ALL)

    assert set(values) == set(SCORE_NAMES)
    assert values["mig"] == pytest.approx(0.25)
    assert values["dci_completeness"] == values["modularity"] == 1
    assert np.isfinite(list(values.values())).all()
