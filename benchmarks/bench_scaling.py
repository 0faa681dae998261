"""What more workers bring: the makespan of a large study, simulated from measured times.

Run: make bench ONLY=scaling

Measured are the trials of the quick study (docs/quick/trials.csv) and the leases per second of
`bench_engine`. Simulated are workers that start, lease, train, commit, check every ten seconds
whether their lease still stands, and look for work while others finish: all but the training is
under the study's one lock.
"""

import csv
import heapq
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sweeps.study.timeouts import TIMEOUTS

TRIALS = Path(__file__).parents[1] / "docs" / "quick" / "trials.csv"
POINTS = 5000
WORKERS = (1, 8, 64, 512)
START_S = 8.0
"""From a launcher's call to a worker's first lease: Python, torch and the data."""

LOCK_S = 1 / 340
"""One message under the lock; PostgreSQL's rate, the lower one."""


class Row(NamedTuple):
    """One line of the table."""

    name: str
    value: str
    bound: str


class Outcome(NamedTuple):
    """Seconds until the last result, the share of them spent in training, and of the lock's use."""

    makespan_s: float
    efficiency: float
    lock: float


def trial_times() -> list[float]:
    """Return the wall times (s) of the quick study's trials."""
    with TRIALS.open(encoding="utf-8") as file:
        return [float(row["wall_time_s"]) for row in csv.DictReader(file)]


def simulate(times: list[float], n_workers: int, *, lock_s: float, start_s: float) -> Outcome:
    """Run these trials on so many workers, in order.

    Args:
        times: of each trial, in the order to run, in seconds.
        n_workers: all of them start at 0.
        lock_s: how long a message holds the study's lock.
        start_s: from the start to the first lease.
    """
    waiting, left = list(reversed(times)), len(times)
    free_at = used = makespan = 0.0
    # (time, worker, whether it comes with a result)
    events = [(start_s, worker, False) for worker in range(n_workers)]
    while left:
        now, worker, has_result = heapq.heappop(events)
        free_at = max(now, free_at) + lock_s
        used += lock_s
        if has_result:
            left, makespan = left - 1, free_at
            heapq.heappush(events, (free_at, worker, False))
        elif waiting:
            trial = waiting.pop()
            held = lock_s * (
                trial // TIMEOUTS.lease_check
            )  # its checks of the lease wait for the lock, too
            free_at, used = free_at + held, used + held
            heapq.heappush(events, (free_at + trial, worker, True))
        else:
            heapq.heappush(events, (free_at + TIMEOUTS.idle, worker, False))
    return Outcome(makespan, sum(times) / (n_workers * makespan), used / makespan)


def rows() -> Iterator[Row]:
    """Simulate the study on one machine, and on clusters."""
    times = list(itertools.islice(itertools.cycle(trial_times()), POINTS))
    for n_workers in WORKERS:
        found = simulate(times, n_workers, lock_s=LOCK_S, start_s=START_S)
        value = f"{found.makespan_s / 3600:.2f} h, efficiency {found.efficiency:.0%}"
        value += f", lock in use {found.lock:.0%}"
        yield Row(f"{POINTS} trials, {n_workers} workers", value, "")
