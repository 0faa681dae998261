"""The processors and graphics cards that workers of this machine share."""

import os
from collections.abc import Sequence
from pathlib import Path


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus(nodes: Path = Path("/dev")) -> list[str]:
    """Return the CUDA devices this process may use, as CUDA_VISIBLE_DEVICES names them.

    Known without importing torch; `nodes` is the folder of device files.
    """
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [name.strip() for name in listed.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(nodes.glob("nvidia[0-9]*"))]


def workers(gpus: Sequence[str], *, per_device: int) -> int:
    """Return how many workers a machine takes: so many per card, or one per processor."""
    return len(gpus) * per_device or cores()


def card(index: int, gpus: Sequence[str]) -> str | None:
    """Return the card of worker number `index`, from 0; they take turns.

    >>> [card(index, ["0", "3"]) for index in range(3)]
    ['0', '3', '0']
    """
    return gpus[index % len(gpus)] if gpus else None
