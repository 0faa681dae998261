"""Configurations that are pruned, by scores written down by hand."""

import pytest

from sweeps.search.pruning import falls_behind, means_by_step, pruner_named, should_prune
from sweeps.study.trials import Trial

GOOD = [{500: 0.1, 1000: 0.2, 1500: level} for level in (0.3, 0.4, 0.5)]


class TestConfigurationMeans:
    def test_mean_over_the_seeds_that_got_there(self) -> None:
        """Each step has its own."""
        found = means_by_step([{500: 0.1, 1000: 0.4}, {500: 0.3, 1000: 0.2}, {500: 0.5, 1500: 0.7}])

        assert {500: pytest.approx(0.3), 1000: pytest.approx(0.3), 1500: 0.7} == found

    def test_a_single_seed_says_nothing(self) -> None:
        """Seeds scatter too much for one to speak for its configuration."""
        assert {} == means_by_step([{500: 0.1, 1000: 0.4}], min_seeds=2)


class TestFallsBehind:
    @pytest.mark.parametrize(
        ("name", "score", "expected"),
        [
            ("percentile", 0.34, True),
            ("percentile", 0.36, False),
            ("median", 0.39, True),
            ("median", 0.41, False),
        ],
    )
    def test_below_the_percentile_of_the_others(
        self, name: str, score: float, *, expected: bool
    ) -> None:
        """Of .3, .4, .5 the lower quarter ends at .35, the lower half at .4 (linear rule)."""
        configuration = {500: 0.0, 1000: 0.0, 1500: score}

        assert expected == falls_behind(
            configuration, GOOD, pruner=pruner_named(name, max_steps=3000)
        )

    @pytest.mark.parametrize(
        ("configuration", "n_peers", "max_steps"),
        [
            ({1500: 0.0}, 2, 3000),
            ({1500: 0.0}, 3, 3002),
            ({2000: 0.0}, 3, 3000),
            ({}, 3, 3000),
        ],
        ids=["too few others", "first half", "others not there yet", "no mean yet"],
    )
    def test_where_too_little_is_known_it_goes_on(
        self, configuration: dict[int, float], n_peers: int, max_steps: int
    ) -> None:
        """Nothing is pruned on thin evidence."""
        pruner = pruner_named("median", max_steps=max_steps)

        assert not falls_behind(configuration, GOOD[:n_peers], pruner=pruner)

    def test_its_best_counts(self) -> None:
        """A configuration that was good once is held to be able to be so again."""
        configuration = {1000: 0.45, 1500: 0.0}

        assert not falls_behind(configuration, GOOD, pruner=pruner_named("median", max_steps=3000))


def test_a_configuration_is_compared_with_its_own_line() -> None:
    """The other β of the same latent size; larger latent layers, however good, are another line."""

    def scores(latent_dim: int, levels: list[float]) -> dict[Trial, dict[int, float]]:
        return {
            Trial.of({"beta": beta, "latent_dim": latent_dim, "seed": seed}): {1500: level}
            for beta, level in enumerate(levels, start=1)
            for seed in (0, 1)
        }

    pruner = pruner_named("percentile", max_steps=3000)
    low, high = scores(5, [0.1, 0.2, 0.2, 0.2]), scores(10, [0.8, 0.9, 0.9, 0.9])
    pruned = {
        (trial.values["latent_dim"], trial.values["beta"]): should_prune(
            trial, low | high, pruner=pruner
        )
        for trial in low | high
    }

    assert {(5, 1), (10, 1)} == {
        configuration for configuration, is_pruned in pruned.items() if is_pruned
    }
