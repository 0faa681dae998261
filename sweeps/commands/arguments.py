"""Arguments that several commands take: a study, a trial, some trials, JSON."""

import argparse
from collections import defaultdict
from collections.abc import Sequence

from bvae.exceptions import ConfigError
from bvae.files import expanded
from sweeps.study.trials import Trial, canonical, text


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the study that the command is about."""
    parser.add_argument("study", type=expanded, metavar="DIR", help="a study's folder")


def add_trial(parser: argparse.ArgumentParser) -> None:
    """Add the name of a trial of the study."""
    parser.add_argument("trial", help="a trial's name, or enough of it to be the only one")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the choice of output for programs."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_where(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add which trials are meant."""
    parser.add_argument(
        "--where",
        action="append",
        required=required,
        default=[],
        metavar="KEY=VALUE",
        help="only trials with this value, for example beta=4; may be repeated",
    )


def meant_by(conditions: Sequence[str], trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials with these values; of several values of one key, any.

    Raises:
        ConfigError: a condition names no key of the trials, or a value that none has.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for condition in conditions:
        key, equals, typed = condition.partition("=")
        known = trials[0].values
        if not equals or key not in known:
            raise ConfigError(
                f"--where {condition}: expected KEY=VALUE with a key of {', '.join(known)}"
            )
        values = dict.fromkeys(text(trial.values[key]) for trial in trials)
        value = _as_written(typed)
        if value not in values:
            raise ConfigError(f"--where {condition}: no trial has it; {key} is {', '.join(values)}")
        wanted[key].add(value)
    return [
        trial
        for trial in trials
        if all(text(trial.values[key]) in values for key, values in wanted.items())
    ]


def _as_written(value: str) -> str:
    """Return a value as a trial writes it: 4.0 is 4."""
    try:
        return text(canonical(float(value)))
    except ValueError:
        return value
