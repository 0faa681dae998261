"""Scores of disentanglement from a table of codes and factors: arrays in, floats out.

`score` is the flat view of `bvae.metrics.scoring.score_table`; each score has a module of its own,
and `bvae.metrics.protocols` names the settings they are computed with.
"""

from bvae.metrics.scoring import score

__all__ = ["score"]
