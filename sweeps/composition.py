"""What Hydra composes of a command: one configuration for each choice of swept config groups."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bvae import config, preflight
from bvae.config import Config
from bvae.files import shortened
from sweeps.manifest import combination
from sweeps.overrides import Overrides

PATH = "data.path"

Compose = Callable[[Sequence[str]], DictConfig]
"""Composes the configuration of a list of overrides, Hydra's own part included."""


@dataclass(frozen=True)
class Composition:
    """The configuration of one choice of swept config groups, without Hydra's part."""

    values: dict[str, Any]
    choices: dict[str, str]

    def name(self, groups: Sequence[str]) -> str:
        """Name the choice among these groups; the manifest finds it under this name."""
        return combination({group: self.choices[group] for group in groups})


def compositions_of(typed: Overrides, compose: Compose) -> Iterator[Composition]:
    """Compose once for each choice of the swept groups: a composition costs about 0.1 s."""
    groups = {key: typed.axes[key] for key in typed.axes if key in config.groups()}
    for names in itertools.product(*groups.values()):
        choice = [f"{key}={name}" for key, name in zip(groups, names, strict=True)]
        composed = compose([*typed.fixed, *choice])
        choices = composed.hydra.runtime.choices
        task = OmegaConf.create({key: composed[key] for key in composed if key != "hydra"})
        plain: dict[str, Any] = OmegaConf.to_container(task, resolve=True)  # type: ignore[assignment]
        for path in typed.axes.get(PATH, [])[:1]:  # which has no value to fall back on
            plain["data"]["path"] = path
        yield Composition(plain, {key: choices[key] for key in config.groups()})


def settled(found: Composition, parsed: Config, typed: Overrides) -> Composition:
    """Return the composition with what is left to the data: the objective, and which images."""
    facts = preflight.facts(parsed)
    data = dict(found.values["data"])
    if PATH not in typed.axes and data.get("path"):
        data["path"] = _absolute_path(data["path"])
        data |= {"content": facts.content} if facts.content else {}
    values = found.values | {"objective": facts.objective, "data": data}
    return replace(found, values=shortened(values))


def without_content(found: Composition) -> Composition:
    """Return the composition without its images' hash, where several folders of them are swept."""
    data = {key: value for key, value in found.values["data"].items() if key != "content"}
    return replace(found, values=found.values | {"data": data})


def absolute(axes: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """Make paths that are swept absolute: workers may start in other folders."""
    return {
        key: [_absolute_path(str(value)) for value in values] if key == PATH else values
        for key, values in axes.items()
    }


def _absolute_path(path: str) -> str:
    return str(Path(path).expanduser().absolute())
