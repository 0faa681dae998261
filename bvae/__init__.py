"""One β-VAE run: data, networks, losses, model, scores, tracking."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bvae.weights import load as load

__all__ = ("__version__", "load")

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # `load` brings torch, which reading a finished study must not.
    if name == "load":
        from bvae.weights import load

        return load
    raise AttributeError(f"module 'bvae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
