"""One β-VAE run: data, networks, losses, model, scores, tracking."""

__version__ = "0.1.0"
