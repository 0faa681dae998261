import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bvae.exceptions import DataError
from bvae.metrics.beta_vae import beta_vae, pair_differences
from bvae.metrics.evaluation import Evaluation
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SETTINGS: dict[str, Any] = {"n_pairs": 16, "n_train": 1500, "n_eval": 1500}


def measured(codes: Floats, factors: Ints, **settings: Any) -> Evaluation:
    """The score with few points, by the ridge classifier unless told otherwise."""
    options = SETTINGS | {"classifier": "ridge", "rng": np.random.default_rng(0)} | settings
    return beta_vae(code_table(codes, factors), **options)


def brute_force(codes: Floats, factors: Ints, *, n_pairs: int, n_train: int, n_eval: int) -> float:
    """The score by loops over points and pairs, from the definition."""
    rng = random.Random(1)
    row_of = {tuple(classes): row for row, classes in enumerate(factors.tolist())}
    sizes = [max(column) + 1 for column in zip(*row_of, strict=True)]
    points, labels = [], []
    for _ in range(n_train + n_eval):
        y = rng.randrange(len(sizes))
        total = np.zeros(codes.shape[1])
        for _ in range(n_pairs):
            first = [rng.randrange(size) for size in sizes]
            second = [rng.randrange(size) for size in sizes]
            second[y] = first[y]
            total += abs(codes[row_of[tuple(first)]] - codes[row_of[tuple(second)]])
        points.append(total / n_pairs)
        labels.append(y)
    model = LogisticRegression(max_iter=1000).fit(points[:n_train], labels[:n_train])
    return float(model.score(points[n_train:], labels[n_train:]))


class TestPairs:
    def test_differences_have_their_exact_means(self, factors: Ints, entangled: Floats) -> None:
        """For each factor, mean z_diff is the mean over all pairs of rows that share it."""
        table = code_table(entangled, factors)
        y = np.repeat(np.arange(4), 4000)
        z_diff = pair_differences(table, y, n_pairs=3, rng=np.random.default_rng(0))

        apart = np.abs(entangled[:, None] - entangled[None])
        for k in range(4):
            shared = factors[:, None, k] == factors[None, :, k]
            assert pytest.approx(apart[shared].mean(axis=0), rel=0.02) == z_diff[y == k].mean(
                axis=0
            )

    def test_averages_over_pairs(self, factors: Ints, entangled: Floats) -> None:
        """The variance of z_diff falls as 1/L."""
        table = code_table(entangled, factors)
        y = np.zeros(4000, dtype=np.int64)
        variances = [
            pair_differences(table, y, n_pairs=L, rng=np.random.default_rng(0)).var(axis=0)
            for L in (1, 25)
        ]

        assert pytest.approx(25, rel=0.15) == variances[0] / variances[1]

    def test_a_shared_factor_leaves_no_difference(self, factors: Ints, identity: Floats) -> None:
        """In a perfect code the latent of the shared factor does not differ, others do."""
        y = np.arange(100) % 4
        table = code_table(identity, factors)
        z_diff = pair_differences(table, y, n_pairs=50, rng=np.random.default_rng(0))

        assert np.array_equal(y, z_diff.argmin(axis=1))
        assert (np.count_nonzero(z_diff == 0, axis=1) == 1).all()

    def test_wide_tables_go_through_in_blocks(self, factors: Ints) -> None:
        """More latents than a block holds change nothing."""
        wide = np.tile(factors[:, :1], (1, 4_000)).astype(np.float32)
        y = np.array([1, 0, 1])
        z_diff = pair_differences(
            code_table(wide, factors), y, n_pairs=90, rng=np.random.default_rng(0)
        )
        narrow = pair_differences(
            code_table(factors[:, :1] * 1.0, factors), y, n_pairs=90, rng=np.random.default_rng(0)
        )

        assert pytest.approx(np.tile(narrow, (1, 4_000)), rel=1e-6) == z_diff


class TestScore:
    @pytest.mark.parametrize("classifier", ["softmax", "ridge"])
    def test_perfect_code_gets_one(self, factors: Ints, identity: Floats, classifier: str) -> None:
        """The ceiling is 1, for every factor."""
        evaluation = measured(identity, factors, classifier=classifier)

        assert (1.0, 0.25, (1.0,) * 4) == evaluation

    @pytest.mark.parametrize("classifier", ["softmax", "ridge"])
    def test_constant_code_gets_chance(self, factors: Ints, classifier: str) -> None:
        """A code that says nothing gets exactly 1/K."""
        evaluation = measured(np.full((480, 3), 0.1), factors, classifier=classifier)

        assert (0.25, 0.25, (0.25,) * 4) == evaluation

    def test_noise_gets_about_chance(self, factors: Ints) -> None:
        """A code without any factor in it is at chance, give or take its sampling noise."""
        noise = np.random.default_rng(3).normal(size=(480, 5))

        assert pytest.approx(0.25, abs=0.06) == measured(noise, factors, n_pairs=1).value

    @pytest.mark.parametrize("n_pairs", [1, 4])
    def test_agrees_with_brute_force(self, factors: Ints, entangled: Floats, n_pairs: int) -> None:
        """Loops over pairs give the same score, up to the noise of 1,500 answers."""
        expected = brute_force(entangled, factors, n_pairs=n_pairs, n_train=1500, n_eval=1500)

        assert 0.3 < expected < 0.95
        assert (
            pytest.approx(expected, abs=0.04) == measured(entangled, factors, n_pairs=n_pairs).value
        )

    def test_a_missing_factor_can_go_unnoticed(self, factors: Ints, identity: Floats) -> None:
        """K - 1 disentangled factors are enough for nearly 1, as Kim & Mnih say."""
        assert measured(identity[:, 1:], factors, n_pairs=64).value > 0.98

    def test_per_factor_accuracies_average_to_the_score(
        self, factors: Ints, entangled: Floats
    ) -> None:
        """Every y is as frequent as the others, so the score is close to their mean."""
        evaluation = measured(entangled, factors)

        assert pytest.approx(evaluation.value, abs=0.02) == np.mean(evaluation.per_factor)
        assert max(evaluation.per_factor) - min(evaluation.per_factor) > 0.05

    @pytest.mark.parametrize("scale", [1e-3, 0.1, 10, 1e3])
    def test_softmax_does_not_see_the_scale(
        self, factors: Ints, entangled: Floats, scale: float
    ) -> None:
        """Codes of any scale get the same score by the softmax classifier."""
        expected = measured(entangled, factors, classifier="softmax").value
        scaled = measured(entangled * scale, factors, classifier="softmax").value

        assert pytest.approx(expected, abs=0.002) == scaled

    def test_ridge_sees_the_scale(self, factors: Ints, entangled: Floats) -> None:
        """Tiny codes get less by the ridge classifier: the reason for the other one."""
        plain = measured(entangled, factors).value

        assert plain - measured(entangled * 0.003, factors).value > 0.1

    def test_one_latent_is_enough_to_score(self, factors: Ints, identity: Floats) -> None:
        """With M = 1 the score lies between chance and 1."""
        assert 0.25 < measured(identity[:, :1], factors).value < 0.9

    def test_needs_two_factors(self, factors: Ints) -> None:
        """Factors cannot be told apart where there is one."""
        with pytest.raises(DataError, match="two factors"):
            beta_vae(
                code_table(np.zeros((480, 1)), factors).without_factors((0, 1, 2)),
                **SETTINGS,
                classifier="ridge",
                rng=np.random.default_rng(0),
            )
