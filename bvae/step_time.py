"""How long a training step takes here, measured on random images."""

import time

import torch

from bvae import checks
from bvae.config import Config
from bvae.model import BetaVAE
from bvae.train import build_model

WARM_STEPS = 2
"""Steps before the timed one: the first ones allocate memory."""


def step_time_s(config: Config) -> float:
    """Return the seconds of one optimizer step: forward, backward and the update of the weights.

    In float32, whatever `trainer.precision`; without the loading of a batch, validation and
    Lightning's loop.
    """
    torch.set_num_threads(config.threads)
    data = checks.described(config)
    shape = data.image_shape
    model = build_model(config, shape, n_images=data.number)
    model.to(_device(config.trainer.accelerator))
    optimizers, _ = model.configure_optimizers()
    batch = torch.rand(config.trainer.batch_size, *shape, device=model.device).round()
    for _ in range(WARM_STEPS):
        _step(model, optimizers, batch)
    start = time.perf_counter()
    _step(model, optimizers, batch)
    return time.perf_counter() - start


def _device(accelerator: str) -> str:
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    return "mps" if accelerator == "mps" else "cpu"


def _step(model: BetaVAE, optimizers: list[torch.optim.Optimizer], batch: torch.Tensor) -> None:
    optimizer, *own = optimizers
    outputs = model(batch)
    optimizer.zero_grad()
    torch.autograd.backward(model.losses(batch, outputs)["loss"])
    optimizer.step()
    for one in own:
        model.own_step(outputs.z.detach(), batch if model.second_batch else None, one)
    if batch.device.type == "cuda":
        torch.cuda.synchronize()
