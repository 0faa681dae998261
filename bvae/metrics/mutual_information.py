"""Mutual information between binned latents and factors, by counting.

Shapes: n rows, M latents, K factors, B bins, C classes.
"""

import numpy as np
from numpy.typing import NDArray

from bvae.metrics.protocols import N_BINS
from bvae.metrics.table import CodeTable, Floats, Ints


def mutual_information(table: CodeTable, *, n_bins: int = N_BINS) -> NDArray[np.float64]:
    """I(z_j; v_k) in nats [M, K], each latent cut into `n_bins` equal-width bins.

    It is over all rows where the class of v_k is known.

    I = Σ_{b,c} p(b,c) ln(p(b,c) / (p(b) p(c))), from 0 to min(ln n_bins, H(v_k)). Of independent
    variables it finds about (n_bins - 1)(sizes[k] - 1) / 2n nats, the bias of counting.

    Example:
        >>> from bvae.metrics.table import code_table
        >>> factors = np.indices((2, 4)).reshape(2, -1).T
        >>> table = code_table(factors * 1.0, factors)
        >>> mutual_information(table).round(3).tolist()
        [[0.693, 0.0], [0.0, 1.386]]
    """
    information = np.empty((table.n_latents, table.n_factors))
    for columns, part in table.complete_parts():
        bins = binned(part.codes, n_bins=n_bins)
        for k, classes, size in zip(columns, part.factors.T, part.sizes, strict=True):
            counts = _counts(bins, classes, n_bins=n_bins, n_classes=size)
            information[:, k] = _information(counts)
    return information


def entropies(table: CodeTable) -> NDArray[np.float64]:
    """H(v_k) in nats [K]; ln sizes[k] on a full lattice."""
    counts = [np.bincount(classes[classes >= 0]) for classes in table.factors.T]
    frequencies = [count / count.sum() for count in counts]
    return np.array([-(p * np.log(p)).sum() for p in frequencies])


def binned(codes: Floats, *, n_bins: int) -> Ints:
    """Bin 0 … n_bins - 1 of each code [n, M], between the least and the greatest of its latent.

    Bins are closed on the left, the last on both sides, as in numpy.histogram. A latent that does
    not vary fills a single bin.
    """
    bins = np.empty(codes.shape, dtype=np.int64)
    for j, latent in enumerate(codes.T.astype(np.float64)):
        edges = np.linspace(latent.min(), latent.max(), n_bins + 1)
        bins[:, j] = np.searchsorted(edges[1:-1], latent, side="right")
    return bins


def _counts(bins: Ints, classes: Ints, *, n_bins: int, n_classes: int) -> Ints:
    """How often latent j is in bin b while the factor is in class c [M, B, C]."""
    M = len(bins.T)
    cell = (np.arange(M) * n_bins + bins) * n_classes + classes[:, None]
    counts = np.bincount(cell.ravel(), minlength=M * n_bins * n_classes)
    return counts.reshape(M, n_bins, n_classes)


def _information(counts: Ints) -> NDArray[np.float64]:
    """Mutual information in nats [M] of counts [M, B, C]."""
    p = counts / counts[0].sum()
    independent = p.sum(axis=2, keepdims=True) * p.sum(axis=1, keepdims=True)
    ratio = np.divide(p, independent, out=np.ones_like(p), where=p > 0)
    information: NDArray[np.float64] = (p * np.log(ratio)).sum(axis=(1, 2))
    return np.maximum(information, 0)
