"""What tests of the engine share: planned studies, and services on the loopback."""

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from bvae import config
from sweeps.plan.plan import Plan, plan
from sweeps.plan.settings import register
from sweeps.study.study import Study
from tests.doubles import postgres, rays, slurm, studies
from tests.doubles.reported import (  # noqa: F401 fixtures of the reading half
    _result_of,
    _trials_of,
    _write_study,
    contrast,
    make_study,
    pair,
)
from tests.doubles.shells import Shell

Planned = Callable[..., Plan]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study of four trials that complete at once."""
    return studies.make_study(tmp_path / "tested")


@pytest.fixture
def shell(tmp_path: Path, repository: Path) -> Iterator[Shell]:
    """A shell whose processes are gone after the test, however it went."""
    shell = Shell(tmp_path, repository)
    yield shell
    shell.close()


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


@pytest.fixture(scope="module")
def composed() -> Iterator[Callable[[Sequence[str]], DictConfig]]:
    """Compose for real, each list of overrides once."""
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config.directory()), version_base="1.3"):

        @functools.cache
        def cached(overrides: tuple[str, ...]) -> DictConfig:
            return compose("config", overrides=list(overrides), return_hydra_config=True)

        yield lambda overrides: cached(tuple(overrides)).copy()
    GlobalHydra.instance().clear()


@pytest.fixture
def planned(
    composed: Callable[[Sequence[str]], DictConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Planned:
    """Plan the study that is typed in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def planned(*arguments: str, **options: Any) -> Plan:
        options.setdefault("command", ["-m", *arguments])
        return plan([*arguments, "tracker=none"], params={}, compose=composed, **options)

    return planned
