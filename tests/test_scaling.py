import re
from pathlib import Path

import pytest

from benchmarks import bench_scaling


def test_the_guide_has_the_figures_of_the_simulation(repository: Path) -> None:
    """They change with the quick study's times, and with how often workers look for work."""
    text = (repository / "docs" / "scaling.md").read_text(encoding="utf-8")
    printed = re.findall(r"^\| (\d+) \| (.+ h) \| (\d+) % \| (\d+) % \|$", text, re.MULTILINE)
    rows = [
        (f"5000 trials, {number} workers", f"{time}, efficiency {busy}%, lock in use {lock}%")
        for number, time, busy, lock in printed
    ]

    assert [row[:2] for row in bench_scaling.rows()] == rows


@pytest.mark.parametrize(
    ("n_workers", "lock_s", "makespan_s"),
    [(1, 1.0, 8 + 4 * (1 + 1 + 11 + 1)), (1, 0.0, 8 + 4 * 11), (4, 0.0, 8 + 11), (9, 0.0, 8 + 11)],
)
def test_a_trial_takes_its_time_and_three_messages(
    n_workers: int, lock_s: float, makespan_s: float
) -> None:
    """To lease it, to check the lease once, and to commit; after a start."""
    found = bench_scaling.simulate([11.0] * 4, n_workers, lock_s=lock_s, start_s=8.0)

    assert makespan_s == found.makespan_s
