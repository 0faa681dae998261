"""How long the dsprites store takes to build and to read, and how much memory its readers need.

Run: make bench ONLY=data
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from bvae.data.datamodule import ImageBatches
from bvae.data.datasets import open_dataset

READERS = 2


class Row(NamedTuple):
    """One line of the table."""

    name: str
    value: str
    bound: str


def rows() -> list[Row]:
    """Measure everything, in a cache of its own that is removed afterwards."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BVAE_CACHE"] = cache
        build_s = build_time()
        disk_mb = sum(path.stat().st_size for path in Path(cache).iterdir()) / 1e6
        batch_ms = batch_time() * 1e3
        private_mb = max(private_growth()) / 1e6
    return [
        Row("dsprites store, build", f"{build_s:.1f} s", "<= 120 s"),
        Row("dsprites store, on disk", f"{disk_mb:.0f} MB", "<= 400 MB"),
        Row("batch of 64 from it, median", f"{batch_ms:.3f} ms", "<= 0.5 ms"),
        Row("private memory of a reader", f"+{private_mb:.0f} MB", "< 150 MB"),
    ]


def build_time() -> float:
    """Seconds to build the store."""
    start = time.perf_counter()
    open_dataset("dsprites")
    return time.perf_counter() - start


def batch_time() -> float:
    """Median seconds for one batch of 64 float32 images, over a fifth of an epoch."""
    batches = ImageBatches(open_dataset("dsprites"), batch_size=64, seed=0)
    times = []
    for step in range(2000):
        start = time.perf_counter()
        batches.batch(step)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def private_growth() -> list[int]:
    """Bytes that each of two processes at once has to itself after it has read every image."""
    context = multiprocessing.get_context("spawn")
    barrier, growths = context.Barrier(READERS), context.Queue()
    readers = [context.Process(target=_read_all, args=(barrier, growths)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    result = [growths.get() for _ in readers]
    for reader in readers:
        reader.join()
    return result


def _read_all(barrier: Barrier, growths: "Queue[int]") -> None:
    before = _private_bytes()
    store = open_dataset("dsprites").store
    for rows_read in np.array_split(np.arange(len(store)), 2000):
        store.images(rows_read).sum()
    barrier.wait()  # a page is shared as long as the other process has it mapped
    growth = _private_bytes() - before
    barrier.wait()
    growths.put(growth)


def _private_bytes() -> int:
    return int(psutil.Process().memory_full_info().uss)


def main() -> None:
    """Print the table."""
    for row in rows():
        print(f"{row.name:<30}{row.value:>12}{row.bound:>14}")


if __name__ == "__main__":
    main()
