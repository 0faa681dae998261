import math
from collections.abc import Mapping
from typing import Any

import pytest

from bvae.exceptions import ConfigError
from sweeps.search.samplers import SystemAttrs, named, next_trial
from sweeps.search.search import SAMPLERS, Search
from sweeps.search.space import Choices, Interval
from sweeps.study.ranking import Ending
from sweeps.study.trials import Trial

SPACE = {"beta": Interval(0.25, 64, log=True), "latent_dim": Choices.of([3, 5, 10, 20])}


def search(sampler: object = "tpe", **changes: Any) -> Search:
    """Return a search with this sampler, a seed a configuration."""
    options = {"space": SPACE, "seeds": (0,), "n_trials": 100} | changes
    return Search(sampler=named(sampler), **options)


def score(trial: Trial) -> float:
    """Peak at β = 8 and ten latents."""
    beta, size = float(str(trial.values["beta"])), float(str(trial.values["latent_dim"]))
    return 1 - 0.2 * abs(math.log2(beta / 8)) - 0.1 * abs(math.log2(size / 10))


def run(asked: Search, number: int, *, forgetful: bool = False) -> dict[Trial, Ending | None]:
    """Search for so many trials; a forgetful one loses the system_attrs of its sampler."""
    tried: dict[Trial, Ending | None] = {trial: Ending(score(trial)) for trial in asked.start()}
    system_attrs: dict[str, SystemAttrs] = {}
    while len(tried) < number:
        found = next_trial(asked, tried, system_attrs={} if forgetful else system_attrs)
        assert found is not None
        system_attrs[found.trial.slug] = found.system_attrs
        tried[found.trial] = Ending(score(found.trial))
    return tried


def scores(tried: Mapping[Trial, Ending | None]) -> list[float]:
    """Return the scores that are there, in the order they came."""
    return [end.score for end in tried.values() if end is not None and end.score is not None]


@pytest.mark.parametrize("name", SAMPLERS)
class TestEverySampler:
    def test_draws_within_the_space(self, name: str) -> None:
        """Each trial is new, and one that the search may find."""
        asked = search(name)
        tried = run(asked, 14)

        assert 14 == len(tried)
        assert all(asked.holds(trial) for trial in tried)

    def test_what_is_known_decides(self, name: str) -> None:
        """The same trials so far give the same next trial: a kill changes nothing."""
        asked = search(name)
        tried = run(asked, 9)

        assert next_trial(asked, tried, system_attrs={}) == next_trial(
            asked, tried, system_attrs={}
        )

    def test_trials_of_other_places_are_left_out(self, name: str) -> None:
        """Those of an earlier grid, or of a wider interval: no sampler could take them."""
        asked = search(name)
        tried = run(asked, 8) | {Trial.of({"beta": 999, "latent_dim": 7, "seed": 0}): Ending(0.0)}

        found = next_trial(asked, tried, system_attrs={})

        assert found is not None
        assert asked.holds(found.trial)
        assert found.trial not in tried


@pytest.mark.parametrize("name", ["tpe", "gp"])
@pytest.mark.slow
def test_learns(name: str) -> None:
    """The later half of the draws scores better than random draws do."""
    mean = {
        sampler: sum(scores(run(search(sampler), 31))[19:]) / 12 for sampler in (name, "random")
    }

    assert mean[name] > mean["random"] + 0.05


def test_cma_es_remembers() -> None:
    """Its state is in the system_attrs: without them it would draw from the same cloud for ever."""
    space = {"beta": SPACE["beta"], "latent_dim": Interval(3, 20, log=True)}
    lately = [
        scores(run(search("cmaes", space=space), 60, forgetful=forgetful))[40:]
        for forgetful in (False, True)
    ]

    assert sum(lately[0]) / len(lately[0]) > sum(lately[1]) / len(lately[1]) + 0.1


def test_who_is_at_work_is_known() -> None:
    """Trials without a score are being trained; TPE keeps away from them."""
    asked = search("tpe")
    tried = run(asked, 12)
    first = next_trial(asked, tried, system_attrs={})
    assert first is not None
    second = next_trial(asked, {**tried, first.trial: None}, system_attrs={})

    assert second is not None
    assert first.trial.configuration != second.trial.configuration


def test_names_and_groups_are_searched_too() -> None:
    """A network is one among several, without order; a learning rate has its scale."""
    space = {
        "beta": Choices.of([1, 4, 16]),
        "latent_dim": Choices.of([10]),
        "model": Choices.of(["mlp", "conv"]),
        "optimizer.lr": Interval(1e-4, 1e-2, log=True),
    }
    found = [trial.values for trial in run(search("tpe", space=space), 12)]

    assert {"mlp", "conv"} == {values["model"] for values in found}
    assert all(1e-4 <= float(str(values["optimizer.lr"])) <= 1e-2 for values in found)


class TestNamed:
    def test_options_of_ones_own(self) -> None:
        """As in Hydra's Optuna sweeper: a class, and what it is made with."""
        own = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 3}

        assert own == named(own)

    @pytest.mark.parametrize(
        ("sampler", "message"),
        [
            ("bayes", "expected one of tpe, gp, cmaes, random, or _target_"),
            ({"n_startup_trials": 3}, "expected one of tpe, gp"),
            ({"_target_": "optuna.samplers.NoSampler"}, "NoSampler"),
            ({"_target_": "nowhere.Sampler"}, "nowhere"),
            ({"_target_": "optuna.samplers.TPESampler", "warmth": 3}, "warmth"),
            ({"_target_": "collections.Counter"}, "expected one of Optuna's samplers"),
        ],
    )
    def test_mistakes(self, sampler: object, message: str) -> None:
        """They are reported before anything is trained."""
        with pytest.raises(ConfigError, match=r"^hydra\.sweeper\.sampler: ") as raised:
            named(sampler)

        assert message in str(raised.value)
