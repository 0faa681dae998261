import pytest
import torch
from hydra import compose
from omegaconf import DictConfig

from benchmarks import bench_gpu
from bvae.config import NETWORKS
from bvae.data import on_device


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


def few_scored(name: str, typed: list[str]) -> DictConfig:
    """Compose a trial that scores some hundred images."""
    return compose(name, [*typed, "data.score_every=[1,3,8,4,4]"])


@pytest.mark.slow
def test_every_figure_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps with the processor in the place of the card."""
    cpu = torch.device("cpu")
    monkeypatch.setattr(bench_gpu, "CARD", cpu)
    monkeypatch.setattr(bench_gpu, "STEPS", 3)
    monkeypatch.setattr(bench_gpu, "SEEDS", 2)
    monkeypatch.setattr(bench_gpu, "at_once", lambda work, workers: 1.0)
    monkeypatch.setattr(bench_gpu, "ACCELERATOR", "cpu")
    monkeypatch.setattr(bench_gpu, "DATA", "dsprites32")
    monkeypatch.setattr(bench_gpu, "compose", few_scored)
    monkeypatch.setattr(on_device, "on_card", lambda *_: None)
    for name, value in {
        "is_available": True,
        "synchronize": None,
        "reset_peak_memory_stats": None,
        "max_memory_allocated": 10**9,
        "get_device_name": "a card",
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)

    found = {row.name: row for row in bench_gpu.rows()}

    assert "1.00 GB" == found["higgins: peak memory on the card"].value
    assert "<= 1.10" == found["conv: trial / (plain loop + encoding + scoring)"].bound
    assert {f"trials an hour, workers_per_device={n}" for n in (1, 2, 4)} <= {*found}
    assert {"conv: mig, bf16 - float32", "images/s unpacked on the card"} <= {*found}
