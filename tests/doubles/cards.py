"""A processor in the place of a graphics card, for what measures one."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import bench_gpu
from bvae.data import on_device


def measure_without_a_card(path: Path) -> None:
    """Write the rows of the benchmark, of a few steps on the processor, to a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_gpu, "CARD", torch.device("cpu"))
        patch.setattr(bench_gpu, "STEPS", 3)
        patch.setattr(bench_gpu, "SEEDS", 2)
        patch.setattr(bench_gpu, "at_once", lambda work, workers: 1.0)
        patch.setattr(bench_gpu, "ACCELERATOR", "cpu")
        patch.setattr(bench_gpu, "DATA", "dsprites32")
        patch.setattr(on_device, "on_card", lambda *_: None)
        for name, value in {
            "is_available": True,
            "synchronize": None,
            "reset_peak_memory_stats": None,
            "max_memory_allocated": 10**9,
            "get_device_name": "a card",
        }.items():
            patch.setattr(torch.cuda, name, lambda *_, value=value: value)
        path.write_text(json.dumps(bench_gpu.rows()))
