from dataclasses import replace
from itertools import product

import pytest
import torch

from bvae import config, needs, networks
from bvae.machine import Machine
from tests.doubles.studies import CONFIGURATION

SHAPE = (1, 32, 32)
LAPTOP = Machine(processors=2, cpus=2, memory=8e9, torch="2.13.0+cpu")
WITH_CARD = replace(LAPTOP, cards=("0",))
MAC = replace(LAPTOP, has_mps=True)


@pytest.mark.parametrize("network", config.NETWORKS)
def test_parameters_are_those_that_are_built(network: str) -> None:
    """At every size of images and latents."""
    for pixels, channels, latent_dim in product((32, 64, 128, 256), (1, 3), (2, 300)):
        shape = (channels, pixels, pixels)
        with torch.device("meta"):
            both = networks.build_networks(network, image_shape=shape, latent_dim=latent_dim)
        built = sum(weights.numel() for one in both for weights in one.parameters())

        assert built == needs.parameters(network, shape, latent_dim=latent_dim)


@pytest.mark.parametrize(
    ("keys", "machine", "mistake"),
    [
        ({}, LAPTOP, None),
        ({"trainer.accelerator": "gpu"}, LAPTOP, "2.13.0+cpu can use no graphics card here"),
        ({"trainer.accelerator": "cuda"}, LAPTOP, "can use no graphics card here"),
        ({"trainer.accelerator": "gpu"}, WITH_CARD, None),
        ({"trainer.accelerator": "gpu"}, MAC, None),
        ({"trainer.accelerator": "cuda"}, MAC, "can use no graphics card here"),
        ({"trainer.accelerator": "mps"}, LAPTOP, "trainer.accelerator=mps: is for Macs"),
        ({"trainer.accelerator": "mps"}, MAC, None),
        ({"threads": 2}, LAPTOP, None),
        ({"threads": 64}, LAPTOP, "threads=64: expected at most 2, the processors"),
        ({"trainer.precision": "16-mixed"}, LAPTOP, "trainer.precision=16-mixed: is for graphics"),
        ({"trainer.precision": "16-mixed"}, WITH_CARD, None),
        (
            {"trainer.precision": "16-mixed", "trainer.accelerator": "cpu"},
            WITH_CARD,
            "trainer.precision=16-mixed: is for graphics cards",
        ),
        ({"trainer.precision": "bf16-mixed"}, LAPTOP, None),
        ({"latent_dim": 10**9}, LAPTOP, "latent_dim=1000000000, trainer.batch_size=16: a trial"),
        ({"latent_dim": 10**30}, LAPTOP, "of memory, but this machine has 8 GB; give smaller"),
        ({"trainer.batch_size": 10**9}, LAPTOP, "trainer.batch_size=1000000000: a trial needs"),
        (
            {"latent_dim": 10**6},
            replace(LAPTOP, memory=1e9, is_memory_limited=True),
            "the cgroup leaves 1 GB",
        ),
    ],
)
def test_what_a_machine_cannot_do(
    keys: dict[str, object], machine: Machine, mistake: str | None
) -> None:
    """A card that is not there, more threads than processors, more memory than it has."""
    plain = config.flatten(CONFIGURATION) | {"trainer.batch_size": 16}
    asked = config.parse({**plain, "threads": 1, "trainer.accelerator": "auto"} | keys)
    found = [*needs.mistakes(asked, machine, SHAPE, n_scored=1000)]

    assert (mistake is None) == (not found)
    assert mistake is None or mistake in "\n".join(found)
