"""Searches replayed on a recorded study; `benchmarks.replay_search` has the whole table."""

import pytest

from benchmarks.replay_pruning import finals
from benchmarks.replay_search import (
    BUDGET,
    at_random,
    best,
    found,
    halves,
    hits,
    near,
    player,
    search_of,
)

pytestmark = pytest.mark.slow

NEARLY_ALL = 18
"""Nine of ten, of 20 replays."""


@pytest.mark.parametrize("score", ["factor_vae", "beta_vae"])
def test_a_fifth_of_the_grid_is_enough(score: str) -> None:
    """After 16 trainings of the grid's 84, where twice as many at random are not enough."""
    recorded = finals(score)
    searches = found(recorded, player(search_of(recorded, "tpe")))
    chance = found(recorded, lambda scores, number: at_random(scores, 2 * BUDGET, order=number))

    assert hits(searches, BUDGET) >= NEARLY_ALL > hits(chance, 2 * BUDGET)


def test_mig_is_too_noisy_for_six_seeds() -> None:
    """Not even the whole grid of three seeds finds the best configuration of the other three."""
    recorded = finals("mig")
    grid = found(recorded, lambda scores, _: [best(scores)])

    assert hits(grid, 84) < NEARLY_ALL


def test_what_counts_as_found() -> None:
    """The best configuration of the hidden seeds does, most configurations do not."""
    recorded = finals("factor_vae")
    half = next(halves())
    hidden = {trial: score for trial, score in recorded.items() if trial.values["seed"] not in half}

    assert best(hidden) in near(recorded, half)
    assert len(near(recorded, half)) < 7
