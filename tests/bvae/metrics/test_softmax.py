import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from bvae.metrics.softmax import fitted, standardised


class TestFitted:
    def test_minimises_the_documented_objective(self) -> None:
        """Weights are those of a direct minimisation of |W|²/2 + C Σ -ln p."""
        rng = np.random.default_rng(0)
        features = rng.normal(size=(60, 2))
        classes = (features @ rng.normal(size=(2, 3)) + rng.gumbel(size=(60, 3))).argmax(axis=1)

        def objective(parameters: np.ndarray) -> float:
            weights, offsets = parameters[:6].reshape(2, 3), parameters[6:]
            log_p = log_softmax(features @ weights + offsets, axis=1)
            return (weights**2).sum() / 2 - 0.7 * log_p[np.arange(60), classes].sum()

        expected = minimize(objective, np.zeros(9), tol=1e-10).x[:6].reshape(2, 3)
        model = fitted(features, classes, C=0.7, tol=1e-8)

        assert pytest.approx(expected, abs=1e-3) == model.coef_.T

    def test_stops_unconverged_without_a_warning(self) -> None:
        """A hundred steps that do not suffice give no warning (warnings are errors here)."""
        rng = np.random.default_rng(0)
        features = rng.normal(size=(500, 20)) * np.logspace(-3, 3, 20)

        assert fitted(features, rng.integers(5, size=500), C=1.0).n_iter_[0] == 100


class TestStandardised:
    def test_constant_columns_are_only_shifted(self) -> None:
        """A column that is constant up to rounding is not blown up."""
        by = np.full((1000, 1), 0.1, dtype=np.float32)

        assert pytest.approx(0.4, abs=1e-6) == standardised(np.array([[0.5]]), by=by)[0, 0]

    def test_gives_zero_mean_and_unit_variance(self) -> None:
        """Standardised by itself, a column has mean 0 and standard deviation 1."""
        z = np.random.default_rng(0).normal(5, 3, size=(100, 2))
        result = standardised(z, by=z)

        assert pytest.approx(0, abs=1e-12) == result.mean(axis=0)
        assert pytest.approx(1) == result.std(axis=0)
