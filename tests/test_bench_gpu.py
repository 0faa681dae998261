import json
from pathlib import Path

import pytest
import torch

from benchmarks import bench_gpu
from bvae.config import NETWORKS
from tests.doubles.cards import measure_without_a_card
from tests.doubles.processes import end, start


def test_no_card_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so, at once."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert [("no card here", "", "")] == bench_gpu.rows()


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_measured_is_a_trial_on_the_card(network: str) -> None:
    """The keys are such as there are."""
    found = bench_gpu.settings(network, precision="bf16-mixed", seed=3)

    assert (network, "gpu", "bf16-mixed", 3) == (
        found.model.name,
        found.trainer.accelerator,
        found.trainer.precision,
        found.seed,
    )


@pytest.mark.slow
def test_every_figure_is_there(tmp_path: Path) -> None:
    """A few steps with the processor in the place of the card, in a process of its own."""
    assert 0 == end(start(measure_without_a_card, tmp_path / "rows"), within_s=400)

    found = {row[0]: row for row in json.loads((tmp_path / "rows").read_text())}
    assert "1.00 GB" == found["higgins: peak memory on the card"][1]
    assert "<= 1.10" == found["conv: trial / (plain loop + encoding + scoring)"][2]
    assert {f"trials an hour, workers_per_device={n}" for n in (1, 2, 4)} <= {*found}
    assert {"conv: mig, bf16 - float32", "images/s unpacked on the card"} <= {*found}
