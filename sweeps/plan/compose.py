"""What Hydra composes of a command: one configuration for each choice of swept config groups."""

import contextlib
import copy
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bvae import checks, config
from bvae.config import Config
from bvae.exceptions import ConfigError
from bvae.files import expanded, shortened
from bvae.trial import COORDINATES
from sweeps.plan.overrides import NEVER_SWEPT, OWN, Overrides, is_time, times
from sweeps.study.manifest import Manifest, combination, put, resolved
from sweeps.study.quoting import escaped, is_unresolved, texts_in
from sweeps.study.trials import canonical

PATH, SOURCE = "data.path", "data.source"

ONCE = (*NEVER_SWEPT, "objective", PATH)
"""Keys with one value for the whole study, or whose values must be typed to be swept."""

NAMED_BY = ("study", "runs_dir")
"""Keys that say where a study is."""

TIME = "\0time"
"""Stands for what `${now:…}` would be."""

INNERMOST = re.compile(r"(?<!\\)\$\{[^${}]*\}")
"""An interpolation that holds no other."""

Compose = Callable[[Sequence[str]], DictConfig]
"""Composes the configuration of a list of overrides, Hydra's own part included."""


@dataclass(frozen=True)
class Composition:
    """The configuration of one choice of swept config groups, without Hydra's part.

    What depends on a swept key is there as it was typed, as in `${beta}`. `left_out` is what was
    typed for other choices.
    """

    values: dict[str, Any]
    choices: dict[str, str]
    left_out: tuple[str, ...] = ()

    def name(self, groups: Sequence[str]) -> str:
        """Name the choice among these groups; the manifest finds it under this name."""
        return combination({group: self.choices[group] for group in groups})

    def first(self, typed: Overrides) -> dict[str, Any]:
        """Return the values with what depends on swept keys resolved for the first of theirs.

        Raises:
            ConfigError: something cannot be resolved, or depends on a swept key and must not.
        """
        unresolved = {
            key: text for key, text in config.flatten(self.values).items() if is_unresolved(text)
        }
        if not any("${" in part for part in texts_in(self.values)):
            return self.values
        firsts = {key: self.values[key] for key in COORDINATES} | _firsts(typed)
        keys = [key for key in firsts if key not in self.choices]
        found = resolved(self.values, {key: canonical(firsts[key]) for key in keys})
        for key in sorted(key for key in unresolved if key in ONCE or sweeps_images([key])):
            raise ConfigError(
                f"{key}: cannot depend on a swept key, but got {unresolved[key]}; write a value"
            )
        return found


def compositions_of(typed: Overrides, compose: Compose) -> Iterator[Composition]:
    """Compose once for each choice of the swept groups: a composition costs about 0.1 s."""
    groups = {key: typed.axes[key] for key in typed.axes if key in typed.groups}
    takers = _takers(typed, groups, compose)
    for names in itertools.product(*groups.values()):
        choice = [f"{key}={name}" for key, name in zip(groups, names, strict=True)]
        left_out = [line for line, taking in takers.items() if not taking & {*choice}]
        composed = compose([*(line for line in typed.fixed if line not in left_out), *choice])
        choices = composed.hydra.runtime.choices
        task = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        plain = _resolved_once(task, typed)
        for key, value in _firsts(typed).items():
            if sweeps_images([key]):  # which has no value to fall back on
                put(plain, key, escaped(canonical(value)))
        found = {key: choices[key] for key in typed.groups if key in choices}
        yield Composition(plain, found, tuple(left_out))


def _takers(
    typed: Overrides, groups: Mapping[str, Sequence[object]], compose: Compose
) -> dict[str, set[str]]:
    """Return for what is typed below swept groups which of their choices take it.

    Those whose files have the key; of a `_target_`, those whose files wait for it. A key that none
    has is for own ones, which take any.
    """
    takers: dict[str, set[str]] = {}
    below = {line: _key(line) for line in typed.fixed if _key(line).partition(".")[0] in groups}
    others = [line for line in typed.fixed if line not in below]
    for line, key in below.items():
        group = key.partition(".")[0]
        choices = [f"{group}={name}" for name in groups[group]]
        takers[line] = (
            {choice for choice in choices if _has(compose([*others, choice]), key)}
            or {choice for choice in choices if choice not in _ours(group)}
            or {*choices}
        )
    return takers


def _key(line: str) -> str:
    return line.lstrip("+~").partition("=")[0]


def _ours(group: str) -> list[str]:
    return [f"{group}={name}" for name in config.groups().get(group, []) if name != OWN]


def _has(composed: DictConfig, key: str) -> bool:
    """Whether a key is in a configuration; a `_target_`, whether it is needed."""
    parent, _, leaf = key.rpartition(".")
    place = OmegaConf.select(composed, parent)
    if not isinstance(place, DictConfig):
        return False
    return OmegaConf.is_missing(place, leaf) if leaf == config.TARGET else leaf in [*place.keys()]


def _firsts(typed: Overrides) -> dict[str, object]:
    """Return a value of each swept key: the first, or the middle of an interval."""
    firsts = {key: values[0] for key, values in typed.axes.items()}
    return firsts | {key: interval.middle for key, interval in typed.intervals.items()}


def sweeps_images(keys: Iterable[str]) -> bool:
    """Whether one of these swept keys says which images there are."""
    return any(key == PATH or key.startswith(f"{SOURCE}.") for key in keys)


def _resolved_once(task: DictConfig, typed: Overrides) -> dict[str, Any]:
    """Resolve what is the same for every trial; what depends on swept keys stays as typed."""
    plain: dict[str, Any] = OmegaConf.to_container(task)  # type: ignore[assignment]
    swept = (*COORDINATES, *typed.further)
    unswept = OmegaConf.create(plain)
    for key, value in config.flatten(plain).items():
        group = key.partition(".")[0] if not is_unresolved(value) else None
        if key in swept or group in swept:
            OmegaConf.update(unswept, key, f"${{swept.{key}}}")  # which is nowhere
    _refuse_times(plain, unswept)
    for key, value in config.flatten(plain).items():
        if is_unresolved(value):
            put(plain, key, _by_type(key, _without_swept(unswept, key, value)))
        elif isinstance(value, float) and value.is_integer():
            put(plain, key, _by_type(key, value))
    return plain


def _by_type(key: str, value: object) -> object:
    """Return a value as its key's type has it: 1000 for '1000' of the environment, and for 1e3."""
    if is_unresolved(value) or key not in [*config.keys()]:
        return value
    with contextlib.suppress(OmegaConfBaseException, ValueError):
        found = config.typed(key, value)
        # names of studies go by how other whole numbers were typed
        return found if isinstance(value, str) or isinstance(found, int) else value
    return value


def _refuse_times(plain: Mapping[str, Any], unswept: DictConfig) -> None:
    """Refuse the time in what a study is found by, or is made of, also by way of another key."""
    if not any(is_time(part) for part in texts_in(plain)):
        return
    counted = {*NAMED_BY, *COORDINATES, *config.identity(plain)}
    flat = {key: text for key, text in config.flatten(plain).items() if is_unresolved(text)}
    try:
        OmegaConf.register_new_resolver("now", lambda _: TIME, replace=True)
        for key in sorted(counted & {*flat}):
            found = _without_swept(copy.deepcopy(unswept), key, flat[key])
            if any(TIME in part for part in texts_in(found)):
                raise ConfigError(times(key, flat[key]))
    finally:
        setup_globals()  # Hydra's own again


def _without_swept(unswept: DictConfig, key: str, value: object) -> object:
    """Return a key's value as far as it can be resolved without any swept key."""
    try:
        return escaped(_tried(unswept, key, value))
    except OmegaConfBaseException:
        if not isinstance(value, str):
            return value

    def tried(part: re.Match[str]) -> str:
        with contextlib.suppress(OmegaConfBaseException):
            return str(escaped(_tried(unswept, key, part[0])))
        return part[0]

    text = INNERMOST.sub(tried, value)
    return text if text == value else _without_swept(unswept, key, text)


def _tried(unswept: DictConfig, key: str, value: object) -> object:
    """Return what an interpolation beside a key comes to.

    Raises:
        OmegaConfBaseException: it depends on a swept key, or on nothing there is.
    """
    place = OmegaConf.select(unswept, key.rpartition(".")[0]) if "." in key else unswept
    place["tried"] = value
    try:
        found = place["tried"]
        return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
    finally:
        del place["tried"]


def settled(found: Composition, parsed: Config, typed: Overrides) -> Composition:
    """Return the composition with what is left to the data: the objective, and which images."""
    facts = checks.derived_settings(parsed)
    data = dict(found.values["data"])
    if PATH not in typed.axes and data.get("path"):
        data["path"] = escaped(absolute_path(str(parsed.data.path)))
    if not sweeps_images(typed.further) and facts.content:
        data["content"] = facts.content
    values = found.values | {"objective": facts.objective, "data": data}
    return replace(found, values=values)


def without_content(found: Composition) -> Composition:
    """Return the composition without its images' hash, where it is swept which these are."""
    data = {key: value for key, value in found.values["data"].items() if key != "content"}
    return replace(found, values=found.values | {"data": data})


def without(found: Composition, keys: Collection[str]) -> Composition:
    """Return the composition without these dotted keys, which a study was begun without."""
    values = copy.deepcopy(found.values)
    for key in keys:
        parent, _, leaf = key.rpartition(".")
        (values[parent] if parent else values).pop(leaf, None)
    return replace(found, values=values)


def absolute(axes: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """Make paths that are swept absolute: workers may start in other folders."""
    return {
        key: [absolute_path(str(value)) for value in values] if key == PATH else values
        for key, values in axes.items()
    }


def with_paths_of(known: Manifest, axes: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """Write paths that are swept as an older study has them: with `~` for the home."""
    begun = {trial[PATH] for trial in known.trials if PATH in trial}
    return {
        key: [short if (short := shortened(value)) in begun else value for value in values]
        if key == PATH
        else values
        for key, values in axes.items()
    }


def absolute_path(path: str) -> str:
    """Return a path as workers that start in other folders find it."""
    return str(expanded(path).absolute())


def as_mapping(composed: object) -> DictConfig:
    """Return the configuration as what it is; Hydra's annotations allow for a list."""
    if not isinstance(composed, DictConfig):
        raise TypeError(f"expected a mapping, but got {type(composed).__name__}")
    return composed
