"""The processors and GPUs that workers of this machine share."""

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

DEVICE = re.compile(r"\d+|(GPU|MIG)-.+")
"""How CUDA_VISIBLE_DEVICES names a device: by number, or by (the beginning of) its UUID."""


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus(nodes: Path = Path("/dev")) -> list[str]:
    """Return the CUDA devices this process may use, as CUDA_VISIBLE_DEVICES names them.

    Found without importing torch; `nodes` is the folder of device files. Like CUDA, it takes the
    devices before the first name that is invalid, as in `-1` or SLURM's `NoDevFiles`.
    """
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return list(itertools.takewhile(DEVICE.fullmatch, map(str.strip, listed.split(","))))
    return [str(number) for number, _ in enumerate(nodes.glob("nvidia[0-9]*"))]


def workers(gpus: Sequence[str], *, per_device: int) -> int:
    """Return how many workers a machine runs: so many per GPU, or one per processor."""
    return len(gpus) * per_device or cores()


def card(index: int, gpus: Sequence[str]) -> str | None:
    """Return the GPU of worker number `index`, from 0; they take turns.

    >>> [card(index, ["0", "3"]) for index in range(3)]
    ['0', '3', '0']
    """
    return gpus[index % len(gpus)] if gpus else None
