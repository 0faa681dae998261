from collections.abc import Callable

import numpy as np
import pytest
from scipy import optimize, stats

from bvae.exceptions import DataError
from bvae.metrics.scores import score_named
from bvae.metrics.udr import Posteriors, as_independent, strength, udr
from bvae.metrics.udr import _lasso as lasso
from bvae.metrics.udr import _standardised as standardised

NOTHING = {"udr": 0.0, "udr_spearman": 0.0}

Transform = Callable[[np.ndarray], np.ndarray]


def codes(seed: int, *, n: int = 4000, m: int = 4, kl: float = 5.0) -> Posteriors:
    """Return independent Gaussian codes [n, m], each latent of about this KL."""
    mu = np.random.default_rng(seed).normal(size=(n, m))
    return Posteriors(mu, np.full((n, m), -2.0 * kl))


def scores(*models: Posteriors) -> dict[str, float]:
    """Return the scores of the first model."""
    return udr(models)[0]


class TestInvariances:
    def test_identical_codes_reach_the_ceiling(self) -> None:
        """0.9, which the Lasso's shrinkage leaves, and 1 by rank correlation."""
        found = scores(codes(0), codes(0))

        assert found["udr"] == pytest.approx(score_named("udr").high, abs=0.01)
        # max²/Σ of correlations: the others are about 1/√n each
        assert found["udr_spearman"] == pytest.approx(1, abs=0.05)

    def test_independent_codes_have_nothing_in_common(self) -> None:
        """The Lasso finds exactly nothing, ranks what chance leaves."""
        found = scores(codes(0), codes(1))

        assert 0 == found["udr"]
        assert found["udr_spearman"] < 0.03

    @pytest.mark.parametrize(
        "transform",
        [
            lambda z: z[:, [2, 0, 3, 1]],
            lambda z: z * [1, -1, 1, -1],
            lambda z: 7 * z[:, ::-1] * [-1, 1, 1, -1] + 3,
        ],
        ids=["permuted", "sign-flipped", "all, scaled and shifted"],
    )
    def test_order_sign_scale_and_place_do_not_matter(self, transform: Transform) -> None:
        """Nothing that a seed decides by chance changes the score."""
        one = codes(0)
        other = Posteriors(one.mu + 0.3 * codes(1).mu, one.logvar)
        changed = Posteriors(transform(np.asarray(other.mu)), other.logvar)

        expected = udr([one, other, codes(2)])
        actual = udr([one, changed, codes(2)])

        for before, after in zip(expected, actual, strict=True):
            assert before == pytest.approx(after, abs=1e-6)

    def test_a_bent_latent_is_the_same_by_rank(self) -> None:
        """Rank correlation sees through a monotone map."""
        one = codes(0)
        bent = Posteriors(np.exp(np.asarray(one.mu)), one.logvar)

        assert scores(one, one)["udr_spearman"] == scores(one, bent)["udr_spearman"]

    @pytest.mark.parametrize("name", ["udr", "udr_spearman"])
    def test_a_rotation_is_entangled(self, name: str) -> None:
        """Latents mixed by a rotation agree less, though nothing is lost."""
        one = codes(0)
        rotation = stats.ortho_group.rvs(4, random_state=0)
        rotated = Posteriors(np.asarray(one.mu) @ rotation, one.logvar)

        assert scores(one, rotated)[name] < 0.75 * scores(one, one)[name]


class TestMask:
    @pytest.mark.parametrize("name", ["udr", "udr_spearman"])
    def test_uninformative_latents_do_not_count(self, name: str) -> None:
        """A latent with a KL of 0.01 nats or less is as good as absent, whatever its mean says."""
        one, noise = codes(0), 0.1 * np.asarray(codes(1, m=2).mu)
        padded = Posteriors(
            np.hstack([np.asarray(one.mu), noise]),
            np.hstack([np.asarray(one.logvar), np.zeros((4000, 2))]),
        )

        assert scores(one, one)[name] == pytest.approx(scores(padded, one)[name], abs=1e-12)

    def test_a_collapsed_model_scores_nothing(self) -> None:
        """Two models without information agree on nothing."""
        collapsed = Posteriors(np.zeros((100, 3)), np.zeros((100, 3)))

        assert NOTHING == scores(collapsed, collapsed)
        assert NOTHING == scores(codes(0, n=100), collapsed)

    def test_a_single_latent_scores_nothing(self) -> None:
        """It cannot be entangled with another one: the largest β would always win."""
        assert NOTHING == scores(codes(0, m=1), codes(0, m=1))

    def test_a_latent_of_one_value_is_no_division_by_zero(self) -> None:
        """A mean that never moves is related to nothing."""
        constant = Posteriors(np.full((100, 2), 3.0), np.zeros((100, 2)))

        assert 0 == scores(constant, codes(0, n=100))["udr"]


def test_the_median_over_the_other_seeds() -> None:
    """With three seeds, two of them the same: the odd one out scores 0, the others half."""
    pair, odd = codes(0), codes(1)

    found = [one["udr"] for one in udr([pair, odd, pair])]

    assert found == pytest.approx(
        [score_named("udr").high / 2, 0, score_named("udr").high / 2], abs=0.01
    )


@pytest.mark.parametrize("correlated", [0.0, 0.3, 0.95])
def test_lasso_is_the_minimum(correlated: float) -> None:
    """Weights are those at which a general minimiser ends, also of latents much alike."""
    generator = np.random.default_rng(0)
    shared = generator.normal(size=(500, 1)) * np.sqrt(correlated / (1 - correlated))
    x = standardised(generator.normal(size=(500, 6)) + shared)
    y = standardised(x @ generator.normal(size=(6, 3)) + generator.normal(size=(500, 3)))

    expected = np.stack([minimum(x, y[:, k], alpha=0.1) for k in range(3)], axis=1)

    np.testing.assert_allclose(expected, lasso(x, y), atol=1e-6)


def minimum(x: np.ndarray, y: np.ndarray, *, alpha: float) -> np.ndarray:
    """Return |w| of a Lasso, w = p - q of p, q >= 0, in which it is smooth."""

    def loss(parts: np.ndarray) -> tuple[float, np.ndarray]:
        rest = y - x @ (parts[:6] - parts[6:])
        slope = x.T @ rest / len(x)
        return rest @ rest / len(x) / 2 + alpha * parts.sum(), np.append(
            alpha - slope, alpha + slope
        )

    options = {"ftol": 0, "gtol": 1e-10, "maxiter": 10_000}
    found = optimize.minimize(
        loss, np.zeros(12), jac=True, bounds=[(0, None)] * 12, method="L-BFGS-B", options=options
    )
    return np.abs(found.x[:6] - found.x[6:])


def test_latents_as_good_as_equal_are_no_trouble() -> None:
    """The Lasso, which shares a weight among them by chance, neither fails nor warns."""
    one = np.asarray(codes(0, n=200).mu)
    twins = np.hstack([one, one + 1e-4 * np.asarray(codes(1, n=200).mu)])
    models = [Posteriors(twins, np.full(twins.shape, -10.0))] * 2

    assert 0 < scores(*models)["udr"] < 1


def test_spearman_is_that_of_scipy() -> None:
    """R is the absolute rank correlation of scipy, of every latent with every other."""
    one, two = codes(0, m=3), codes(1, m=3)
    mixed = Posteriors(np.asarray(one.mu) + np.asarray(two.mu)[:, ::-1], two.logvar)
    whole = stats.spearmanr(np.asarray(one.mu), np.asarray(mixed.mu)).statistic

    expected = strength(np.abs(whole[:3, 3:]))

    assert scores(one, mixed)["udr_spearman"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        (np.eye(3), 1.0),
        (0.5 * np.eye(3), 0.5),
        (np.ones((2, 2)), 0.5),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), 0.5),
        (np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), (1 + 0.75) / 2),
        (np.zeros((2, 2)), 0.0),
        (np.array([[1.0], [1.0]]), 0.0),
        (np.zeros((0, 2)), 0.0),
    ],
)
def test_strength(relation: np.ndarray, expected: float) -> None:
    """One partner each is 1; partners shared, weak or missing count less, by hand."""
    assert expected == strength(relation)


class TestAsIndependent:
    @pytest.mark.parametrize("n_seeds", [3, 6])
    def test_intervals_cover_the_mean_over_pairs(self, n_seeds: int) -> None:
        """95 % of t-intervals hold the true mean, where those of the plain values hold far less.

        Pairs are h(a, b) = a + b of seeds' own numbers, whose mean over all pairs is 0.
        """
        generator = np.random.default_rng(0)
        own = generator.normal(size=(4000, n_seeds))
        others = (own.sum(axis=1, keepdims=True) - own) / (n_seeds - 1)
        values = own + others  # mean over the pairs of a seed

        def covered(sample: np.ndarray) -> float:
            half = stats.t.ppf(0.975, n_seeds - 1) * stats.sem(sample, axis=1)
            return float((np.abs(sample.mean(axis=1)) <= half).mean())

        assert covered(as_independent(values)) == pytest.approx(0.95, abs=0.015)
        assert covered(values) < 0.85

    def test_the_mean_stays(self) -> None:
        """Missing seeds or not, and two seeds are one value."""
        values = np.array([[0.1, 0.2, 0.6, np.nan], [0.3, np.nan, 0.3, np.nan], [np.nan] * 4])

        found = as_independent(values)

        assert [3, 1, 0] == np.isfinite(found).sum(axis=1).tolist()
        np.testing.assert_allclose([0.3, 0.3], np.nanmean(found[:2], axis=1))


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([codes(0)], "at least two models, but got 1"),
        ([codes(0), codes(0, n=100)], "codes .n, M. of the same n images"),
        ([codes(0), Posteriors(np.zeros(5), np.zeros(5))], "codes .n, M. of the same n images"),
    ],
)
def test_what_cannot_be_compared(models: list[Posteriors], message: str) -> None:
    """One seed alone, or other images, is an error."""
    with pytest.raises(DataError, match=message):
        udr(models)


def test_large_tables_are_sampled() -> None:
    """Ten thousand of more images give the score of all, to the second decimal."""
    one, two = codes(0, n=40_000), codes(1, n=40_000)
    mixed = Posteriors(np.asarray(one.mu) + 0.5 * np.asarray(two.mu), two.logvar)
    small = [Posteriors(np.asarray(c.mu)[:9999], np.asarray(c.logvar)[:9999]) for c in (one, mixed)]

    assert scores(*small)["udr"] == pytest.approx(scores(one, mixed)["udr"], abs=0.01)
