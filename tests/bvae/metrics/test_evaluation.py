import numpy as np

from bvae.metrics.evaluation import accuracy


def test_a_factor_never_asked_about_counts_as_zero() -> None:
    """A factor without questions has no accuracy to divide by."""
    evaluation = accuracy(np.array([0, 0]), np.array([0, 0]), n_factors=2)

    assert (1.0, 0.5, (1.0, 0.0)) == evaluation


def test_each_factor_has_the_share_of_its_own_questions() -> None:
    """Counted one by one; the score is over all questions, so the shares do not average to it."""
    answers, asked = np.array([0, 1, 2, 2, 1, 0]), np.array([0, 0, 0, 2, 1, 2])

    assert (0.5, 1 / 3, (1 / 3, 1.0, 0.5)) == accuracy(answers, asked, n_factors=3)
