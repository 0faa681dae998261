"""Pruning of whole configurations: one of Optuna's pruners, given means over seeds.

Off by default: a curve needs its ends. The pruner gets an intermediate score whose definition does
not contain β (MIG on a fixed sample), never the loss, whose scale grows with β: by it, the largest
β would be pruned first. A configuration is compared with the other β of its line, since the best β
of each latent size is wanted.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import optuna
from optuna.pruners import BasePruner, PercentilePruner
from optuna.trial import TrialState, create_trial

from sweeps.study.trials import Trial, Value

PERCENTILES = {"percentile": 75.0, "median": 50.0}
"""The percentage of the best that is kept; the names are those of Optuna's pruners."""

MIN_SEEDS = 2
"""Seeds of a configuration that must have reached a step before it may be pruned there."""

MIN_PEERS = 3
"""Other configurations that must have reached a step before a configuration may be pruned there."""

Scores = Mapping[int, float]
"""Intermediate scores by step."""


def pruner_named(name: str, *, max_steps: int) -> BasePruner:
    """Return Optuna's pruner of this name; nothing is pruned in the first half of the training."""
    return PercentilePruner(
        PERCENTILES[name], n_startup_trials=MIN_PEERS, n_warmup_steps=math.ceil(max_steps / 2)
    )


def should_prune(trial: Trial, scores: Mapping[Trial, Scores], *, pruner: BasePruner) -> bool:
    """Whether to prune a trial's configuration: it falls behind the others of its line.

    Args:
        trial: whose score has just been added.
        scores: of every trial that has any.
        pruner: called once for each step that is reported.
    """
    configurations: dict[tuple[tuple[str, Value], ...], list[Scores]] = defaultdict(list)
    for other, found in scores.items():
        if _line(other) == _line(trial):
            configurations[other.configuration].append(found)
    own = means_by_step(configurations.pop(trial.configuration, []), min_seeds=MIN_SEEDS)
    peers = [means_by_step(seeds) for seeds in configurations.values()]
    return falls_behind(own, peers, pruner=pruner)


def _line(trial: Trial) -> tuple[tuple[str, Value], ...]:
    return tuple(pair for pair in trial.configuration if pair[0] != "beta")


def means_by_step(seeds: Iterable[Scores], *, min_seeds: int = 1) -> dict[int, float]:
    """Return the mean over seeds at every step that enough of them have reached.

    >>> means_by_step([{500: 0.25, 1000: 0.5}, {500: 0.75}], min_seeds=2)
    {500: 0.5}
    """
    at: dict[int, list[float]] = defaultdict(list)
    for scores in seeds:
        for step, score in scores.items():
            at[step].append(score)
    return {step: fmean(at[step]) for step in sorted(at) if len(at[step]) >= min_seeds}


def falls_behind(configuration: Scores, peers: Sequence[Scores], *, pruner: BasePruner) -> bool:
    """Ask the pruner about a configuration, as an Optuna trial that reports its means.

    Args:
        configuration: its means by step; without any it is not pruned.
        peers: those of the other configurations of its line.
        pruner: called once for each step that is reported, with the latest.
    """
    if not configuration:
        return False
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for peer in peers:
        if max(configuration) in peer:
            study.add_trial(_trial(peer, TrialState.COMPLETE))
    return bool(pruner.prune(study, _trial(configuration, TrialState.PRUNED)))


def _trial(scores: Scores, state: TrialState) -> optuna.trial.FrozenTrial:
    return create_trial(state=state, value=scores[max(scores)], intermediate_values=dict(scores))
