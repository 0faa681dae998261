"""Does a search find the best configuration? Replays of a study, beside random search and the grid.

Run: python -m benchmarks.replay_search

`docs/replay/` holds 7 β x 4 latent sizes x 6 seeds, all trained to the end (`docs/replay/record.py`
wrote it). A replay hides three of the six seeds: the search sees the other three, and what it calls
best is judged by the hidden ones. It has found the best configuration if, on the hidden seeds, its
configuration is within one standard error of the best one's mean (variance pooled over
configurations). There are 20 ways to hide three of six.
"""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, variance

from benchmarks.replay_pruning import best_of, finals
from sweeps.search.samplers import SystemAttrs, named, next_trial
from sweeps.search.search import SAMPLERS, Search
from sweeps.search.space import Choices
from sweeps.study.ranking import Ending
from sweeps.study.trials import Configuration, Trial

Scores = Mapping[Trial, float]

Play = Callable[[dict[Trial, float], int], Sequence[Configuration]]
"""Plays a replay: of the scores that are seen and its number, the configurations called best."""

SEEDS = range(6)
N_SEEDS = 3
BUDGET = 16
"""Trainings: less than a fifth of the grid's 84."""


def halves() -> Iterator[tuple[int, ...]]:
    """Yield every choice of three seeds that a search sees."""
    yield from itertools.combinations(SEEDS, N_SEEDS)


def seen(recorded: Scores, half: Sequence[int], *, order: int) -> dict[Trial, float]:
    """Return the scores of half of the seeds as seeds 0, 1, 2, each in its own order."""
    chance = random.Random(order)
    configurations: dict[Configuration, list[float]] = defaultdict(list)
    for trial, score in recorded.items():
        if trial.values["seed"] in half:
            configurations[trial.configuration].append(score)
    return {
        Trial.of({**dict(configuration), "seed": seed}): score
        for configuration, scores in sorted(configurations.items(), key=str)
        for seed, score in enumerate(chance.sample(scores, N_SEEDS))
    }


def search_of(recorded: Scores, sampler: str) -> Search:
    """Return the search for the best of the recorded configurations."""
    keys = ("beta", "latent_dim")
    space = {key: Choices.of([trial.values[key] for trial in recorded]) for key in keys}
    return Search(space, tuple(range(N_SEEDS)), named(sampler), n_trials=BUDGET)


def searched(
    scores: Scores, search: Search, *, start: Sequence[Trial] | None = None
) -> list[Configuration]:
    """Search as the engine does, one worker; return what is called best after each training."""
    tried: dict[Trial, Ending | None] = {}
    system_attrs: dict[str, SystemAttrs] = {}
    waiting = list(search.start() if start is None else start)
    called = []
    while len(tried) < search.n_trials:
        if waiting:
            trial = waiting.pop(0)
        else:
            found = next_trial(search, tried, system_attrs=system_attrs)
            if found is None:
                break
            trial = found.trial
            system_attrs[trial.slug] = found.system_attrs
        tried[trial] = Ending(scores[trial])
        called.append(best({trial: scores[trial] for trial in tried}))
    return called


def at_random(scores: Scores, number: int, *, order: int) -> list[Configuration]:
    """Train trials drawn at random; return what is called best after each."""
    drawn = random.Random(order).sample(list(scores), number)
    return [best({trial: scores[trial] for trial in drawn[: n + 1]}) for n in range(number)]


def best(tried: Scores) -> Configuration:
    """Return the best configuration of those with the most seeds."""
    most = max(Counter(trial.configuration for trial in tried).values())
    return best_of(tried, n_seeds=most)


def near(recorded: Scores, half: Sequence[int]) -> set[Configuration]:
    """Return the configurations within one standard error of the best, by the hidden seeds."""
    configurations: dict[Configuration, list[float]] = defaultdict(list)
    for trial, score in recorded.items():
        if trial.values["seed"] not in half:
            configurations[trial.configuration].append(score)
    error = (fmean(variance(scores) for scores in configurations.values()) / N_SEEDS) ** 0.5
    highest = max(fmean(scores) for scores in configurations.values())
    return {
        configuration
        for configuration, scores in configurations.items()
        if fmean(scores) >= highest - error
    }


def found(recorded: Scores, play: Play) -> list[list[bool]]:
    """Return for every replay whether what is called best, after each trial, is near the best."""
    return [
        [
            configuration in near(recorded, half)
            for configuration in play(seen(recorded, half, order=number), number)
        ]
        for number, half in enumerate(halves())
    ]


def hits(runs: Sequence[Sequence[bool]], trainings: int) -> int:
    """Count the replays that have found the best configuration after so many trainings."""
    return sum(run[min(trainings, len(run)) - 1] for run in runs)


def line_at(search: Search, latent_dim: object) -> list[Trial]:
    """Return the trials a search would begin with if this latent size were in the middle."""
    return [Trial.of(trial.values | {"latent_dim": latent_dim}) for trial in search.start()]


def player(search: Search, start: Sequence[Trial] | None = None) -> Play:
    """Return what searches the scores it is given."""
    return lambda scores, _: searched(scores, search, start=start)


def rows(score: str) -> Iterator[tuple[str, str]]:
    """Yield what was played, and how many of the 20 replays found the best configuration."""
    recorded = finals(score)
    near_best = fmean(len(near(recorded, half)) for half in halves())
    yield "configurations within one standard error", f"{near_best:.1f} of 28"
    grid = found(recorded, lambda scores, _: [best(scores)])
    yield "the grid of three seeds, 84 trainings", f"{hits(grid, 84)}"
    for sampler in SAMPLERS:
        runs = found(recorded, player(search_of(recorded, sampler)))
        yield f"search, {sampler}", _counts(runs, (9, 12, BUDGET))
    plain = found(recorded, lambda scores, number: at_random(scores, 64, order=number))
    yield "trials at random", _counts(plain, (BUDGET, 2 * BUDGET, 4 * BUDGET))
    longer = replace(search_of(recorded, "tpe"), n_trials=2 * BUDGET)
    for latent_dim in longer.space["latent_dim"].values:
        runs = found(recorded, player(longer, line_at(longer, latent_dim)))
        yield f"search, tpe, begun at {latent_dim} latents", _counts(runs, (BUDGET, 2 * BUDGET))


def _counts(runs: Sequence[Sequence[bool]], trainings: Sequence[int]) -> str:
    return ", ".join(f"{hits(runs, number)} after {number}" for number in trainings)


def main() -> None:
    """Print the table of each score."""
    for score in ("factor_vae", "beta_vae", "mig"):
        print(f"{score}: replays of 20 that found the best configuration")
        for name, value in rows(score):
            print(f"  {name:40} {value}", flush=True)


if __name__ == "__main__":
    main()
