"""What all tests share: a cache of images and a home of their own."""

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

REPOSITORY = Path(__file__).resolve().parents[1]

OF_COMMAND_LINES = ("test_main.py", "test_readme.py", "test_until.py", "test_confirm.py")
"""Tests of whole command lines, whose parts have tests of their own."""

# Read once, when torch and NumPy are first imported: parallel test processes share the cores.
os.environ["OMP_NUM_THREADS"] = "1"

# Who runs the tests in the background may have these ignored, and what they start would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

for _name in [name for name in os.environ if name.startswith("WANDB_")]:
    del os.environ[_name]  # of whoever runs the tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with groups of slow tests, then the other slow ones: so no process is last for long."""
    items.sort(key=lambda item: (not _is_slow(item), not item.get_closest_marker("xdist_group")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure no coverage in most slow tests: to trace a loop takes three times as long as it."""
    is_long = _is_slow(item) and not item.get_closest_marker("covered")
    with _untraced() if is_long or item.path.name in OF_COMMAND_LINES else contextlib.nullcontext():
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _hydra_is_not_traced() -> Iterator[None]:
    """Measure no coverage while Hydra composes: it runs none of our lines, in twice the time."""
    compose = ConfigLoaderImpl._load_configuration_impl

    def untraced(*given: Any, **named: Any) -> Any:
        with _untraced():
            return compose(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigLoaderImpl, "_load_configuration_impl", untraced)
        yield


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def _is_slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


def pytest_collection_finish() -> None:
    """Leave what is imported out of garbage collections: each would take a quarter of a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Build images once per test session, in a folder that parallel test processes share."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BVAE_CACHE", str(shared / "bvae-cache"))
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY
