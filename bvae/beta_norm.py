"""β_norm, by which β is compared across latent and image sizes; it imports nothing."""


def beta_norm(beta: float, *, latent_dim: int, image_size: int) -> float:
    """β · M / N of M latents and images of N input values (Higgins et al. 2017, §4.2).

    >>> beta_norm(4.0, latent_dim=10, image_size=64 * 64)
    0.009765625
    """
    return beta * latent_dim / image_size
