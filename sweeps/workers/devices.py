"""How many workers share this machine, and which of them gets which graphics card."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bvae.machine import GB, Machine


class Share(NamedTuple):
    """How many workers a machine runs, and what decides it."""

    workers: int
    why: str


def share(machine: Machine, *, per_device: int, threads: int, worker_bytes: float) -> Share:
    """Return how many workers a machine runs: so many a card, or as processors and memory allow.

    Args:
        machine: this one, without cards if trials are to run on the CPU.
        per_device: workers that share a card.
        threads: of each worker.
        worker_bytes: memory that one needs.
    """
    if machine.cards:
        found = Share(len(machine.cards) * per_device, _cards(machine, per_device))
    else:
        found = Share(max(1, int(machine.cpus) // threads), _processors(machine, threads))
    by_memory = max(1, int(machine.memory // worker_bytes)) if math.isfinite(machine.memory) else 0
    if 0 < by_memory < found.workers:
        whose = "by the cgroup" if machine.is_memory_limited else "here"
        memory, needed = machine.memory / GB, worker_bytes / GB
        why = f"{memory:.1f} GB of memory {whose}, of which one may need {needed:.1f} GB"
        return Share(by_memory, why)
    return found


def _cards(machine: Machine, per_device: int) -> str:
    cards = "1 card" if len(machine.cards) == 1 else f"{len(machine.cards)} cards"
    return cards + (f", {per_device} to each" if per_device > 1 else "")


def _processors(machine: Machine, threads: int) -> str:
    if machine.cpus < machine.processors:
        found = f"{machine.cpus:.3g} CPUs by the cgroup, of {machine.processors}"
    else:
        found = "1 processor" if machine.processors == 1 else f"{machine.processors} processors"
    return found + (f", threads={threads}" if threads > 1 else "")


def card(index: int, cards: Sequence[str]) -> str | None:
    """Return the card of worker number `index`, from 0; they take turns.

    >>> [card(index, ["0", "3"]) for index in range(3)]
    ['0', '3', '0']
    """
    return cards[index % len(cards)] if cards else None
