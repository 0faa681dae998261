import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import normalized_mutual_info_score

from bvae.metrics.latents import active_units, informative_latents, kl_per_latent, latent_map
from bvae.metrics.mutual_information import binned

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TestKl:
    @pytest.mark.parametrize(("mu", "logvar"), [(0.0, 0.0), (1.5, -2.0), (-0.3, 0.7)])
    def test_is_the_integral_of_its_definition(self, mu: float, logvar: float) -> None:
        """The closed form is ∫ q ln(q/p), in nats."""
        q, p = norm(mu, np.exp(logvar / 2)), norm(0, 1)
        expected, _ = quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -12, 12)

        assert pytest.approx(expected, abs=1e-7) == kl_per_latent([[mu]], [[logvar]])[0]

    def test_averages_over_rows(self) -> None:
        """Each latent has the mean KL of its rows, in double precision whatever comes."""
        mu = np.array([[2.0, 0.0], [0.0, 0.0]], dtype=np.float16)

        assert kl_per_latent(mu, np.zeros_like(mu)).tolist() == [1.0, 0.0]
        assert kl_per_latent(mu, np.zeros_like(mu)).dtype == np.float64


class TestActivity:
    def test_dead_latents_have_hardly_any_kl(self) -> None:
        """A mean of .03 with unit variance is below .01 nats, one of .2 above."""
        mu = np.array([[0.03, 0.2], [-0.03, -0.2]])

        assert informative_latents(mu, np.zeros_like(mu)).tolist() == [False, True]

    def test_a_certain_latent_is_informative_without_moving(self) -> None:
        """KL counts the variance of the posterior, active units that of its mean."""
        mu, logvar = np.zeros((4, 1)), np.full((4, 1), -3.0)

        assert informative_latents(mu, logvar).tolist() == [True]
        assert active_units(mu).tolist() == [False]

    def test_units_are_active_above_a_variance_of_a_hundredth(self) -> None:
        """The variance of the mean, not its square, is compared with .01."""
        mu = np.array([[0.09, 0.11, 5.0], [-0.09, -0.11, 5.0]])

        assert active_units(mu).tolist() == [False, True, False]


class TestMap:
    def test_assigns_every_latent_its_factor(self, factors: Ints, identity: Floats) -> None:
        """Permuted latents find their factors, in units of the factor's entropy."""
        order = [2, 0, 3, 1]
        found = latent_map(-identity[:, order], factors)

        assert found.assigned == tuple(order)
        assert pytest.approx(np.eye(4)[order], abs=1e-12) == found.information

    def test_agrees_with_scikit_learn(self, factors: Ints, entangled: Floats) -> None:
        """Scikit-learn's normalised information, by the factor's entropy, is the same."""
        bins = binned(entangled, n_bins=20)
        # the smaller entropy of the two is the factor's, which has fewer classes than bins in use
        expected = [
            [normalized_mutual_info_score(v, z, average_method="min") for v in factors.T]
            for z in bins.T
        ]

        assert pytest.approx(np.array(expected)) == latent_map(entangled, factors).information

    def test_leaves_out_what_cannot_be_scored(self, factors: Ints, identity: Floats) -> None:
        """The columns of the map are told, and factors go by the columns that were given."""
        found = latent_map(identity, factors * [1, 0, 1, 1])

        assert (0, 2, 3) == found.columns
        assert (4, 3) == found.information.shape
        assert (0, None, 2, 3) == found.assigned

    def test_assigns_none_to_the_dead(self, factors: Ints, identity: Floats) -> None:
        """A latent without KL follows no factor, though its tiny mean may."""
        logvar = np.where(np.arange(4) == 1, 0.0, -3.0) * np.ones((480, 4))
        codes = identity * np.where(np.arange(4) == 1, 0.02, 1)
        found = latent_map(codes, factors, logvar=logvar)

        assert found.assigned == (0, None, 2, 3)
        assert found.information[1, 1] > 0.9

    def test_assigns_none_to_the_ignorant(self, factors: Ints, identity: Floats) -> None:
        """A constant latent follows no factor."""
        assert latent_map(identity * [1, 0, 1, 1], factors).assigned == (0, None, 2, 3)
