import os
from pathlib import Path

import pytest

from sweeps.workers import devices


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's share, not the machine's number."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7})

    assert 3 == devices.cores()


def test_cores_where_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """All there are, and one at least."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)

    assert 1 == devices.cores()


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("0,2", ["0", "2"]),
        (" GPU-ab , 1", ["GPU-ab", "1"]),
        ("MIG-5f0e/1/0,MIG-GPU-ab/2/0", ["MIG-5f0e/1/0", "MIG-GPU-ab/2/0"]),
        ("", []),
        ("-1", []),
        ("0,-1,2", ["0"]),
        ("NoDevFiles", []),
    ],
)
def test_gpus_are_those_that_are_visible(
    monkeypatch: pytest.MonkeyPatch, listed: str, expected: list[str]
) -> None:
    """What CUDA_VISIBLE_DEVICES says is read as CUDA reads it: up to a name of no device."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)

    assert expected == devices.gpus()


def test_gpus_are_counted_by_their_device_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """nvidia0, nvidia1 …; nvidiactl is none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()

    assert ["0", "1"] == devices.gpus(tmp_path)


@pytest.mark.parametrize(("gpus", "per_device", "number"), [(["0", "3"], 2, 4), ([], 2, 8)])
def test_workers_of_a_machine(
    monkeypatch: pytest.MonkeyPatch, gpus: list[str], per_device: int, number: int
) -> None:
    """So many per card; one per processor where there is none."""
    monkeypatch.setattr(devices, "cores", lambda: 8)

    assert number == devices.workers(gpus, per_device=per_device)


def test_workers_take_turns_at_the_cards() -> None:
    """Every card has as many as any other; without cards there is none to name."""
    assert ["0", "3", "0", "3"] == [devices.card(index, ["0", "3"]) for index in range(4)]
    assert devices.card(0, []) is None
