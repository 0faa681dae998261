"""Would pruning have spared the best configuration? Replays of a study, and the steps saved.

Run: python -m benchmarks.replay_pruning

`docs/replay/` holds a study whose every trial was trained to the end, with the MIG on the way
(`docs/replay/record.py` wrote it). Each replay takes three of its seeds, runs them in the engine's
order on two simulated workers, and asks the pruner that the engine asks.
"""

import csv
import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import optuna

from sweeps.search.pruning import PERCENTILES, Scores, pruner_named, should_prune
from sweeps.study.ranking import Ending, best, ranked
from sweeps.study.trials import Configuration, Trial, in_order

RECORD = Path(__file__).resolve().parents[1] / "docs" / "replay"

N_SEEDS = 3
N_WORKERS = 2


@dataclass(frozen=True)
class Replay:
    """What pruning would have done to a study of these seeds.

    Attributes:
        pruned: the configurations that were given up.
        saved: the share of all steps that were not trained.
    """

    trials: tuple[Trial, ...]
    pruned: frozenset[Configuration]
    saved: float


def histories(path: Path = RECORD / "histories.csv") -> dict[Trial, dict[int, float]]:
    """Return the MIG by step of every recorded trial."""
    found: dict[Trial, dict[int, float]] = defaultdict(dict)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[trial_of(row)][int(row["step"])] = float(row["mig"])
    return dict(found)


def finals(score: str, path: Path = RECORD / "trials.csv") -> dict[Trial, float]:
    """Return a score of every recorded trial, when it was trained."""
    with path.open(encoding="utf-8") as file:
        return {trial_of(row): float(row[score]) for row in csv.DictReader(file)}


def trial_of(row: Mapping[str, str]) -> Trial:
    """Return the trial of a row."""
    values = {"latent_dim": int(row["latent_dim"]), "seed": int(row["seed"])}
    return Trial.of({"beta": float(row["beta"]), **values})


def replay(recorded: Mapping[Trial, Scores], *, name: str) -> Replay:
    """Run the trials in order on simulated workers, a step a time, and prune as the engine does."""
    waiting = in_order(recorded)[::-1]
    max_steps = max(max(scores) for scores in recorded.values())
    pruner = pruner_named(name, max_steps=max_steps)
    known: dict[Trial, dict[int, float]] = defaultdict(dict)
    pruned: set[Configuration] = set()
    trained = 0
    busy: list[tuple[int, int, Trial]] = []  # the step of the simulated clock, a tie-break, who
    numbers = itertools.count()

    def begin(clock: int) -> None:
        while waiting:
            trial = waiting.pop()
            if trial.configuration not in pruned:
                heapq.heappush(busy, (clock + min(recorded[trial]), next(numbers), trial))
                return

    for _ in range(N_WORKERS):
        begin(0)
    while busy:
        clock, _, trial = heapq.heappop(busy)
        steps = sorted(recorded[trial])
        step = steps[len(known[trial])]
        known[trial][step] = recorded[trial][step]
        if trial.configuration in pruned or should_prune(trial, known, pruner=pruner):
            pruned.add(trial.configuration)
        if step < max_steps and trial.configuration not in pruned:
            following = steps[len(known[trial])]
            heapq.heappush(busy, (clock + following - step, next(numbers), trial))
            continue
        trained += step
        begin(clock)
    return Replay(tuple(recorded), frozenset(pruned), 1 - trained / (max_steps * len(recorded)))


def subsets(recorded: Mapping[Trial, Scores]) -> Iterator[dict[Trial, Scores]]:
    """Yield the study of each choice of seeds."""
    seeds = sorted({int(str(trial.values["seed"])) for trial in recorded})
    for chosen in itertools.combinations(seeds, N_SEEDS):
        yield {
            trial: scores for trial, scores in recorded.items() if trial.values["seed"] in chosen
        }


def best_configurations(final: Mapping[Trial, float]) -> list[Configuration]:
    """Return the best configuration of each latent size."""
    lines: dict[object, dict[Trial, float]] = defaultdict(dict)
    for trial, score in final.items():
        lines[trial.values["latent_dim"]][trial] = score
    return [best_of(line) for line in lines.values()]


def best_of(scores: Mapping[Trial, float], *, n_seeds: int = 1) -> Configuration:
    """Return the best configuration of these trials that has so many seeds."""
    found = best(ranked([(t, Ending(score)) for t, score in scores.items()], n_seeds=n_seeds))
    if found is None:
        raise TypeError(f"expected a configuration of {n_seeds} seeds")
    return found.key


def main() -> None:
    """Print a row for each pruner and score."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    recorded = histories()
    print("pruner      best by   spared            steps saved, mean (least to most)")
    for name in PERCENTILES:
        runs = [replay(study, name=name) for study in subsets(recorded)]
        saved = [run.saved for run in runs]
        for score in ("mig", "beta_vae"):
            final = finals(score)
            spared = [
                configuration not in run.pruned
                for run in runs
                for configuration in best_configurations({t: final[t] for t in run.trials})
            ]
            print(
                f"{name:<11} {score:<9} {sum(spared):>3} of {len(spared):<3} best configurations"
                f"  {fmean(saved):.0%} ({min(saved):.0%} to {max(saved):.0%})"
            )


if __name__ == "__main__":
    main()
