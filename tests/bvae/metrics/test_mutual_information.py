import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from bvae.metrics.mutual_information import binned, entropies, mutual_information
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TestBins:
    @pytest.mark.parametrize("n_bins", [1, 2, 20])
    def test_are_those_of_numpy_histogram(self, entangled: Floats, n_bins: int) -> None:
        """Counts are NumPy's, also where codes lie on an edge."""
        codes = np.hstack([entangled, np.arange(480)[:, None] % 11])
        bins = binned(codes, n_bins=n_bins)

        for j, latent in enumerate(codes.T):
            expected, _ = np.histogram(latent, n_bins)
            assert np.array_equal(expected, np.bincount(bins[:, j], minlength=n_bins))

    def test_a_constant_latent_fills_one(self) -> None:
        """All rows of a constant latent are in the same bin."""
        assert len(np.unique(binned(np.full((9, 1), 0.1, dtype=np.float32), n_bins=20))) == 1

    def test_each_latent_has_its_own(self) -> None:
        """The range is that of the latent, not of the table."""
        codes = np.array([[0.0, 0.0], [1.0, 100.0]])

        assert binned(codes, n_bins=2).tolist() == [[0, 0], [1, 1]]


class TestInformation:
    def test_agrees_with_scikit_learn(self, factors: Ints, entangled: Floats) -> None:
        """Every pair of latent and factor has scikit-learn's mutual information."""
        bins = binned(entangled, n_bins=7)
        expected = [[mutual_info_score(v, z) for v in factors.T] for z in bins.T]
        found = mutual_information(code_table(entangled, factors), n_bins=7)

        assert pytest.approx(np.array(expected), abs=1e-12) == found

    def test_agrees_with_scikit_learn_off_the_lattice(
        self, factors: Ints, entangled: Floats
    ) -> None:
        """Unequal class frequencies are counted too."""
        rows = np.random.default_rng(0).integers(480, size=300)
        bins = binned(entangled[rows], n_bins=20)
        expected = [[mutual_info_score(v, z) for v in factors[rows].T] for z in bins.T]
        found = mutual_information(code_table(entangled[rows], factors[rows]))

        assert pytest.approx(np.array(expected), abs=1e-12) == found

    def test_of_a_factor_with_itself_is_its_entropy(self, factors: Ints) -> None:
        """A perfect code has H(v_k) on its factor and 0 on others."""
        table = code_table(factors * 1.0, factors)

        assert pytest.approx(np.diag(np.log([3, 4, 5, 8])), abs=1e-12) == mutual_information(table)

    def test_is_never_negative(self) -> None:
        """Rounding does not make information negative, as it would on this lattice."""
        factors = np.indices((5, 7, 9)).reshape(3, -1).T

        assert mutual_information(code_table(factors * 1.0, factors)).min() == 0


def test_entropies_are_those_of_the_frequencies(factors: Ints) -> None:
    """H(v_k) counts rows, not classes."""
    rows = np.random.default_rng(0).integers(480, size=50)
    expected = [entropy(np.unique(v, return_counts=True)[1]) for v in factors[rows].T]
    found = entropies(code_table(np.zeros((50, 1)), factors[rows]))

    assert pytest.approx(expected) == found.tolist()
