import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from sweeps.search.search import Search, leading
from sweeps.search.space import Choices, Dimension, Interval
from sweeps.study.ranking import Ending
from sweeps.study.trials import Trial, Value

BETAS, SIZES = Interval(1, 64, log=True), Choices.of([5, 10, 20])


def search(**changes: Any) -> Search:
    """Return a search for β in an interval and a latent size among three, with two seeds."""
    made = Search({"beta": BETAS, "latent_dim": SIZES}, seeds=(0, 1), sampler={}, n_trials=20)
    return dataclasses.replace(made, **changes)


def trial(beta: float, latent_dim: int, seed: int = 0) -> Trial:
    """Return a trial of such a search."""
    return Trial.of({"beta": beta, "latent_dim": latent_dim, "seed": seed})


def unasked() -> Mapping[str, Value]:
    """Be a sampler that must not be asked."""
    raise AssertionError("the sampler was asked")


class TestStart:
    def test_beta_from_end_to_end_all_else_in_the_middle(self) -> None:
        """Seven values by bisection, of the first seed."""
        start = search().start()

        assert [1, 64, 8, 2, 16, 4, 32] == [trial.values["beta"] for trial in start]
        assert {(10, 0)} == {(one.values["latent_dim"], one.values["seed"]) for one in start}

    @pytest.mark.parametrize(
        ("changes", "number"),
        [
            ({"n_trials": 2}, 2),
            ({"space": {"beta": Choices.of([4]), "latent_dim": SIZES}}, 1),
            ({"space": {"beta": Choices.of(range(1, 100)), "latent_dim": SIZES}}, 7),
        ],
    )
    def test_no_more_than_there_are(self, changes: dict[str, Any], number: int) -> None:
        """Neither more than trainings, nor more than values."""
        assert number == len(search(**changes).start())


class TestNext:
    def test_the_leader_is_repeated_until_it_has_all_its_seeds(self) -> None:
        """A single lucky seed does not win."""
        tried: dict[Trial, Ending | None] = {trial(4, 5): Ending(0.9), trial(8, 5): Ending(0.5)}

        assert trial(4, 5, 1) == search().next(tried, unasked)

    def test_a_repeat_that_is_being_trained_is_not_given_again(self) -> None:
        """Another worker has it; this one asks the sampler."""
        tried: dict[Trial, Ending | None] = {trial(4, 5): Ending(0.9), trial(4, 5, 1): None}

        assert trial(16, 20) == search().next(tried, lambda: {"beta": 16, "latent_dim": 20})

    def test_whoever_takes_the_lead_is_repeated_then(self) -> None:
        """A lucky incumbent falls behind with its second seed; the next one gets more seeds."""
        tried: dict[Trial, Ending | None] = {
            trial(4, 5): Ending(0.9),
            trial(4, 5, 1): Ending(0.1),
            trial(8, 5): Ending(0.6),
        }

        assert trial(8, 5, 1) == search().next(tried, unasked)

    def test_a_configuration_that_was_tried_stands_for_the_nearest_that_was_not(self) -> None:
        """Here the neighbour in latent size, the neighbours in β being further away."""
        space: dict[str, Dimension] = {"beta": Choices.of([1, 4, 16]), "latent_dim": SIZES}
        tried: dict[Trial, Ending | None] = dict.fromkeys(
            [trial(4, 10), trial(1, 10), trial(16, 10), trial(4, 5)]
        )
        found = search(space=space).next(tried, lambda: {"beta": 4, "latent_dim": 10})

        assert trial(4, 20) == found

    def test_every_trial_is_found_once(self) -> None:
        """However stubborn the sampler: all trials of a finite space, then no more."""
        space: dict[str, Dimension] = {"beta": Choices.of([1, 4, 16]), "latent_dim": SIZES}
        finite = search(space=space)
        tried: dict[Trial, Ending | None] = {}
        while (found := finite.next(tried, lambda: {"beta": 4, "latent_dim": 10})) is not None:
            assert found not in tried
            tried[found] = Ending(0.5)

        assert 3 * 3 * 2 == len(tried) == finite.n_all

    def test_an_interval_never_ends(self) -> None:
        """Where what is drawn was tried, a place of the interval near it is not."""
        tried: dict[Trial, Ending | None] = {}
        for _ in range(40):
            found = search(seeds=(0,)).next(tried, lambda: {"beta": 8, "latent_dim": 10})
            assert found is not None
            tried[found] = None

        assert 40 == len(tried)


def test_trials_that_the_search_would_not_find() -> None:
    """A grid may have left trials in other places."""
    assert search().holds(trial(64, 20))
    assert not search().holds(trial(65, 20))
    assert not search().holds(trial(64, 21))


class TestLeading:
    def test_goes_by_means(self) -> None:
        """Running trials have no score yet, and configurations without any do not lead."""
        tried: dict[Trial, Ending | None] = {
            trial(1, 5): Ending(0.2),
            trial(1, 5, 1): Ending(0.6),
            trial(4, 5): Ending(0.5),
            trial(8, 5): None,
        }

        assert trial(4, 5).configuration == leading(tried)
        assert leading({trial(8, 5): None}) is None

    def test_a_failed_seed_costs_the_lead(self) -> None:
        """Such a configuration can never be best: a seed more of it would be lost."""
        tried = {
            trial(1, 5): Ending(0.2),
            trial(4, 5): Ending(0.5),
            trial(4, 5, 1): Ending(None),
        }

        assert trial(1, 5).configuration == leading(tried)

    def test_a_collapsed_one_leads_where_there_is_no_other(self) -> None:
        """Its score may be high though next to nothing is encoded."""
        tried = {trial(1, 5): Ending(0.2, 3), trial(64, 5): Ending(1.0, 0)}

        assert trial(1, 5).configuration == leading(tried)
        assert trial(64, 5).configuration == leading({trial(64, 5): Ending(1.0, 0)})


def test_a_search_is_read_as_it_was_written() -> None:
    """Through the manifest, which is JSON."""
    space: dict[str, Dimension] = {
        "beta": BETAS,
        "latent_dim": Interval(2, 20, log=True, integer=True),
        "model": Choices.of(["mlp", "conv"]),
    }
    made = search(space=space, sampler={"_target_": "optuna.samplers.TPESampler"})

    assert made == Search.read(made.written())
