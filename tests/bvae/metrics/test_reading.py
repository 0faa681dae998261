import numpy as np

from bvae.metrics.reading import accuracy


def test_a_factor_never_asked_about_counts_as_zero() -> None:
    """A factor without questions has no accuracy to divide by."""
    reading = accuracy(np.array([0, 0]), np.array([0, 0]), n_factors=2)

    assert (1.0, 0.5, (1.0, 0.0)) == reading
