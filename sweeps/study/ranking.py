"""Which configuration of a study is best: the one rule for it.

The best is the eligible configuration with the highest mean of the score over its seeds. One that
has collapsed is best only where every eligible one has: some scores are high where next to nothing
is encoded (the modularity of no latent is 1). Of equal means the smaller β wins, then the smaller
latent size.

Eligible is a configuration of which every ended trial has the score, so never one with a pruned or
failed seed. Trials that have not ended say nothing yet: until the end a best is the best so far. A
search trains the seeds of a configuration one by one; there

- the best, of the table, the page and the live display alike, has all of its seeds;
- the leader, which the search trains on further seeds, has at least one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from statistics import fmean
from typing import Generic, NamedTuple, TypeVar

from sweeps.study.trials import Configuration, Trial

Key = TypeVar("Key")

MIN_ACTIVE = 2
"""A configuration with fewer active latents, on average over its seeds, has collapsed."""


class Ending(NamedTuple):
    """How a trial has ended: its score, None without one (failed, say), and active latents."""

    score: float | None
    active_latents: float | None = None


@dataclass(frozen=True)
class Ranked(Generic[Key]):
    """A configuration as the rule sees it; `key` is what the caller knows it by."""

    key: Key
    beta: float
    latent_dim: float
    mean: float
    collapsed: bool = False
    eligible: bool = True


def ranked(
    ended: Iterable[tuple[Trial, Ending]], *, n_seeds: int = 1
) -> list[Ranked[Configuration]]:
    """Return the configurations of these ended trials.

    Args:
        ended: each trial that has ended, and how.
        n_seeds: how many of them a configuration needs to be eligible.
    """
    endings: dict[Configuration, list[Ending]] = defaultdict(list)
    for trial, ending in ended:
        endings[trial.configuration].append(ending)
    return [_ranked(configuration, found, n_seeds) for configuration, found in endings.items()]


def _ranked(
    configuration: Configuration, endings: Sequence[Ending], n_seeds: int
) -> Ranked[Configuration]:
    values = dict(configuration)
    scores = [one.score for one in endings if one.score is not None]
    active = [one.active_latents for one in endings if one.active_latents is not None]
    return Ranked(
        key=configuration,
        beta=float(str(values["beta"])),
        latent_dim=float(str(values["latent_dim"])),
        mean=fmean(scores) if scores else 0.0,
        collapsed=bool(active) and fmean(active) < MIN_ACTIVE,
        eligible=len(scores) == len(endings) >= n_seeds,
    )


def best_first(ended: Iterable[tuple[Trial, Ending]]) -> list[Trial]:
    """Return those single trials that have a score, in the order by which `best` would choose."""

    def place(one: tuple[Trial, Ending]) -> tuple[bool, float, float, float]:
        found = _ranked(one[0].configuration, [one[1]], 1)
        return found.collapsed, -found.mean, found.beta, found.latent_dim

    return [
        trial for trial, _ in sorted((one for one in ended if one[1].score is not None), key=place)
    ]


def best(configurations: Iterable[Ranked[Key]]) -> Ranked[Key] | None:
    """Return the best configuration, None if none is eligible; the first of equal ones."""
    eligible = [one for one in configurations if one.eligible]
    able = compress(eligible, may_win([one.collapsed for one in eligible]))
    return max(able, key=lambda one: (one.mean, -one.beta, -one.latent_dim), default=None)


def may_win(collapsed: Sequence[bool]) -> list[bool]:
    """Return which of several configurations may be best: the uncollapsed, or all if all have.

    >>> may_win([False, True]), may_win([True, True])
    ([True, False], [True, True])
    """
    everyone = all(collapsed)
    return [everyone or not has_collapsed for has_collapsed in collapsed]
