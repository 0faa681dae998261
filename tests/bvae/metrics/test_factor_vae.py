import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bvae.exceptions import DataError
from bvae.metrics.evaluation import Evaluation
from bvae.metrics.factor_vae import factor_vae, local_variances
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SETTINGS: dict[str, Any] = {"n_rows": 16, "n_train": 1500, "n_eval": 1500, "min_std": 0.05}


def measured(codes: Floats, factors: Ints, **settings: Any) -> Evaluation:
    """The score with few votes."""
    options = SETTINGS | {"rng": np.random.default_rng(0)} | settings
    return factor_vae(code_table(codes, factors), **options)


def brute_force(codes: Floats, factors: Ints, *, n_rows: int, n_train: int, n_eval: int) -> float:
    """The score by loops over votes, from the definition; no latent is dead."""
    rng = random.Random(1)
    sizes = factors.max(axis=0) + 1
    spread = codes.var(axis=0, ddof=1)
    votes = []
    for _ in range(n_train + n_eval):
        y = rng.randrange(len(sizes))
        rows = np.flatnonzero(factors[:, y] == rng.randrange(sizes[y])).tolist()
        batch = codes[[rng.choice(rows) for _ in range(n_rows)]]
        votes.append((int((batch.var(axis=0, ddof=1) / spread).argmin()), y))
    table = np.zeros((codes.shape[1], len(sizes)))
    for latent, y in votes[:n_train]:
        table[latent, y] += 1
    answers = table.argmax(axis=1)
    return float(np.mean([answers[latent] == y for latent, y in votes[n_train:]]))


class TestVotes:
    def test_variances_have_their_exact_means(self, factors: Ints, entangled: Floats) -> None:
        """For each factor, the mean is the variance within a class, averaged over its classes."""
        table = code_table(entangled, factors)
        y = np.repeat(np.arange(4), 8000)
        found = local_variances(table, y, n_rows=3, rng=np.random.default_rng(0))

        for k in range(4):
            within = [
                entangled[factors[:, k] == c].var(axis=0) for c in range(factors[:, k].max() + 1)
            ]
            expected = np.mean(within, axis=0)
            assert pytest.approx(expected, rel=0.03) == found[y == k].mean(axis=0)

    def test_a_fixed_factor_leaves_no_variance(self, factors: Ints, identity: Floats) -> None:
        """In a perfect code exactly the latent of the fixed factor stands still."""
        y = np.arange(200) % 4
        table = code_table(identity, factors)
        variances = local_variances(table, y, n_rows=64, rng=np.random.default_rng(0))

        assert np.array_equal(y, variances.argmin(axis=1))
        assert np.array_equal(variances < 1e-12, np.eye(4, dtype=bool)[y])


class TestScore:
    def test_perfect_code_gets_one(self, factors: Ints, identity: Floats) -> None:
        """The ceiling is 1, for every factor, with any scale above the threshold."""
        scaled = identity * [1, 0.1, 100, 1]

        assert (1.0, 0.25, (1.0,) * 4) == measured(scaled, factors, n_rows=64)

    @pytest.mark.parametrize("codes", [np.full((480, 3), 0.1), np.tile([[0.0], [0.01]], (240, 2))])
    def test_dead_code_gets_zero(self, factors: Ints, codes: Floats) -> None:
        """Without a latent above the threshold nobody can vote."""
        assert (0.0, 0.25, (0.0,) * 4) == measured(codes, factors)

    def test_constant_code_gets_zero_without_a_threshold(self, factors: Ints) -> None:
        """A latent that does not vary has no share of variance to compare."""
        assert measured(np.full((480, 3), 0.1), factors, min_std=0.0).value == 0

    @pytest.mark.parametrize("n_rows", [2, 16])
    def test_agrees_with_brute_force(self, factors: Ints, entangled: Floats, n_rows: int) -> None:
        """Loops over votes give the same score, up to the noise of 1,500 votes."""
        expected = brute_force(entangled, factors, n_rows=n_rows, n_train=1500, n_eval=1500)

        assert 0.3 < expected < 0.95
        assert (
            pytest.approx(expected, abs=0.04) == measured(entangled, factors, n_rows=n_rows).value
        )

    def test_dead_latents_do_not_vote(self, factors: Ints, entangled: Floats) -> None:
        """Tiny latents change nothing, before or behind the others, whatever they carry."""
        tiny = factors[:, :1] * 0.001
        padded = np.hstack([tiny, entangled[:, :3], tiny, entangled[:, 3:], tiny])

        assert measured(entangled, factors) == measured(padded, factors)
        assert measured(entangled, factors) != measured(padded, factors, min_std=0.0)

    def test_the_threshold_is_on_the_standard_deviation(
        self, factors: Ints, identity: Floats
    ) -> None:
        """A latent votes from a standard deviation of .05 on, not from a variance of .05."""
        unit = identity / identity.std(axis=0, ddof=1)

        assert measured(unit * 0.051, factors, n_rows=64).value == 1
        assert measured(unit * 0.049, factors, n_rows=64).value == 0

    def test_a_missing_factor_costs_its_votes(self, factors: Ints, identity: Floats) -> None:
        """Votes about a factor that no latent carries go to other factors."""
        evaluation = measured(identity[:, 1:], factors, n_rows=64)

        assert (0.0, 1.0, 1.0, 1.0) == evaluation.per_factor
        assert pytest.approx(0.75, abs=0.03) == evaluation.value

    def test_an_offset_is_harmless(self, factors: Ints, entangled: Floats) -> None:
        """Codes far from zero in single precision keep their votes."""
        far = (entangled + 1000).astype(np.float32)

        assert (
            pytest.approx(measured(entangled, factors).value, abs=0.005)
            == measured(far, factors).value
        )

    def test_needs_two_factors(self, factors: Ints, identity: Floats) -> None:
        """Factors cannot be told apart where there is one."""
        single = code_table(identity, factors).without_factors((0, 1, 2))
        with pytest.raises(DataError, match="two factors"):
            factor_vae(single, **SETTINGS, rng=np.random.default_rng(0))
