import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from bvae.metrics.sap import latent_accuracies, margins, sap
from bvae.metrics.split import Split, split
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SIZES = (3, 4, 5, 8)


@pytest.fixture
def parts(factors: Ints, entangled: Floats) -> Split:
    """320 training and 160 evaluation rows."""
    table = code_table(entangled, factors)
    return split(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))


def reference(x: Floats, y: Ints) -> LinearSVC:
    """The reference's classifier, converged."""
    return LinearSVC(C=0.01, class_weight="balanced", tol=1e-8, dual=False).fit(x[:, None], y)


class TestMargins:
    @pytest.mark.parametrize("scale", [0.01, 1, 100])
    @pytest.mark.parametrize("offset", [0, -5])
    def test_agree_with_scikit_learn(
        self, factors: Ints, entangled: Floats, scale: float, offset: float
    ) -> None:
        """Slopes and offsets are LinearSVC's to four digits, unequal classes included."""
        kept = np.flatnonzero(np.random.default_rng(0).random(480) < 0.2 + 0.2 * factors[:, 0])
        x = (entangled[kept, 0] + offset) * scale
        slope, offsets = margins(x, factors[kept], SIZES)

        ends = np.cumsum(SIZES)[:-1]
        for k, (w, b) in enumerate(
            zip(np.split(slope, ends), np.split(offsets, ends), strict=True)
        ):
            expected = reference(x, factors[kept, k])
            size = np.abs(expected.intercept_).max()
            assert pytest.approx(expected.coef_[:, 0] * scale, abs=1e-4 * size) == w * scale
            assert pytest.approx(expected.intercept_, abs=1e-4 * size) == b

    def test_agree_where_there_are_two_classes(self, entangled: Floats) -> None:
        """Two classes are weighted both, as LIBLINEAR does, and mirror each other."""
        y = (entangled[:, 0] + entangled[:, 1] > 1.5).astype(np.int64)
        slope, offsets = margins(entangled[:, 0], y[:, None], (2,))
        expected = reference(entangled[:, 0], y)

        assert pytest.approx(expected.coef_[0, 0], rel=1e-4) == slope[1]
        assert pytest.approx(expected.intercept_[0], rel=1e-4) == offsets[1]
        assert pytest.approx(-slope[1]) == slope[0]

    @pytest.mark.parametrize(
        "x",
        [
            pytest.param(np.random.default_rng(0).standard_t(1.5, size=480) * 30, id="heavy tails"),
            pytest.param(np.arange(480) % 2 * 1.0, id="two values"),
            pytest.param(np.zeros(480), id="zero"),
            pytest.param(np.full(480, -3.3), id="constant"),
        ],
    )
    def test_leave_no_gradient(self, factors: Ints, x: Floats) -> None:
        """Odd features too end at the minimum, where the gradient of the loss vanishes."""
        slope, offsets = margins(x, factors, SIZES)

        j = 0
        for k, size in enumerate(SIZES):
            for c in range(size):
                t = np.where(factors[:, k] == c, 1, -1)
                weight = np.where(t > 0, 0.01 * 480 / (size * (t > 0).sum()), 0.01)
                pull = 2 * weight * t * np.maximum(0, 1 - t * (slope[j] * x + offsets[j]))
                assert pytest.approx(slope[j], abs=1e-6) == pull @ x
                assert pytest.approx(offsets[j], abs=1e-6) == pull.sum()
                j += 1


class TestScore:
    def test_accuracies_agree_with_scikit_learn(self, parts: Split) -> None:
        """Each latent predicts each factor as well as LinearSVC, but for an answer or two."""
        expected = [
            [
                reference(x, y).score(x_eval[:, None], y_eval)
                for y, y_eval in zip(parts.factors_train.T, parts.factors_eval.T, strict=True)
            ]
            for x, x_eval in zip(parts.codes_train.T, parts.codes_eval.T, strict=True)
        ]

        assert pytest.approx(np.array(expected), abs=0.02) == latent_accuracies(parts, SIZES)

    def test_score_is_the_mean_gap(self, factors: Ints, entangled: Floats, parts: Split) -> None:
        """SAP is the gap between the two best accuracies, averaged over factors."""
        accuracies = np.sort(latent_accuracies(parts, SIZES), axis=0)
        evaluation = sap(
            code_table(entangled, factors), n_train=320, n_eval=160, rng=np.random.default_rng(0)
        )

        assert pytest.approx(tuple(accuracies[-1] - accuracies[-2])) == evaluation.per_factor
        assert pytest.approx(np.mean(evaluation.per_factor)) == evaluation.value
        assert evaluation.chance == 0

    @pytest.mark.parametrize("repeated", [True, False])
    def test_constant_and_repeated_latents_get_zero(
        self, factors: Ints, identity: Floats, repeated: bool
    ) -> None:
        """There is no gap between latents that predict alike."""
        codes = np.hstack([identity, identity]) if repeated else np.full((480, 2), 0.1)
        table = code_table(codes, factors)

        assert sap(table, n_train=320, n_eval=160, rng=np.random.default_rng(0)).value == 0

    def test_one_latent_is_compared_with_the_most_frequent_class(
        self, factors: Ints, identity: Floats
    ) -> None:
        """With M = 1 the gap is what the latent adds to the most frequent class."""
        table = code_table(identity[:, :1] * 10, factors)
        evaluation = sap(table, n_train=320, n_eval=160, rng=np.random.default_rng(0))

        assert 0.2 < evaluation.per_factor[0] < 0.7
        assert pytest.approx((0, 0, 0), abs=0.08) == evaluation.per_factor[1:]
        assert min(evaluation.per_factor) >= 0
