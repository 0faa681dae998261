"""A search for the best configuration: where it looks, begins, and what it trains next.

A search is a study that extends itself. It begins as a coarse line: β over its whole range, by
bisection, all else in the middle. From then on whoever asks for a trial gets

1. another seed of the configuration that leads, until the one that leads has all of its seeds: the
   best shall not be one that was lucky once;
2. else the configuration that a sampler draws, given all scores so far; if it was tried, the
   nearest that was not.

Nothing is drawn here; `sweeps.search.samplers` does that, with Optuna's samplers.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.search.space import Dimension, read_dimension
from sweeps.study.manifest import SearchSettings
from sweeps.study.ranking import Ending, best, ranked
from sweeps.study.trials import Configuration, Trial, Value, bisection

N_START = 7
"""Values of β that a search begins with, at most."""

N_TRIALS = 20
"""Trainings, if nobody says how many; as in Hydra's Optuna sweeper."""

SAMPLERS: Mapping[str, Mapping[str, Any]] = {
    "tpe": {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 1},
    "gp": {
        "_target_": "optuna.samplers.GPSampler",
        "n_startup_trials": 1,
        "deterministic_objective": False,
    },
    "cmaes": {"_target_": "optuna.samplers.CmaEsSampler", "n_startup_trials": 1},
    "random": {"_target_": "optuna.samplers.RandomSampler"},
}
"""By name. A search begins with a coarse line, so samplers need no random start."""


@dataclass(frozen=True)
class Search:
    """What is searched, by which sampler, for how long.

    Attributes:
        space: of every key of a configuration, β and latent size among them.
        seeds: repeats of a configuration, in the order they are trained.
        sampler: one of Optuna's: `_target_` and options.
        n_trials: trainings in all, over any number of commands.
    """

    space: Mapping[str, Dimension]
    seeds: tuple[int, ...]
    sampler: Mapping[str, Any]
    n_trials: int

    @classmethod
    def read(cls, written: SearchSettings) -> "Search":
        """Return the search that a manifest holds."""
        space = {key: read_dimension(value) for key, value in written.space.items()}
        return cls(space, tuple(written.seeds), written.sampler, written.n_trials)

    def written(self) -> SearchSettings:
        """Return the search as a manifest holds it."""
        space = {key: asdict(dimension) for key, dimension in self.space.items()}
        return SearchSettings(space, list(self.seeds), dict(self.sampler), self.n_trials)

    @property
    def n_all(self) -> float:
        """How many trials there are to be found; an interval may have no end of them."""
        return math.prod(found.number for found in self.space.values()) * len(self.seeds)

    def holds(self, trial: Trial) -> bool:
        """Whether the search might have found a trial; others are known from a grid, say."""
        values = trial.values
        return all(values[key] in found for key, found in self.space.items())

    def start(self) -> list[Trial]:
        """Return the trials to begin with.

        >>> from sweeps.search.space import Choices, Interval
        >>> space = {"beta": Interval(1, 64, log=True), "latent_dim": Choices((5, 10, 20))}
        >>> search = Search(space, seeds=(0, 1), sampler={}, n_trials=3)
        >>> [(trial.values["beta"], trial.values["latent_dim"]) for trial in search.start()]
        [(1, 10), (64, 10), (8, 10)]
        """
        middle = {key: found.middle for key, found in self.space.items()}
        betas = bisection(self.space["beta"].spread(N_START))[: self.n_trials]
        return [self._trial(middle | {"beta": beta}, self.seeds[0]) for beta in betas]

    def next(
        self, tried: Mapping[Trial, Ending | None], draw: Callable[[], Mapping[str, Value]]
    ) -> Trial | None:
        """Return the trial to train next; None if there is none left.

        Args:
            tried: every trial so far, and how it has ended, None if it has not.
            draw: returns the configuration that a sampler has drawn.
        """
        leader = leading(tried)
        repeat = None if leader is None else self._repeat(dict(leader), tried)
        return repeat or self._first_near(draw(), tried) or self._any_repeat(tried)

    def _trial(self, configuration: Mapping[str, Value], seed: int) -> Trial:
        return Trial.of({**configuration, "seed": seed})

    def _repeat(
        self, configuration: Mapping[str, Value], tried: Mapping[Trial, Ending | None]
    ) -> Trial | None:
        repeats = (self._trial(configuration, seed) for seed in self.seeds)
        return next((trial for trial in repeats if trial not in tried), None)

    def _first_near(
        self, drawn: Mapping[str, Value], tried: Mapping[Trial, Ending | None]
    ) -> Trial | None:
        """Return the first seed of what was drawn, or of the nearest that is untried."""
        configurations = {trial.configuration for trial in tried}
        trial = self._trial(drawn, self.seeds[0])
        if trial.configuration not in configurations:
            return trial
        others = (
            self._trial(configuration, self.seeds[0]) for configuration in self._configurations()
        )
        untried = [other for other in others if other.configuration not in configurations]
        return min(untried, key=lambda other: self._distance(drawn, other.values), default=None)

    def _configurations(self) -> Iterator[dict[str, Value]]:
        for values in itertools.product(*(found.values for found in self.space.values())):
            yield dict(zip(self.space, values, strict=True))

    def _distance(self, one: Mapping[str, Value], other: Mapping[str, Value]) -> float:
        return sum(found.distance(one[key], other[key]) for key, found in self.space.items())

    def _any_repeat(self, tried: Mapping[Trial, Ending | None]) -> Trial | None:
        repeats = (self._repeat(dict(trial.configuration), tried) for trial in tried)
        return next((trial for trial in repeats if trial is not None), None)


def leading(tried: Mapping[Trial, Ending | None]) -> Configuration | None:
    """Return the configuration that leads: the best of those with at least one seed."""
    ended = [(trial, ending) for trial, ending in tried.items() if ending is not None]
    leader = best(ranked(ended))
    return None if leader is None else leader.key
