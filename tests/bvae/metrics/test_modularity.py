import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from bvae.exceptions import DataError
from bvae.metrics.modularity import areas_under_roc, explicitness, modularity
from bvae.metrics.mutual_information import binned
from bvae.metrics.split import split
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TestModularity:
    def test_follows_its_definition(self, factors: Ints, entangled: Floats) -> None:
        """The mean over latents of 1 - Σ others² / ((K - 1) best²), from scikit-learn's I."""
        parts = []
        for z in binned(entangled, n_bins=20).T:
            *others, best = sorted(mutual_info_score(v, z) for v in factors.T)
            parts.append(1 - sum(i**2 for i in others) / (3 * best**2))
        evaluation = modularity(code_table(entangled, factors))

        assert pytest.approx(np.mean(parts)) == evaluation.value

    def test_perfect_code_gets_one(self, factors: Ints, identity: Floats) -> None:
        """A latent of a single factor is fully modular, repeated or not."""
        codes = np.hstack([identity, identity[:, :2]])

        assert pytest.approx(1) == modularity(code_table(codes, factors)).value

    def test_constant_code_gets_zero(self, factors: Ints) -> None:
        """A latent without information is not modular."""
        assert modularity(code_table(np.full((480, 2), 0.1), factors)).value == 0

    def test_a_latent_of_two_factors_gets_less(self) -> None:
        """A latent with as much information on two of four factors gets 1 - 1/(K - 1)."""
        factors = np.indices((2, 2, 3, 4)).reshape(4, -1).T
        both = factors[:, :1] * 2.0 + factors[:, 1:2]

        assert pytest.approx(2 / 3) == modularity(code_table(both, factors)).value

    def test_needs_two_factors(self, factors: Ints, identity: Floats) -> None:
        """There is nothing to mix where there is one factor."""
        with pytest.raises(DataError, match="two factors"):
            modularity(code_table(identity, factors).without_factors((0, 1, 2)))


class TestExplicitness:
    def test_agrees_with_scikit_learn(self, factors: Ints, entangled: Floats) -> None:
        """The areas of a converged classifier in double precision are the same within .005."""
        table = code_table(entangled, factors)
        parts = split(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))
        scaler = StandardScaler().fit(parts.codes_train)
        expected = []
        for y, y_eval in zip(parts.factors_train.T, parts.factors_eval.T, strict=True):
            model = LogisticRegression(max_iter=5000).fit(scaler.transform(parts.codes_train), y)
            p = model.predict_proba(scaler.transform(parts.codes_eval))
            expected.append(roc_auc_score(y_eval, p, multi_class="ovr", average="macro"))
        evaluation = explicitness(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))

        assert pytest.approx(expected, abs=0.005) == list(evaluation.per_factor)
        assert pytest.approx(np.mean(expected), abs=0.005) == evaluation.value

    def test_perfect_code_of_few_classes_gets_one(self, factors: Ints) -> None:
        """Where every class can be separated the ceiling is 1."""
        corners = code_table(factors % 2 * 1.0, factors % 2)
        evaluation = explicitness(corners, n_train=320, n_eval=160, rng=np.random.default_rng(0))

        assert pytest.approx(1) == evaluation.value

    def test_constant_code_gets_chance(self, factors: Ints) -> None:
        """A code that says nothing has ROC curves on the diagonal."""
        table = code_table(np.full((480, 2), 0.1), factors)
        evaluation = explicitness(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))

        assert (0.5, 0.5, (0.5,) * 4) == evaluation


class TestAreas:
    @pytest.mark.parametrize("decimals", [1, 8])
    def test_agree_with_scikit_learn(self, decimals: int) -> None:
        """Areas of each class are scikit-learn's, ties included."""
        rng = np.random.default_rng(0)
        scores, y = rng.random((200, 3)).round(decimals), rng.integers(3, size=200)
        expected = [roc_auc_score(y == c, scores[:, c]) for c in range(3)]

        assert pytest.approx(expected) == areas_under_roc(scores, y).tolist()

    def test_classes_that_are_not_there_are_left_out(self) -> None:
        """A class without a row, or with all of them, has no curve."""
        scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]])

        assert areas_under_roc(scores, np.array([0, 1])).tolist() == [1.0, 1.0]
        assert areas_under_roc(scores, np.array([1, 1])).tolist() == []
