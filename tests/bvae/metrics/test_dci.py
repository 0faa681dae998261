import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier

from bvae.exceptions import DataError
from bvae.metrics.dci import Dci, completeness, dci, disentanglement
from bvae.metrics.split import split
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def measured(codes: Floats, factors: Ints) -> Dci:
    """The scores with all 480 rows."""
    table = code_table(codes, factors)
    return dci(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))


class TestFormulas:
    def test_agree_with_scipy(self) -> None:
        """Disentanglement and completeness of any matrix, by scipy's entropy."""
        R = np.random.default_rng(0).gamma(0.3, size=(6, 4))
        R /= R.sum(axis=0)
        of_latents = 1 - entropy(R.T, base=4)
        of_factors = 1 - entropy(R, base=6)

        assert pytest.approx(R.sum(axis=1) @ of_latents / R.sum()) == disentanglement(R)
        assert pytest.approx(tuple(of_factors)) == completeness(R).per_factor
        assert pytest.approx(of_factors.mean()) == completeness(R).value

    def test_nothing_important_gets_zero(self) -> None:
        """Without any importance both are 0."""
        assert disentanglement(np.zeros((3, 2))) == 0
        assert completeness(np.zeros((3, 2))).value == 0

    def test_one_latent_is_complete(self) -> None:
        """With M = 1 no other latent can share a factor; it serves all, so D = 0."""
        R = np.ones((1, 4))

        assert completeness(R).value == 1
        assert pytest.approx(0) == disentanglement(R)


class TestScores:
    def test_perfect_code_gets_one(self, factors: Ints, identity: Floats) -> None:
        """The three ceilings are 1."""
        assert [evaluation.value for evaluation in measured(identity, factors)] == pytest.approx(
            [1, 1, 1], abs=1e-6
        )

    def test_constant_code_gets_zero_and_chance(self, factors: Ints) -> None:
        """A code that says nothing has no importance, and answers the most frequent class."""
        found = measured(np.full((480, 2), 0.1), factors)

        assert found.disentanglement.value == found.completeness.value == 0
        assert found.informativeness.value == found.informativeness.chance
        assert 0.1 < found.informativeness.chance < 0.3

    def test_rotation_lowers_them(self, factors: Ints, rotated: Floats) -> None:
        """The same information spread over all latents is neither disentangled nor complete."""
        found = measured(rotated, factors)

        assert found.disentanglement.value < 0.2
        assert found.completeness.value < 0.2

    def test_a_missing_factor_is_not_informative(self, factors: Ints, identity: Floats) -> None:
        """Only the accuracy of the factor that is not there falls to chance."""
        per_factor = measured(identity[:, 1:], factors).informativeness.per_factor

        assert per_factor[0] < 0.5
        assert per_factor[1:] == (1, 1, 1)

    def test_one_latent_gets_its_documented_values(self, factors: Ints, identity: Floats) -> None:
        """With M = 1 completeness is 1 and disentanglement small."""
        found = measured(identity[:, :1], factors)

        assert found.completeness.value == 1
        assert found.disentanglement.value < 0.01

    @pytest.mark.slow
    def test_agrees_with_gradient_boosting(self, factors: Ints, entangled: Floats) -> None:
        """Scikit-learn's trees, a hundred times slower, give the same scores within .05."""
        table = code_table(entangled, factors).without_factors((2, 3))
        parts = split(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))
        columns, accuracies = [], []
        for y, y_eval in zip(parts.factors_train.T, parts.factors_eval.T, strict=True):
            trees = GradientBoostingClassifier(random_state=0).fit(parts.codes_train, y)
            columns.append(trees.feature_importances_)
            accuracies.append(trees.score(parts.codes_eval, y_eval))
        R = np.stack(columns, axis=1)
        expected = [disentanglement(R), completeness(R).value, np.mean(accuracies)]
        found = dci(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))

        assert pytest.approx(expected, abs=0.05) == [evaluation.value for evaluation in found]

    def test_tiny_tables_can_be_scored(self) -> None:
        """Leaves may hold a single row: 24 rows are enough for trees to find a perfect code."""
        factors = np.indices((2, 3, 4)).reshape(3, -1).T
        table = code_table(factors * 1.0, factors)
        found = dci(table, n_train=20, n_eval=4, rng=np.random.default_rng(0))

        assert found.disentanglement.value > 0.9
        assert found.informativeness.value > 0.9

    def test_needs_two_factors(self, factors: Ints, identity: Floats) -> None:
        """There is nothing to entangle where there is one factor."""
        table = code_table(identity, factors).without_factors((0, 1, 2))
        with pytest.raises(DataError, match="two factors"):
            dci(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))
