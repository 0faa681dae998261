"""What was typed: Hydra overrides, checked all at once and split into fixed values and axes."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, OverrideType
from hydra.errors import HydraException

from bvae import config
from bvae.exceptions import ConfigError

WITH_PASSWORD = re.compile(r"(\+{0,2}hydra\.sweeper\.storage=['\"]?\w+://[^:@/]*):([^@]*)(@.*)")

PASSWORD = "PGPASSWORD"
"""Read by PostgreSQL's own library; a file ~/.pgpass does as well."""

NEVER_SWEPT = ("study", "runs_dir", "experiment", "extend")


@dataclass
class Overrides:
    """The task's overrides: what every point shares, and what is swept."""

    fixed: list[str] = field(default_factory=list)
    axes: dict[str, list[object]] = field(default_factory=dict)


def parse(lines: Sequence[str]) -> list[Override]:
    """Parse override lines by Hydra's grammar.

    Raises:
        ConfigError: naming every line that is no override.
    """
    parser = OverridesParser.create()
    parsed: list[Override] = []
    mistakes: list[str] = []
    for line in lines:
        try:
            parsed += parser.parse_overrides([line])
        except HydraException:
            mistakes.append(f"{line}: not an override; write key=value or key=value1,value2")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return parsed


def without_password(arguments: Sequence[str]) -> list[str]:
    """Take a password out of the URL of the storage, and hand it on in the environment.

    So it gets into no manifest, log, or file that a launcher pickles.
    """
    found = [WITH_PASSWORD.fullmatch(argument) for argument in arguments]
    for match in found:
        if match is not None:
            os.environ[PASSWORD] = unquote(match[2])
    return [
        argument if match is None else match[1] + match[3]
        for argument, match in zip(arguments, found, strict=True)
    ]


def check(lines: Sequence[str]) -> None:
    """Check every typed override that needs no composition: keys, choices, types and ranges.

    Raises:
        ConfigError: naming all mistakes, each with the nearest valid name or what it must be.
    """
    mistakes: list[str] = []
    for override in parse(lines):
        try:
            mistakes += _mistakes(override)
        except ConfigError as error:  # a sweep that cannot be written out as values
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def _mistakes(override: Override) -> Iterable[str]:
    key = override.key_or_group
    if override.is_hydra_override() or key == "hydra":
        return  # Hydra's own schema checks these
    if override.type is not OverrideType.CHANGE:
        yield f"{override.input_line}: keys are neither added nor removed; write {key}=value"
        return
    choices, known = config.groups(), config.keys()
    if key in NEVER_SWEPT and override.is_sweep_override():
        yield f"{key}: cannot be swept; sweep other keys, or type a command for each {key}"
    elif key in choices:
        for name in elements(override):
            if name is not None and name not in choices[key]:
                yield f"{key}={name}: no such {key}; {config.nearest(str(name), choices[key])}"
    elif key in known:
        for value in elements(override):
            mistake = config.value_mistake(key, value)
            if value == "":
                yield f"{key}: an empty value; write {key}=value"
            elif mistake:
                yield mistake
    else:
        yield f"{key}: no such key; {config.nearest(key, [*known, *choices])}"


def elements(override: Override) -> list[object]:
    """Return the values an override stands for, one if it is not swept."""
    key = override.key_or_group
    value: Any = override.value()
    if not override.is_sweep_override():
        return [value]
    if isinstance(value, IntervalSweep):
        raise ConfigError(
            f"{override.input_line}: an interval is searched, not swept; "
            f"give values, for example {key}=1,4,16"
        )
    if isinstance(value, Glob):
        names: list[object] = list(value.filter(config.groups().get(key, [])))
        if not names:
            raise ConfigError(f"{override.input_line}: matches no choice of a config group")
        return names
    texts = override.sweep_string_iterator()
    parser = OverridesParser.create()
    return [parser.parse_override(f"{key}={line}").value() for line in texts]


def split(lines: Sequence[str], *, params: Mapping[str, str]) -> Overrides:
    """Split typed overrides and the sweeper's `params` into fixed ones and axes.

    What is typed beats `params`, as in Hydra's Optuna sweeper.
    """
    given = parse(lines)
    named = {override.key_or_group for override in given}
    rest = [f"{key}={value}" for key, value in params.items() if key not in named]
    check(rest)
    result = Overrides()
    for override in [*given, *parse(rest)]:
        key = override.key_or_group
        if override.is_hydra_override():
            continue
        if override.is_sweep_override() or key in config.COORDINATES:
            result.axes[key] = _values(override)
        else:
            result.fixed.append(override.input_line or "")
    return result


def _values(override: Override) -> list[object]:
    """Return the checked values of an override; those of a key as the key's type has them."""
    key, values = override.key_or_group, elements(override)
    return values if key in config.groups() else [config.typed(key, value) for value in values]
