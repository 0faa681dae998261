"""What a trial needs of the machine that runs it: memory, processors, a card; known beforehand."""

from collections.abc import Iterator
from itertools import pairwise
from math import prod

from bvae.config import Config
from bvae.image_shape import ImageShape
from bvae.machine import GB, Machine

PROCESS_BYTES = 0.7 * GB
"""Of a worker before it trains: Python, torch, Lightning, Optuna."""

FLOAT_BYTES = 4
COPIES = 4
"""Each weight, its gradient, and Adam's two moments."""


KNOWN_TO_WORK = ("threads=", "trainer.precision=")
"""How mistakes begin that slow a study down, or are worked around, but do not end it."""


def trial_bytes(config: Config, image_shape: ImageShape, *, n_scored: int) -> float:
    """Return about how many bytes a trial takes beside its process: model, a batch, and codes.

    Own networks count as nothing but their latents. The images are mapped, and not counted.
    """
    weights = COPIES * parameters(config.model.name, image_shape, latent_dim=config.latent_dim)
    batch = config.trainer.batch_size * _values_kept(config.model.name, image_shape)
    codes = 2 * n_scored * config.latent_dim  # mu and logvar
    return FLOAT_BYTES * float(weights + batch + codes)


def parameters(network: str, image_shape: ImageShape, *, latent_dim: int) -> int:
    """Return the number of weights and biases of our networks; of own ones, of their latents."""
    N, M = prod(image_shape), latent_dim
    if network == "higgins":
        return _dense(N, 1200, 1200, 2 * M) + _dense(M, 1200, 1200, 1200, N)
    if network == "mlp":
        wide, narrow = (128, 128) if image_shape[1] == 32 else (512, 256)
        return _dense(N, wide, narrow, 2 * M) + _dense(M, narrow, wide, N)
    if network == "conv":
        between = (_depth(image_shape) - 1) * 2 * (32 * 32 * 16 + 32)
        ends = 2 * 32 * 16 * image_shape[0] + 32 + image_shape[0]
        return between + ends + _dense(512, 256, 256, 2 * M) + _dense(M, 256, 256, 512)
    return 4 * M


def _dense(*widths: int) -> int:
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))


def _depth(image_shape: ImageShape) -> int:
    return image_shape[1].bit_length() - 3


def _values_kept(network: str, image_shape: ImageShape) -> int:
    """Return the numbers kept for the gradient of one image: maps before and after each ReLU."""
    kept = 6 * prod(image_shape)
    if network == "conv":
        kept += sum(4 * 32 * (image_shape[1] >> k) ** 2 for k in range(1, _depth(image_shape) + 1))
    return kept


def mistakes(
    config: Config, machine: Machine, image_shape: ImageShape, *, n_scored: int
) -> Iterator[str]:
    """Yield what this machine does not have that the trial asks for."""
    yield from device_mistakes(config, machine)
    needed = PROCESS_BYTES + trial_bytes(config, image_shape, n_scored=n_scored)
    if needed > machine.memory:
        whose = "the cgroup leaves" if machine.is_memory_limited else "this machine has"
        yield (
            f"latent_dim={config.latent_dim}, trainer.batch_size={config.trainer.batch_size}: "
            f"a trial needs about {needed / GB:.3g} GB of memory, but {whose} "
            f"{machine.memory / GB:.3g} GB; give smaller ones"
        )


def device_mistakes(config: Config, machine: Machine) -> Iterator[str]:
    """Yield what is asked for of a card or of processors and is not here."""
    accelerator = config.trainer.accelerator
    is_here = machine.cards or (accelerator == "gpu" and machine.has_mps)
    if accelerator in ("gpu", "cuda") and not is_here:
        yield (
            f"trainer.accelerator={accelerator}: torch {machine.torch} can use no graphics card "
            "here; give trainer.accelerator=auto to train on the CPU, or install the driver and a "
            "torch that is built for the card"
        )
    if accelerator == "mps" and not machine.has_mps:
        yield (
            "trainer.accelerator=mps: is for Macs with Apple's own processors, and this is none; "
            "give trainer.accelerator=auto"
        )
    if config.threads > machine.processors:
        yield (
            f"threads={config.threads}: expected at most {machine.processors}, the processors "
            "this command may use"
        )
    has_card = machine.cards or (accelerator in ("auto", "gpu", "mps") and machine.has_mps)
    if config.trainer.precision == "16-mixed" and (accelerator == "cpu" or not has_card):
        yield (
            "trainer.precision=16-mixed: is for graphics cards; give bf16-mixed or 32-true on the "
            "CPU"
        )
