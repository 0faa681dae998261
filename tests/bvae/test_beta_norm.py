import pytest

from bvae.beta_norm import beta_norm


@pytest.mark.parametrize(
    ("beta", "latent_dim", "image_size", "expected"),
    [
        (4.0, 10, 64 * 64, 0.00977),
        (16.0, 5, 64 * 64, 0.01953),
        (1.0, 32, 64 * 64, 0.00781),
        (3.0, 8, 3 * 32 * 32, 0.00781),
    ],
)
def test_beta_norm(beta: float, latent_dim: int, image_size: int, expected: float) -> None:
    """β · M / N, with N counting every channel."""
    actual = beta_norm(beta, latent_dim=latent_dim, image_size=image_size)

    assert actual == pytest.approx(expected, abs=5e-6)
