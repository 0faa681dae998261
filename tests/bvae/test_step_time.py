import time

import pytest
import torch

from bvae import config, step_time
from tests.doubles.studies import CONFIGURATION


def test_a_step_is_timed_and_warm_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first steps, which allocate memory, are left out; the clock is read around one step."""
    events: list[str] = []
    clock = iter([10.0, 10.25])

    def tick() -> float:
        events.append("clock")
        return next(clock)

    monkeypatch.setattr(time, "perf_counter", tick)
    monkeypatch.setattr(step_time, "_step", lambda *_: events.append("step"))

    assert 0.25 == step_time.step_time_s(config.parse(CONFIGURATION))
    assert ["step"] * step_time.WARM_STEPS + ["clock", "step", "clock"] == events


def test_a_step_changes_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed is a whole step: forward, backward, optimizer."""
    weights: list[torch.Tensor] = []
    step = step_time._step

    def watched(model: torch.nn.Module, *arguments: object) -> None:
        step(model, *arguments)
        weights.append(next(model.parameters()).detach().clone())

    monkeypatch.setattr(step_time, "_step", watched)

    assert step_time.step_time_s(config.parse(CONFIGURATION)) > 0
    assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize(
    ("accelerator", "has_cuda", "device"),
    [
        ("cpu", True, "cpu"),
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
        ("mps", False, "mps"),
    ],
)
def test_the_device_a_trial_would_use(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, has_cuda: bool, device: str
) -> None:
    """An estimate made elsewhere would say little."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)

    assert device == step_time._device(accelerator)
