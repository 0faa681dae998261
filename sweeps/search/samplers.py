"""Optuna's samplers, asked for the next configuration of a search.

A sampler is created for each trial, in a study in memory that holds all trials so far: so a search
that was killed continues as if it had not been, and no worker waits for a batch. Samplers
get options for noisy scores; repeats of a configuration are Optuna trials with equal parameters.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from bvae.exceptions import ConfigError
from sweeps.search.search import SAMPLERS, Search
from sweeps.search.space import Choices, Dimension, Interval
from sweeps.study.ranking import Ending
from sweeps.study.trials import Trial, Value

SystemAttrs = Mapping[str, Any]
"""Attributes that a sampler sets on the Optuna trial it draws: CMA-ES keeps its state there."""


@dataclass(frozen=True)
class Found:
    """The trial to train next, and its system attributes if a sampler has drawn it."""

    trial: Trial
    system_attrs: SystemAttrs


def named(sampler: object) -> Mapping[str, Any]:
    """Return what a name stands for, or what was written out as `_target_` and options.

    Raises:
        ConfigError: it is neither, or no sampler can be made of it.
    """
    found = SAMPLERS.get(sampler) if isinstance(sampler, str) else sampler
    if not isinstance(found, Mapping) or "_target_" not in found:
        raise ConfigError(
            f"hydra.sweeper.sampler: expected one of {', '.join(SAMPLERS)}, or _target_ and "
            f"options of one of Optuna's samplers, but got {sampler}"
        )
    try:
        _build(found, seed=0)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"hydra.sweeper.sampler: {error}") from error
    return found


def next_trial(
    search: Search, tried: Mapping[Trial, Ending | None], *, system_attrs: Mapping[str, SystemAttrs]
) -> Found | None:
    """Return the trial to train next, None if none is left; the same for the same arguments.

    Args:
        search: what is searched.
        tried: every trial so far, and how it has ended, None if it has not.
        system_attrs: of samplers, by slug.
    """
    drawn: dict[str, Any] = {}

    def draw() -> dict[str, Value]:
        asked = _asked(search, tried, system_attrs)
        drawn.update(asked.system_attrs)
        return {key: _value(found, asked.params[key]) for key, found in search.space.items()}

    trial = search.next(tried, draw)
    return None if trial is None else Found(trial, drawn)


def _asked(
    search: Search, tried: Mapping[Trial, Ending | None], system_attrs: Mapping[str, SystemAttrs]
) -> FrozenTrial:
    """Return the trial that the sampler makes, knowing the trials that the search may find."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = _build(search.sampler, seed=len(tried))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial, ending in tried.items():
        if search.holds(trial):
            score = None if ending is None else ending.score
            study.add_trial(_trial(search, trial, score, system_attrs.get(trial.slug, {})))
    study.ask(_distributions(search))
    return study.trials[-1]


def _build(sampler: Mapping[str, Any], *, seed: int) -> BaseSampler:
    module, _, name = str(sampler["_target_"]).rpartition(".")
    options = {key: value for key, value in sampler.items() if key != "_target_"}
    made = getattr(importlib.import_module(module), name)(**{"seed": seed} | options)
    if not isinstance(made, BaseSampler):
        raise TypeError(f"expected one of Optuna's samplers, but got {sampler['_target_']}")
    return made


def _trial(
    search: Search, trial: Trial, score: float | None, system_attrs: SystemAttrs
) -> FrozenTrial:
    """Return a trial as a trial; one without a score is being trained, or has failed."""
    return create_trial(
        state=TrialState.RUNNING if score is None else TrialState.COMPLETE,
        value=score,
        params={key: _parameter(found, trial.values[key]) for key, found in search.space.items()},
        distributions=_distributions(search),
        system_attrs=dict(system_attrs),
    )


def _distributions(search: Search) -> dict[str, BaseDistribution]:
    return {key: _distribution(found) for key, found in search.space.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    """Return what Optuna draws from; of numbers to choose among, their place in the order."""
    if isinstance(dimension, Choices):
        if dimension.are_ordered:
            return IntDistribution(0, len(dimension.values) - 1)
        return CategoricalDistribution([str(value) for value in dimension.values])
    if dimension.integer:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _parameter(dimension: Dimension, value: Value) -> Any:
    if isinstance(dimension, Interval):
        return value
    return dimension.values.index(value) if dimension.are_ordered else str(value)


def _value(dimension: Dimension, drawn: Any) -> Value:
    if isinstance(dimension, Interval):
        return dimension.snapped(drawn)
    if dimension.are_ordered:
        return dimension.values[int(drawn)]
    return next(value for value in dimension.values if str(value) == drawn)
