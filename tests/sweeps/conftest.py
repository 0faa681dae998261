"""Services that tests of the engine talk to: started once per test process, on the loopback."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest
import rays
import slurm


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets, and that other users may pass."""
    with tempfile.TemporaryDirectory(prefix="bvae-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def slurm_environment(short_folder: Path) -> Iterator[dict[str, str]]:
    """What SLURM's clients need in their environment."""
    reason = slurm.missing()
    if reason:
        pytest.skip(reason)
    with slurm.running(short_folder / "slurm") as environment:
        yield environment


@pytest.fixture(scope="session")
def database(short_folder: Path) -> Iterator[str]:
    """The URL of a database."""
    reason = postgres.missing()
    if reason:
        pytest.skip(reason)
    with postgres.running(short_folder / "postgres") as url:
        yield url


@pytest.fixture(scope="session")
def ray_address(short_folder: Path) -> Iterator[str]:
    """The address of a running Ray."""
    reason = rays.missing()
    if reason:
        pytest.skip(reason)
    (short_folder / "ray").mkdir()
    with rays.running(short_folder / "ray") as address:
        yield address
