"""Many β-VAE runs: trials, queue, workers, result files, curve, report."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.study.study import load_study as load_study


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing one module of the package costs that module only.
    if name == "load_study":
        from sweeps.study.study import load_study

        return load_study
    raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
