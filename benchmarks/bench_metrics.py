"""Seconds that the scores take on a table of 46,080 rows and 10 latents.

Run: make bench ONLY=metrics

The table is that of a plausible model: seven latents mix the five factors, three are nearly dead.
Processor seconds of one thread are counted: other processes on the machine do not add to them.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bvae.metrics.protocols import PROTOCOLS
from bvae.metrics.scoring import score_table

Row = tuple[str, str, str]

SIZES = (3, 6, 40, 8, 8)
CHEAP = ("beta_vae", "factor_vae", "mig", "sap", "modularity", "explicitness")


class Table(NamedTuple):
    """Codes and log-variances [46080, 10] and factors [46080, 5]."""

    codes: NDArray[np.float32]
    factors: NDArray[np.int64]
    logvar: NDArray[np.float32]


def plausible_table() -> Table:
    """Latents that mix the factors; the last three have a tiny scale and no KL."""
    rng = np.random.default_rng(0)
    factors = np.indices(SIZES).reshape(5, -1).T
    mixed = (factors / np.array(SIZES) - 0.5) * 3 @ rng.normal(size=(5, 10))
    codes = (mixed + 0.7 * np.tanh(mixed) + 0.1 * rng.normal(size=mixed.shape)).astype(np.float32)
    codes[:, 7:] *= 0.02
    logvar = np.where(np.arange(10) < 7, -3, 0) * np.ones_like(codes)
    return Table(codes, factors, logvar)


def seconds(table: Table, *, protocol: str, only: tuple[str, ...], variants: bool = False) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    logvar = table.logvar if variants else None
    score_table(table.codes, table.factors, logvar=logvar, protocol=protocol, only=only)
    return time.process_time() - start


def rows() -> Iterator[Row]:
    """Yield a row for each figure: name, value, goal."""
    for figure, value, goal in measured():
        yield figure, f"{value:.2f}", goal


def measured() -> Iterator[tuple[str, float, str]]:
    """Yield name, CPU seconds and goal of each figure."""
    table = plausible_table()
    seconds(table, protocol="fast", only=CHEAP)  # the first call loads libraries
    for protocol in PROTOCOLS:
        for name in CHEAP:
            yield f"{protocol}, {name}, s", seconds(table, protocol=protocol, only=(name,)), ""
        goal = "<= 1.5" if protocol == "locatello2019" else ""
        yield f"{protocol}, all but DCI, s", seconds(table, protocol=protocol, only=CHEAP), goal
    dci = seconds(table, protocol="locatello2019", only=("dci_disentanglement",))
    yield "locatello2019, DCI, s", dci, "<= 8"
    fast = seconds(table, protocol="fast", only=CHEAP, variants=True)
    yield "fast, with samples and active latents, s", fast, "<= 1.5"


if __name__ == "__main__":
    for figure, value, goal in rows():
        print(f"{figure:<45}{value:>6}  {goal}", flush=True)
