"""Rows that share the class of a factor: pairs of the β-VAE score, votes of the FactorVAE score.

On a full lattice all other factors are uniform and independent. On any other table the rows are
drawn from those there are, so that the class and the other factors follow the distribution of the
data:

* a row whose class is known and has a second row, each equally likely;
* then other rows of its class, each equally likely, with replacement; never the row itself.

The row of a class of one row has nothing to be compared with, and takes no part.

Shapes: N data points, L pairs or rows each, K factors, J rows that can be drawn, over all factors.
"""

from typing import NamedTuple, Self

import numpy as np

from bvae.metrics.table import CodeTable, Ints

FROM_TABLE = (
    "no full lattice: pairs (beta_vae) and votes (factor_vae) share a class of one "
    "factor, and the other factors follow the data's own distribution"
)
"""What there is to say of the two scores where a table is no full lattice."""


def pairs(
    table: CodeTable, y: Ints, *, n_pairs: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """First and second rows [N, L] of pairs that have the same class of factor y (int [N])."""
    shape = (len(y), n_pairs)
    if table.strides is None:
        shared = _SharedRows.of(table)
        place = shared.drawn(np.broadcast_to(y[:, None], shape), rng)
        return shared.rows[place], shared.rows[shared.others(place, rng)]
    first = rng.integers(table.n_rows, size=shape)
    return first, table.share(rng.integers(table.n_rows, size=shape), first, y[:, None])


def batches(table: CodeTable, y: Ints, *, n_rows: int, rng: np.random.Generator) -> Ints:
    """`n_rows` rows [N, L] that have the same class of factor y (int [N])."""
    if table.strides is None:
        shared = _SharedRows.of(table)
        first = shared.drawn(y[:, None], rng)
        others = shared.others(np.broadcast_to(first, (len(y), n_rows - 1)), rng)
        return shared.rows[np.hstack([first, others])]
    rows = rng.integers(table.n_rows, size=(len(y), n_rows))
    return table.share(rows, rows[:, :1], y[:, None])


class _SharedRows(NamedTuple):
    """The rows that can be drawn, factor after factor, those of a class beside each other.

    Attributes:
        rows: row numbers [J].
        start: the place where the class of each begins [J].
        size: how many rows its class has, at least 2 [J].
        ends: the places where the factors end, after a 0 [K + 1].
    """

    rows: Ints
    start: Ints
    size: Ints
    ends: Ints

    @classmethod
    def of(cls, table: CodeTable) -> Self:
        """Sort the rows by the class of each factor."""
        rows, counts = [], []
        for classes, n_classes in zip(table.factors.T, table.sizes, strict=True):
            known = np.flatnonzero(classes >= 0)
            own = classes[known]
            count = np.bincount(own, minlength=n_classes)
            # small integers are sorted by radix, in a tenth of the time
            order = np.argsort(own.astype(np.min_scalar_type(n_classes)), kind="stable")
            rows.append(known[order[count[own[order]] > 1]])
            counts.append(count[count > 1])
        size = np.concatenate(counts)
        start = np.cumsum(size) - size
        ends = np.cumsum([0, *map(len, rows)])
        return cls(np.concatenate(rows), start.repeat(size), size.repeat(size), ends)

    def drawn(self, y: Ints, rng: np.random.Generator) -> Ints:
        """Places of rows, uniform over those of factor y, in the shape of y."""
        return self.ends[y] + _below(np.diff(self.ends)[y], rng)

    def others(self, place: Ints, rng: np.random.Generator) -> Ints:
        """Places of other rows of the same class, uniform over them, in the shape of place."""
        start, size = self.start[place], self.size[place]
        return start + (place - start + 1 + _below(size - 1, rng)) % size


def _below(number: Ints, rng: np.random.Generator) -> Ints:
    """Integers uniform in 0 … number - 1, in the shape of number.

    By multiplication: `Generator.integers` takes four times as long where bounds differ. One of n
    is more or less likely than 1/n by a share of n/2³² at most.
    """
    words = rng.integers(2**32, size=number.shape, dtype=np.uint32).astype(np.int64)
    below: Ints = (words * number) >> 32
    return below
