"""Scores of disentanglement from a table of codes and factors: arrays in, floats out.

`bvae.metrics.scores` names them, each score has a module of its own, and
`bvae.metrics.protocols` names the settings they are computed with. `score` is the flat view of
`bvae.metrics.scoring.score_table`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bvae.metrics.scoring import score as score


def __getattr__(name: str) -> object:
    # `score` brings every metric, which asking for a name must not.
    if name == "score":
        from bvae.metrics.scoring import score

        return score
    raise AttributeError(f"module 'bvae.metrics' has no attribute {name!r}")
