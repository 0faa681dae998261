"""Many β-VAE runs: trials, queue, workers, result files, curve, report."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.api import LoadedStudy as LoadedStudy
    from sweeps.api import load_study as load_study
    from sweeps.api import run as run

__all__ = ("LoadedStudy", "load_study", "run")


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing one module of the package costs that module only.
    if name in __all__:
        return getattr(import_module("sweeps.api"), name)
    raise AttributeError(f"module 'sweeps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
