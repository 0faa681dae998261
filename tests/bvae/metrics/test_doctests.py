"""Every example in the documentation of the scores runs."""

import doctest
import importlib
import pkgutil

import pytest

import bvae.metrics

MODULES = [module.name for module in pkgutil.iter_modules(bvae.metrics.__path__)]
WITH_EXAMPLES = [
    "beta_vae",
    "dci",
    "factor_vae",
    "latents",
    "mig",
    "modularity",
    "mutual_information",
    "reading",
    "sap",
    "score",
    "softmax",
    "table",
    "udr",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    """The module's examples print what they say, and every score has one."""
    failed, attempted = doctest.testmod(importlib.import_module(f"bvae.metrics.{name}"))

    assert failed == 0
    assert bool(attempted) == (name in WITH_EXAMPLES)
