"""What is known of the images of a data set: a full lattice of factors, or a table of classes.

Shapes: n images, K factors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bvae.data.lattice import FactorLattice
from bvae.data.sprites import FACTOR_NAMES
from bvae.metrics.table import numbered, unscored

CODED_IMAGES = 20_000
"""At most so many images without factors are coded, evenly spread."""

MOST_ROWS = 50_000
"""At most so many images of a table are scored, drawn once and for all; a lattice has
`data.score_every`."""


@dataclass(frozen=True, eq=False)
class FactorTable:
    """Classes of K factors of images that are no full lattice: any rows, some labels unknown.

    Attributes:
        names: of the factors [K].
        classes: whole numbers [n, K], NaN where none is known.
    """

    names: tuple[str, ...]
    classes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def name(self) -> str:
        """How many classes are known of the factors that can be scored, as in 3x6 in 500 rows."""
        sizes = [
            str(classes.max() + 1) for classes in numbered(self.classes).T if not unscored(classes)
        ]
        return f"{'x'.join(sizes)} in {len(self)} rows"

    @property
    def left_out(self) -> dict[str, str]:
        """Say why a factor cannot be scored, by its name."""
        reasons = zip(self.names, map(unscored, numbered(self.classes).T), strict=True)
        return {name: reason for name, reason in reasons if reason}

    @property
    def is_unscored(self) -> bool:
        """Whether no factor can be scored."""
        return len(self.left_out) == len(self.names)

    def factors(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Classes [n, K] of the rows indices [n]."""
        return self.classes[indices]

    def part(self, rows: NDArray[np.int64]) -> "FactorTable":
        """Return the table of these rows."""
        return FactorTable(self.names, self.classes[rows])


Labels = FactorLattice | FactorTable

Classes = NDArray[np.int64] | NDArray[np.float64]
"""Of a lattice, or of a table, with NaN where none is known."""


class ScoredPart(NamedTuple):
    """The images that are scored: their rows in the data set, and what is known of them."""

    labels: Labels
    rows: NDArray[np.int64]


def scored(labels: Labels, every: Sequence[int] | None) -> ScoredPart:
    """Return every k-th class of each factor of a lattice, up to `MOST_ROWS` images of a table.

    These are drawn, not evenly spread: rows in the order of their factors would leave out classes.
    All trials score the same ones.
    """
    if isinstance(labels, FactorLattice):
        if every is None:
            return ScoredPart(labels, np.arange(len(labels)))
        return ScoredPart(*labels.every(every))
    rows = np.arange(len(labels))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False))
    return ScoredPart(labels.part(rows), rows)


def dropped(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return the factors left out of the scores: of dSprites those of the protocol, else none.

    None leaves it to the protocol; the shape that Higgins et al. leave out is dSprites' alone.
    """
    return None if tuple(names) == FACTOR_NAMES else ()


def arrays_of(labels: Labels | None) -> dict[str, NDArray[Any]]:
    """Return what `labels_of` reads, as `codes.npz` holds it: sizes of a lattice, else factors."""
    names = np.array(labels.names if labels else (), dtype=str)
    sizes = np.array(labels.sizes if isinstance(labels, FactorLattice) else (), dtype=np.int64)
    table = {"factors": labels.classes} if isinstance(labels, FactorTable) else {}
    return {"factor_names": names, "factor_sizes": sizes, **table}


def labels_of(arrays: Mapping[str, NDArray[Any]]) -> Labels | None:
    """Return the labels that `arrays_of` has written.

    Raises:
        KeyError: there are no such arrays.
        DataError: they are of no lattice.
    """
    names = tuple(str(name) for name in arrays["factor_names"])
    if "factors" in arrays:
        return FactorTable(names, arrays["factors"])
    sizes = tuple(int(size) for size in arrays["factor_sizes"])
    return FactorLattice(names, sizes) if sizes else None
