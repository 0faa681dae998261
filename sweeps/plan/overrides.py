"""What was typed: Hydra overrides, checked all at once and split into fixed values and axes."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    OverrideType,
    RangeSweep,
    Sweep,
)
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bvae import config
from bvae.exceptions import ConfigError
from bvae.trial import COORDINATES
from sweeps.plan.settings import SweepSettings
from sweeps.plan.words import TEXTS, short_forms_written_out, with_texts_quoted
from sweeps.search.space import Interval
from sweeps.study.quoting import (
    for_shell,
    in_quotes,
    is_unresolved,
    texts_in,
)

NEVER_SWEPT = (
    "study",
    "runs_dir",
    "experiment",
    "extend",
    "accept_sources",
    "checkpoint.keep_trials",
)

OWN = "own"
"""The choice of a group that needs a `_target_`; `glob(*)` leaves it out."""

Groups = Mapping[str, Sequence[str]]
"""The names that may be typed for each config group."""

HABITS = {
    "logger": "write tracker=wandb or tracker=none",
    "callbacks": "checkpoint.keep=last|best|none says which weights stay; there are no others",
    "ckpt_path": "type the same command again, and every trial continues from its checkpoint",
    "debug": "write trainer.max_steps=20 to try a command, hydra.sweeper.dry_run=true to see it",
    "hparams_search": "write experiment=tune, or an interval, as in beta=interval(0.5,64)",
    "optimized_metric": "write objective=mig, or another score",
    "task_name": "write study=name",
    "paths": "write runs_dir=folder",
    "train": "every trial is trained, then scored",
    "test": "every trial is trained, then scored; `sweeps rescore` scores it by another protocol",
    "trainer.max_epochs": "write trainer.max_steps=2000; a step is one batch",
    "trainer.devices": "a trial trains on one; write hydra.sweeper.n_workers=4 for four at once",
}
"""Keys of lightning-hydra-template, and what to write here."""

MOST = 100_000
"""Trials of a study, and values of a key: a grid of more is a slip, and no queue is made for it."""

OUR_SWEEPER = "hydra/sweeper=bvae"

NOT_HERE = dict.fromkeys(
    ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.output_subdir"),
    "a study is in a folder of its own; write runs_dir=folder study=name",
) | {
    "hydra/sweeper": "it has a sweeper of its own; leave the key out",
    "hydra.job.chdir": "every file has its place in the study's folder; leave the key out",
}
"""Hydra's keys that would make folders beside the study, or run something else."""

LOGARITHMIC = ("beta", "latent_dim")
"""Keys whose intervals are on a logarithmic scale, tagged so or not."""


@dataclass
class Overrides:
    """The task's overrides: what every trial shares, what is swept, and what is searched.

    `groups` are the config groups there are, those of own files too.
    """

    groups: tuple[str, ...] = ()
    fixed: list[str] = field(default_factory=list)
    axes: dict[str, list[object]] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)

    @property
    def further(self) -> list[str]:
        """Keys that are swept or searched beside β, latent size and seed."""
        return [key for key in [*self.axes, *self.intervals] if key not in COORDINATES]

    def has(self, key: str) -> bool:
        """Whether a key was typed, swept or not."""
        fixed = [line.lstrip("+~").partition("=")[0] for line in self.fixed]
        return key in fixed or key in self.further


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
            mistakes.append(f"{line or repr(line)}: not an override; {_advice(line)}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return parsed


def keys(lines: Sequence[str]) -> set[str]:
    """Return what is set by these override lines, each key of a mapping too."""
    given = ({override.key_or_group: override.value()} for override in parse(lines))
    return {key for one in given for key in config.flatten(one)}


def _advice(line: str) -> str:
    """Return how to write what is no override: as a text in quotes, if it has a key."""
    if not line.strip():
        return "leave the empty argument out"
    for group, names in config.groups().items():
        if line in names:
            return f"did you mean {group}={line}?"
    key, _, value = line.partition("=")
    is_text = key in TEXTS or config.is_free(key) or value.startswith("${") or not value.isascii()
    if not is_text or not value:
        return "write key=value or key=value1,value2"
    written = in_quotes(value)
    if value[0] == "[" and value[-1] == "]":
        written = f"[{','.join(in_quotes(one.strip()) for one in value[1:-1].split(','))}]"
    return f"a text with such characters goes in quotes: {for_shell([f'{key}={written}'])}"


def check(lines: Sequence[str], *, groups: Groups) -> None:
    """Check every typed override that needs no composition: keys, choices, types and ranges.

    Args:
        lines: overrides.
        groups: the names of every config group.

    Raises:
        ConfigError: naming all mistakes, each with the nearest valid name or what it must be.
    """
    mistakes: list[str] = []
    for override in parse(lines):
        try:
            mistakes += _mistakes(override, groups)
        except ConfigError as error:  # a sweep that cannot be written out as values
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def _mistakes(override: Override, groups: Groups) -> Iterable[str]:
    key, known = override.key_or_group, config.keys()
    if key == "hydra":
        yield f"{override.input_line}: write each key whole, as in hydra.sweeper.n_workers=2"
        return
    if override.is_hydra_override():
        if override.input_line != OUR_SWEEPER:
            yield from _sweeper_mistakes(key)
        return  # Hydra's own schema checks all else
    adds = override.type in (OverrideType.ADD, OverrideType.FORCE_ADD)
    is_argument = adds and (config.is_free(key) or key in config.FREE)
    if not (override.type is OverrideType.CHANGE or is_argument or _is_own_group(override, groups)):
        known_here = key in known or key in groups or config.is_free(key)
        instead = f"write {key}=value" if known_here else config.nearest(key, {*known, *groups})
        yield f"{override.input_line}: keys are neither added nor removed; {instead}"
    elif override.is_sweep_override() and _is_own_group(override, groups):
        yield f"{override.input_line}: a group that is added cannot be swept; sweep its keys"
    elif key in NEVER_SWEPT and override.is_sweep_override():
        yield f"{key}: cannot be swept; sweep other keys, or type a command for each {key}"
    elif key in groups:
        for name in elements(override, groups=groups):
            if name is None and key != "experiment":
                yield f"{key}=null: leave it out, or choose one; {config.nearest('', groups[key])}"
            elif name is not None and name not in groups[key]:
                yield f"{key}={name}: no such {key}; {config.nearest(str(name), groups[key])}"
    elif isinstance(override.value(), IntervalSweep) and (key in known or config.is_free(key)):
        yield from _interval_mistakes(override)
    elif key in known or config.is_free(key):
        for value in elements(override, groups=groups):
            if is_unresolved(value):
                continue  # it is checked for each trial
            mistake = config.value_mistake(key, value)
            if isinstance(value, dict) and override.is_sweep_override():
                yield f"{key}: a mapping cannot be swept; sweep what it holds, as in {key}.a=1,2"
            elif value == "":
                yield f"{key}: an empty value; write {key}=value"
            elif mistake:
                yield mistake
    elif key in HABITS:
        yield f"{key}: no such key here; {HABITS[key]}"
    else:
        yield f"{key}: no such key; {config.nearest(key, {*known, *groups})}"


def _is_own_group(override: Override, groups: Groups) -> bool:
    """Whether a group of the user's own files is added, as in `+schedule=long`."""
    key = override.key_or_group
    added = override.type in (OverrideType.ADD, OverrideType.FORCE_ADD)
    return added and key in groups and key not in config.groups()


def _sweeper_mistakes(key: str) -> Iterable[str]:
    """Yield what to write for a misspelt key of the sweeper, and for what has no use here."""
    if key in NOT_HERE:
        yield f"{key}: not for this program; {NOT_HERE[key]}"
    if not key.startswith("hydra.sweeper."):
        return
    known = [f"hydra.sweeper.{entry.name}" for entry in fields(SweepSettings)]
    if ".".join(key.split(".")[:3]) not in known:
        yield f"{key}: no such key; {config.nearest(key, known)}"


def _interval_mistakes(override: Override) -> Iterable[str]:
    key, line, ends = override.key_or_group, override.input_line, _ends(override)
    if key == "seed":
        yield f"{line}: a search needs the seeds to repeat the best with; write seed=0,1,2"
        return
    wrong = [mistake for end in ends if (mistake := config.value_mistake(key, end))]
    if wrong:
        yield from wrong
    elif not isinstance(config.typed(key, ends[0]), int | float):
        yield f"{line}: an interval is of numbers; give values, as in {key}=a,b"
    elif not ends[0] < ends[1]:
        yield f"{line}: expected the lower end first, and a higher one"


def _ends(override: Override) -> tuple[float, float]:
    value: Any = override.value()
    return _whole(value.start), _whole(value.end)


def _whole(number: float) -> float:
    """Return 2 for 2.0: Hydra's intervals are of floats, some keys are integers."""
    return int(number) if float(number).is_integer() else number


def _interval(override: Override) -> Interval:
    value: Any = override.value()
    key, (low, high) = override.key_or_group, _ends(override)
    return Interval(
        low,
        high,
        log=key in LOGARITHMIC or "log" in value.tags,
        integer=isinstance(config.typed(key, low), int),
    )


def elements(override: Override, *, groups: Groups) -> list[object]:
    """Return the values an override stands for, one if it is not swept."""
    key = override.key_or_group
    value: Any = override.value()
    if not override.is_sweep_override():
        return [_independent(key, value) if key in COORDINATES else value]
    if isinstance(value, IntervalSweep):
        raise ConfigError(f"{override.input_line}: a name is chosen among values; give {key}=a,b")
    if isinstance(value, Glob):
        names: list[object] = list(
            value.filter([name for name in groups.get(key, []) if name != OWN])
        )
        if not names:
            raise ConfigError(f"{override.input_line}: matches no choice of a config group")
        return names
    return [_independent(key, value) for value in _listed(override)]


def _listed(override: Override) -> list[object]:
    """Return the values of a sweep over values.

    Raises:
        ConfigError: there are none, or far too many, or an interval is among them.
    """
    key, line, value = override.key_or_group, override.input_line, override.value()
    given: Any = value.list if isinstance(value, ChoiceSweep) else ()
    if any(isinstance(part, Sweep) for part in given):
        raise ConfigError(f"{line}: an interval stands alone; write one, or give {key}=a,b")
    try:
        if isinstance(value, RangeSweep):
            given = list(itertools.islice(value.range(), MOST + 1))
        if not given:
            raise ConfigError(f"{line}: has no value; give some, as in {key}=a,b")
        if len(given) > MOST:
            raise ConfigError(f"{line}: more than {MOST} values; give fewer")
        if isinstance(value, RangeSweep):
            return list(override.sweep_iterator())
    except ValueError as error:  # of Python's own `range`
        raise ConfigError(f"{line}: {error}") from error
    parser = OverridesParser.create()
    texts = override.sweep_string_iterator()
    return [parser.parse_override(f"{key}={each}").value() for each in texts]


def _independent(key: str, value: object) -> object:
    """Return a value of a swept key, resolved: trials are named after it."""
    if is_time(value):
        raise ConfigError(times(key, value))
    try:
        has_syntax = any("${" in part for part in texts_in(value))
        return OmegaConf.create({"value": value})["value"] if has_syntax else value
    except OmegaConfBaseException:
        raise ConfigError(depends(key, value)) from None


def is_time(value: object) -> bool:
    """Whether a value of a configuration asks for the time.

    >>> is_time("run-${now:%H%M}"), is_time("now:")
    (True, False)
    """
    return re.search(r"\$\{\s*now\s*:", str(value)) is not None


def times(key: str, value: object) -> str:
    """Say that a value is the time where it must not be."""
    return (
        f"{key}: {value} is another value whenever the command is typed, so its study "
        "could not be continued; have the shell write it, as in $(date +%F)"
    )


def depends(key: str, value: object) -> str:
    """Say that a value depends on another key where it must not."""
    return f"{key}: a swept value cannot depend on another key, but got {value}; write the values"


def split(lines: Sequence[str], *, params: Mapping[str, str], groups: Groups) -> Overrides:
    """Split typed overrides and the sweeper's `params` into fixed ones and axes.

    What is typed beats `params`, as in Hydra's Optuna sweeper.
    """
    given = parse(lines)
    named = {override.key_or_group for override in given}
    rest = [f"{key}={value}" for key, value in params.items() if key not in named]
    rest = with_texts_quoted(short_forms_written_out(rest), sweeps=True)
    check(rest, groups=groups)
    result = Overrides(groups=tuple(groups))
    for override in [*given, *parse(rest)]:
        key = override.key_or_group
        if override.is_hydra_override():
            continue
        if isinstance(override.value(), IntervalSweep):
            result.intervals[key] = _interval(override)
        elif override.is_sweep_override() or key in COORDINATES:
            result.axes[key] = _values(override, groups)
        else:
            result.fixed.append(override.input_line or "")
    return result


def _values(override: Override, groups: Groups) -> list[object]:
    """Return the checked values of an override; those of a key as the key's type has them."""
    key, values = override.key_or_group, elements(override, groups=groups)
    return values if key in groups else [config.typed(key, value) for value in values]
