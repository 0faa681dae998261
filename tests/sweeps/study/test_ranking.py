"""Which configuration is best, and that all who say so say the same."""

from pathlib import Path
from typing import Any

import pytest

from sweeps import load_study
from sweeps.commands.conclude import best_line
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import WorkerRegistry
from sweeps.study.ranking import Ending, Ranked, best, may_win, ranked
from sweeps.study.study import Study
from sweeps.study.trials import Configuration, Trial
from sweeps.workers.progress import Progress
from tests.doubles.studies import make_search, make_study, trials, write_result

MODULARITY = {1: 0.5, 4: 0.7, 64: 1.0}
"""By β; of no latent, as at β = 64, it is 1."""


def configuration(key: str, mean: float, **changes: Any) -> Ranked[str]:
    """Return an eligible configuration with this mean."""
    return Ranked(key, **{"beta": 4.0, "latent_dim": 5, "mean": mean} | changes)


def named(*configurations: Ranked[str]) -> str | None:
    """Return the name of the best."""
    found = best(configurations)
    return None if found is None else found.key


class TestBest:
    def test_has_the_highest_mean(self) -> None:
        """Of those that are eligible; without any nothing is best."""
        low, high = configuration("low", 0.1), configuration("high", 0.9)
        spoilt = configuration("spoilt", 1.0, eligible=False)

        assert "high" == named(low, high, spoilt)
        assert named(spoilt) is None

    def test_has_not_collapsed(self) -> None:
        """Unless all that are eligible have."""
        low, collapsed = configuration("low", 0.1), configuration("high", 1.0, collapsed=True)

        assert "low" == named(low, collapsed)
        assert "high" == named(configuration("low", 0.1, eligible=False), collapsed)

    def test_of_equal_means(self) -> None:
        """The smaller β, at any latent size; then the smaller latent size."""
        many = configuration("many", 0.5, latent_dim=10)
        few = configuration("few", 0.5)
        small = configuration("small", 0.5, beta=1.0, latent_dim=20)

        assert "small" == named(many, few, small)
        assert "few" == named(many, few)

    def test_may_win(self) -> None:
        """Of none, none may."""
        assert [] == may_win([])


class TestRanked:
    @staticmethod
    def of(*endings: Ending, n_seeds: int = 1) -> Ranked[Configuration]:
        """Return the configuration with these endings."""
        ended = zip(trials(beta=[4], seed=range(9)), endings, strict=False)
        (found,) = ranked(ended, n_seeds=n_seeds)
        return found

    def test_means_over_seeds(self) -> None:
        """Those of score and active latents, which may be unknown."""
        found = self.of(Ending(0.2, 1), Ending(0.6, 2), Ending(0.4))

        assert 0.4 == pytest.approx(found.mean)
        assert (4, 5, True) == (found.beta, found.latent_dim, found.collapsed)
        assert not self.of(Ending(0.2, 1), Ending(0.6, 3)).collapsed
        assert not self.of(Ending(0.2)).collapsed

    def test_is_eligible(self) -> None:
        """If every ended trial has the score, and there are as many as there must be."""
        assert self.of(Ending(0.2)).eligible
        assert not self.of(Ending(0.2), Ending(None)).eligible
        assert not self.of(Ending(0.2), n_seeds=2).eligible


def end(study: Study, trial: Trial) -> None:
    """Write a complete result; β = 64 has collapsed."""
    beta = int(str(trial.values["beta"]))
    scores = {"modularity": MODULARITY.get(beta, 0.4)}
    write_result(study, trial, scores=scores, active_latents=0 if beta == 64 else 3)


def live(study: Study) -> str | None:
    """Return the configuration that the live display calls best so far."""
    progress = Progress(study)
    progress.refresh()
    best = progress.snapshot().best
    return None if best is None else best.configuration


class TestACollapsedConfigurationIsNotBest:
    def test_in_a_grid(self, tmp_path: Path) -> None:
        """The live display names what the last line names: not the collapsed one."""
        listed = trials(beta=list(MODULARITY))
        study = make_study(tmp_path / "tested", listed, objective="modularity")
        for trial in listed:
            end(study, trial)

        assert "beta=4 latent_dim=5" == live(study)
        assert "best: beta=4 latent_dim=5 " in best_line(load_study(study.folder.root))

    def test_in_a_search(self, tmp_path: Path) -> None:
        """Its leader, which is trained on the next seed, is not the collapsed one either."""
        study = make_search(tmp_path / "tested", objective="modularity")
        for trial in study.trials:
            end(study, trial)
        queue = Queue(study)
        queue.reconcile(WorkerRegistry(study.folder.workers))
        found = queue.lease("w")

        assert found is not None
        assert {"beta": 4, "latent_dim": 10, "seed": 1} == found.trial.values

    def test_until_it_has_all_its_seeds(self, tmp_path: Path) -> None:
        """A search names none best before: what the last line says, the live display says."""
        study = make_search(tmp_path / "tested", objective="modularity")
        for trial in study.trials:
            end(study, trial)

        assert live(study) is None
        assert "beta=" not in best_line(load_study(study.folder.root))
