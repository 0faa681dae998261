"""Lines of a curve made of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.analysis.curve import Line


def line_of(
    values: NDArray[np.float64],
    *,
    betas: Sequence[float] | None = None,
    latent_dim: int = 10,
    score: str = "mig",
    axes: tuple[tuple[str, Any], ...] = (),
    n_collapsed: int = 0,
) -> Line:
    """A complete line with these scores [C, S], at β = 1, 2, 4 … of 1,000 input values.

    The last configurations have collapsed.
    """
    configurations, seeds = values.shape
    grid = 2.0 ** np.arange(configurations) if betas is None else np.array(betas[:configurations])
    return Line(
        axes=axes,
        latent_dim=latent_dim,
        score=score,
        betas=grid,
        beta_norms=grid * latent_dim / 1000,
        seeds=tuple(range(seeds)),
        values=values,
        complete=np.ones(configurations, dtype=np.bool_),
        n_failed=np.zeros(configurations, dtype=np.int64),
        n_pruned=np.zeros(configurations, dtype=np.int64),
        active_latents=np.array([5.0] * (configurations - n_collapsed) + [0.0] * n_collapsed),
        protocols=("p",) * configurations,
    )
