import pytest

from bvae.machine import Machine
from sweeps.workers import devices


@pytest.mark.parametrize(
    ("machine", "threads", "expected"),
    [
        (Machine(8, 8, 64e9), 1, (8, "8 processors")),
        (Machine(1, 1, 64e9), 1, (1, "1 processor")),
        (Machine(8, 8, 64e9), 4, (2, "8 processors, threads=4")),
        (Machine(2, 2, 64e9), 4, (1, "2 processors, threads=4")),
        (Machine(8, 2.5, 64e9), 1, (2, "2.5 CPUs by the cgroup, of 8")),
        (Machine(8, 0.5, 64e9), 1, (1, "0.5 CPUs by the cgroup, of 8")),
        (
            Machine(8, 8, 2.5e9, is_memory_limited=True),
            1,
            (2, "2.5 GB of memory by the cgroup, of which one may need 1.0 GB"),
        ),
        (Machine(8, 8, 4e9), 1, (4, "4.0 GB of memory here, of which one may need 1.0 GB")),
        (Machine(8, 8, 0.5e9), 8, (1, "8 processors, threads=8")),
        (Machine(8, 8, 64e9, cards=("0", "3")), 1, (4, "2 cards, 2 to each")),
    ],
)
def test_workers_of_a_machine(machine: Machine, threads: int, expected: tuple[int, str]) -> None:
    """So many a card; without cards as many as processors, threads and memory allow, and why."""
    found = devices.share(machine, per_device=2, threads=threads, worker_bytes=1e9)

    assert expected == found


def test_a_worker_a_card() -> None:
    """Unless more are asked for."""
    machine = Machine(8, 8, 64e9, cards=("0",))

    assert (1, "1 card") == devices.share(machine, per_device=1, threads=1, worker_bytes=1e9)


def test_workers_take_turns_at_the_cards() -> None:
    """Every card has as many as any other; without cards there is none to name."""
    assert ["0", "3", "0", "3"] == [devices.card(index, ["0", "3"]) for index in range(4)]
    assert devices.card(0, []) is None
