"""Pairs and votes of tables that are no full lattice, against loops over the rows there are."""

import random
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bvae.metrics.beta_vae import beta_vae, pair_differences
from bvae.metrics.draws import batches, pairs
from bvae.metrics.factor_vae import factor_vae
from bvae.metrics.table import CodeTable, code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CLASSES = np.array(
    [
        [0, 0, 0, 0, 1, 1, 2, 3, 3, -1],  # class 2 has one row
        [0, 1, 0, 1, 0, 1, -1, 0, 1, 0],
    ]
).T
PAIRED = {0: [0, 1, 2, 3, 4, 5, 7, 8], 1: [0, 1, 2, 3, 4, 5, 7, 8, 9]}
"""The rows that can be drawn for each factor."""


@pytest.fixture
def table() -> CodeTable:
    """Ten rows whose code is their number, some of unknown class."""
    factors = np.where(CLASSES < 0, np.nan, CLASSES)
    return code_table(np.arange(10.0)[:, None], factors)


@pytest.fixture(scope="module")
def sampled(factors: Ints, entangled: Floats) -> tuple[Floats, Ints]:
    """Codes and factors of 1,500 images, of which some combinations are frequent, others absent."""
    frequency = np.random.default_rng(5).exponential(size=len(factors)) ** 2
    rows = np.random.default_rng(6).choice(480, 1500, p=frequency / frequency.sum())
    noise = np.random.default_rng(7).normal(size=(1500, 6))
    return entangled[rows] + 0.05 * noise, factors[rows]


def shared_rows(classes: Ints) -> list[list[int]]:
    """For each row, the others of its class."""
    known = [(row, c) for row, c in enumerate(classes.tolist()) if c >= 0]
    return [[r for r, d in known if d == c and r != row] for row, c in known]


class TestPairs:
    def test_two_different_rows_share_the_class(self, table: CodeTable) -> None:
        """An image is never held against itself; unknown classes and those of one row are out."""
        y = np.repeat([0, 1], 500)
        first, second = pairs(table, y, n_pairs=7, rng=np.random.default_rng(0))

        assert (first != second).all()
        assert (CLASSES[first, y[:, None]] == CLASSES[second, y[:, None]]).all()
        for k, rows in PAIRED.items():
            assert np.array_equal(rows, np.unique(first[y == k]))
            assert np.array_equal(rows, np.unique(second[y == k]))

    def test_all_rows_and_all_their_partners_are_equally_likely(self, table: CodeTable) -> None:
        """Each pair comes as often as it should: frequent classes are drawn more often."""
        first, second = pairs(
            table, np.zeros(1, np.int64), n_pairs=400_000, rng=np.random.default_rng(0)
        )
        found = np.bincount(first[0] * 10 + second[0], minlength=100).reshape(10, 10) / 400_000

        expected = np.zeros((10, 10))
        for rows in ([0, 1, 2, 3], [4, 5], [7, 8]):
            for row in rows:
                for other in set(rows) - {row}:
                    expected[row, other] = 1 / 8 / (len(rows) - 1)
        assert pytest.approx(expected, abs=0.003) == found

    def test_differences_have_their_exact_means(self, sampled: tuple[Floats, Ints]) -> None:
        """Mean z_diff is the mean over all pairs of different rows of a class, row by row."""
        codes, factors = sampled
        y = np.repeat(np.arange(4), 4000)
        z_diff = pair_differences(
            code_table(codes, factors), y, n_pairs=4, rng=np.random.default_rng(0)
        )

        for k in range(4):
            expected = np.mean(
                [
                    np.abs(codes[row] - codes[others]).mean(axis=0)
                    for row, others in enumerate(shared_rows(factors[:, k]))
                ],
                axis=0,
            )
            assert pytest.approx(expected, rel=0.03) == z_diff[y == k].mean(axis=0)

    def test_the_seed_decides(self, table: CodeTable) -> None:
        """One seed gives one draw, another seed another."""
        y = np.arange(50) % 2
        once, again, other = (
            np.stack(pairs(table, y, n_pairs=5, rng=np.random.default_rng(seed)))
            for seed in (3, 3, 4)
        )

        assert np.array_equal(once, again)
        assert not np.array_equal(once, other)


class TestBatches:
    @pytest.mark.parametrize("n_rows", [2, 16])
    def test_rows_share_the_class_and_are_not_all_one(self, table: CodeTable, n_rows: int) -> None:
        """A vote sees two images at least, however small the class."""
        y = np.repeat([0, 1], 500)
        rows = batches(table, y, n_rows=n_rows, rng=np.random.default_rng(0))

        assert (1000, n_rows) == rows.shape
        assert np.ptp(CLASSES[rows, y[:, None]], axis=1).max() == 0
        assert (rows[:, 1:] != rows[:, :1]).all()
        for k, own in PAIRED.items():
            assert np.array_equal(own, np.unique(rows[y == k]))


def brute_beta_vae(codes: Floats, factors: Ints, *, n_pairs: int, n: int) -> float:
    """The β-VAE score by loops over points and pairs."""
    rng = random.Random(1)
    others = [shared_rows(classes) for classes in factors.T]
    points, labels = [], []
    for _ in range(2 * n):
        y = rng.randrange(len(others))
        total = np.zeros(codes.shape[1])
        for _ in range(n_pairs):
            row = rng.randrange(len(codes))
            total += abs(codes[row] - codes[rng.choice(others[y][row])])
        points.append(total / n_pairs)
        labels.append(y)
    model = LogisticRegression(max_iter=1000).fit(points[:n], labels[:n])
    return float(model.score(points[n:], labels[n:]))


def brute_factor_vae(codes: Floats, factors: Ints, *, n_rows: int, n: int) -> float:
    """The FactorVAE score by loops over votes; no latent is dead."""
    rng = random.Random(1)
    others = [shared_rows(classes) for classes in factors.T]
    spread = codes.var(axis=0, ddof=1)
    votes = []
    for _ in range(2 * n):
        y, row = rng.randrange(len(others)), rng.randrange(len(codes))
        batch = codes[[row, *(rng.choice(others[y][row]) for _ in range(n_rows - 1))]]
        votes.append((int((batch.var(axis=0, ddof=1) / spread).argmin()), y))
    table = np.zeros((codes.shape[1], len(others)))
    for latent, y in votes[:n]:
        table[latent, y] += 1
    answers = table.argmax(axis=1)
    return float(np.mean([answers[latent] == y for latent, y in votes[n:]]))


class TestScores:
    def test_agree_with_brute_force(self, sampled: tuple[Floats, Ints]) -> None:
        """Loops over the rows there are give the same scores, up to the noise of the answers."""
        codes, factors = sampled
        table = code_table(codes, factors)
        beta = beta_vae(
            table,
            n_pairs=4,
            n_train=1500,
            n_eval=1500,
            classifier="ridge",
            rng=np.random.default_rng(0),
        )
        factor = factor_vae(
            table, n_rows=16, n_train=1500, n_eval=1500, min_std=0.05, rng=np.random.default_rng(0)
        )

        expected = brute_beta_vae(codes, factors, n_pairs=4, n=1500)
        assert 0.3 < expected < 0.95
        assert pytest.approx(expected, abs=0.04) == beta.value
        expected = brute_factor_vae(codes, factors, n_rows=16, n=1500)
        assert 0.3 < expected < 0.95
        assert pytest.approx(expected, abs=0.04) == factor.value

    def test_rows_of_a_lattice_score_like_the_lattice(
        self, factors: Ints, entangled: Floats
    ) -> None:
        """Where all combinations are there, the two ways to draw agree, up to sampling error."""
        lattice = code_table(entangled, factors)
        rows = np.random.default_rng(0).permutation(480)
        table = replace(
            lattice, strides=None, codes=lattice.codes[rows], factors=lattice.factors[rows]
        )
        found = [
            (
                beta_vae(
                    either,
                    n_pairs=8,
                    n_train=4000,
                    n_eval=4000,
                    classifier="softmax",
                    rng=np.random.default_rng(0),
                ).value,
                factor_vae(
                    either,
                    n_rows=16,
                    n_train=4000,
                    n_eval=4000,
                    min_std=0.05,
                    rng=np.random.default_rng(0),
                ).value,
            )
            for either in (lattice, table)
        ]

        assert pytest.approx(found[0], abs=0.03) == found[1]

    def test_perfect_codes_get_one_with_classes_of_few_rows(self) -> None:
        """Classes of a few rows tell their factor; one of a single row does not disturb."""
        rng = np.random.default_rng(0)
        factors = rng.integers([2, 4, 30], size=(200, 3))
        factors[0, 2] = 30
        table = code_table(factors / [1, 3, 30], factors)

        beta = beta_vae(table, n_pairs=32, n_train=500, n_eval=500, classifier="softmax", rng=rng)
        factor = factor_vae(table, n_rows=32, n_train=500, n_eval=500, min_std=0.05, rng=rng)
        assert (1.0, 1.0) == (beta.value, factor.value)
