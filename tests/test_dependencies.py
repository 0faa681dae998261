"""What is imported is declared, and what is installed for us is pinned: as far as shows offline."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
OURS = {"bvae", "sweeps", "hydra_plugins", "tests", "benchmarks"}

FURNISHED_BY_OTHERS = {
    "lightning-fabric": "pytorch-lightning",
    "omegaconf": "hydra-core",
    "submitit": "hydra-submitit-launcher",
    "ray": "hydra-ray-launcher",
    "pyyaml": "hydra-core",
    "packaging": "pytest",
}
"""Distributions that come with another one, whose version decides theirs."""


def requirements(*lists: Iterable[str]) -> dict[str, Requirement]:
    """Return the requirements of pyproject.toml by the names of distributions."""
    parsed = [Requirement(line) for lines in lists for line in lines]
    return {canonicalize_name(one.name): one for one in parsed}


RUN = requirements(
    PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()
)
DEV = RUN | requirements(
    line for line in PROJECT["dependency-groups"]["dev"] if isinstance(line, str)
)


def pins() -> dict[str, str]:
    """Return the versions of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    exact = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in exact}


def imported(*folders: str) -> set[str]:
    """Return the top names of all modules that these folders import."""
    found: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - OURS - {*sys.stdlib_module_names, "_typeshed"}


def needed(names: Iterable[str], *, extras: Iterable[str] = ("",)) -> Iterator[tuple[str, str]]:
    """Yield name and version of what is installed because these are, these among them."""
    waiting, seen = [*names], set[str]()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # an extra that is left out here
            continue
        yield name, installed.version
        for line in installed.requires or ():
            one = Requirement(line)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(one.name)


@pytest.mark.parametrize(
    ("folders", "declared"),
    [(("bvae", "sweeps", "hydra_plugins"), RUN), (("tests", "benchmarks"), DEV)],
)
def test_what_is_imported_is_declared(
    folders: tuple[str, ...], declared: dict[str, Requirement]
) -> None:
    """In pyproject.toml, or it comes with something that is."""
    furnished = importlib.metadata.packages_distributions()
    undeclared = {
        name
        for name in imported(*folders)
        if not any(
            FURNISHED_BY_OTHERS.get(one, one) in declared
            for one in map(canonicalize_name, furnished.get(name, []))
        )
    }
    assert set() == undeclared


def test_what_is_installed_for_us_is_pinned() -> None:
    """All that the declared distributions need, to the version that is tested."""
    pinned = pins()
    wrong = {
        name: (version, pinned.get(name))
        for name, version in needed(DEV)
        if pinned.get(name) != version.partition("+")[0] and name not in ("pip", "setuptools")
    }
    assert {} == wrong


def test_pins_are_exact_and_admitted() -> None:
    """A version each, which pyproject.toml allows."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    names = [line.partition("==")[0] for line in lines if not line.startswith("#")]

    assert [] == [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.+]+", line)]
    assert len(names) == len({*map(canonicalize_name, names)})
    pinned = pins()
    assert {} == {name: one for name, one in DEV.items() if pinned[name] not in one.specifier}
