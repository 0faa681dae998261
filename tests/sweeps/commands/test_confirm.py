import json
import math
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.analysis.confirmation import (
    Confirmation,
    ConfirmationAnswer,
    Gap,
    confirmation,
    gaps,
    requested,
)
from sweeps.analysis.curve import configuration
from sweeps.study.command import sweeps
from sweeps.study.study import Study
from tests.doubles.curve_lines import line_of
from tests.doubles.frames import best_configurations
from tests.doubles.studies import make_study, trials, write_result
from tests.doubles.typed import type_in

FAKE = ("hydra.sweeper.trial=tests.doubles.fakes.instant", "tracker=none", "hydra/launcher=basic")
Type = Callable[..., tuple[int, str, str]]


def type_there(folder: Path, program: str, *arguments: str) -> int:
    """Type `bvae` or `sweeps` in a folder; return the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeps.commands.sweep.prepare", lambda planned: None)
        patch.setattr("sweeps.report.page.write_report", lambda read: read.study.folder.report)
        patch.chdir(folder)
        return type_in(program, *arguments)


@pytest.fixture
def typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type in a folder of the test's own; returns exit code, output and messages."""

    def typed(program: str, *arguments: str) -> tuple[int, str, str]:
        code = type_there(tmp_path, program, *arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


@pytest.fixture(scope="module")
def swept_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep over five β of two latent sizes, best at β = 4, seeds 0 and 1."""
    folder = tmp_path_factory.mktemp("swept")
    grid = ("beta=1,2,4,8,16", "latent_dim=2,3", "seed=0,1", "trainer.max_steps=7")
    assert 0 == type_there(folder, "bvae", "-m", *grid, "study=swept", *FAKE)
    return folder / "runs"


@pytest.fixture
def swept(swept_once: Path, tmp_path: Path) -> Study:
    """A copy of the study of that sweep."""
    shutil.copytree(swept_once, tmp_path / "runs")
    return load_study(tmp_path / "runs" / "swept")


def runs(study: Study) -> dict[str, int]:
    """How often each trial of the confirming study was run."""
    folder = study.folder.confirming.trials
    return {p.parent.name: len(p.read_text().split()) for p in folder.glob("*/runs.txt")}


class TestCommand:
    def test_best_and_neighbours_on_fresh_seeds(self, swept: Study, typed: Type) -> None:
        """Three seeds that had no say, of the best latent size; the base is the study's."""
        code, said, _ = typed("sweeps", "confirm", "runs/swept")

        assert 0 == code
        fresh = load_study(swept.folder.confirming.root)
        expected = {
            f"beta={beta},latent_dim=2,seed={seed}" for beta in (2, 4, 8) for seed in (2, 3, 4)
        }
        assert expected == set(runs(swept))
        assert 9 == fresh.counts["complete"] == fresh.counts["expected"]
        assert swept.manifest.base == fresh.manifest.base
        assert "beta=4 latent_dim=2 on 3 fresh seeds: mig 0.503" in said
        chosen = best_configurations(swept.frame(), score="mig").overall
        assert chosen is not None
        assert f"on the seeds that chose it {chosen.mean:.3f}" in said
        assert "best above its neighbours: confirmed" in said

    def test_the_command_is_printed_and_can_be_typed(self, swept: Study, typed: Type) -> None:
        """What `--dry-run` prints trains the same trials; itself it writes nothing."""
        code, said, _ = typed("sweeps", "confirm", "runs/swept", "--dry-run")

        assert 0 == code
        printed = said.strip().partition(" && ")[2].removesuffix(")")  # after `cd` to own parts
        assert printed.startswith(
            "bvae -m trainer.max_steps=7 hydra.sweeper.trial=tests.doubles.fakes.instant "
        )
        assert "beta=2,4,8 latent_dim=2 seed=2,3,4 study=swept-confirm" in said
        assert not swept.folder.confirming.root.exists()
        typed(*shlex.split(printed))
        assert 9 == len(runs(swept))
        assert 3 == confirmation(swept).fresh.n  # type: ignore[union-attr]

    def test_typed_again_it_goes_on(self, swept: Study, typed: Type) -> None:
        """What is there is not run again; what is missing is."""
        typed("sweeps", "confirm", "runs/swept")
        lost = swept.folder.confirming.trial("beta=2,latent_dim=2,seed=3").result
        lost.unlink()
        code, said, _ = typed("sweeps", "confirm", "runs/swept")

        assert 0 == code
        assert {1, 2} == set(runs(swept).values())
        assert 2 == runs(swept)["beta=2,latent_dim=2,seed=3"]
        assert "on 3 fresh seeds" in said

    def test_a_search_is_confirmed_by_a_grid(self, typed: Type, tmp_path: Path) -> None:
        """Whatever made it a search; nothing is searched then."""
        params = "+hydra.sweeper.params={beta: 'interval(1,16)', latent_dim: '2,3', seed: '0,1'}"
        search = ("hydra.sweeper.n_trials=12", "hydra/sweeper/sampler=random")
        code, _, said = typed("bvae", "-m", params, "study=found", *search, *FAKE)
        assert 0 == code, said
        code, said, _ = typed("sweeps", "confirm", "runs/found")

        assert 0 == code
        assert "hydra.sweeper.n_trials=null hydra.sweeper.sampler=null" in said
        fresh = load_study(load_study(tmp_path / "runs" / "found").folder.confirming.root)
        assert fresh.manifest.search is None
        assert {2, 3, 4} == {trial.values["seed"] for trial in fresh.trials}
        assert 0 == fresh.left

    def test_a_study_with_seeds_until_resolved(self, swept: Study, typed: Type) -> None:
        """Its confirming study has the fresh seeds only, and is judged as any grid."""
        arguments = [*swept.manifest.arguments, "hydra.sweeper.until=resolved"]
        until = replace(swept.manifest, arguments=arguments, until="resolved", looks=3)
        until.write(swept.folder.manifest)
        typed("sweeps", "confirm", "runs/swept")

        fresh = load_study(swept.folder.confirming.root).manifest
        assert (fresh.until, fresh.looks) == (None, 0)
        assert {2, 3, 4} == {trial["seed"] for trial in fresh.trials}

    def test_exit_code_is_that_of_the_sweep(
        self, swept: Study, typed: Type, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """1 where trainings failed; what is missing is not compared."""
        manifest = replace(
            swept.manifest,
            arguments=[
                *(word.replace("instant", "failing") for word in swept.manifest.arguments),
                "hydra.sweeper.max_attempts=1",
            ],
        )
        manifest.write(swept.folder.manifest)
        code, said, _ = typed("sweeps", "confirm", "runs/swept")

        assert 1 == code
        assert "nothing to compare yet" in said

    def test_other_sources_are_refused(self, swept: Study, typed: Type) -> None:
        """Numbers of other code would confirm nothing: code 2, nothing is trained."""
        replace(swept.manifest, sources={"bvae/evaluate.py": "0" * 12}).write(swept.folder.manifest)
        code, _, said = typed("sweeps", "confirm", "runs/swept")

        assert 2 == code
        assert "made with other sources" in said
        assert {} == runs(swept)

    def test_another_base_is_refused(self, swept: Study, typed: Type) -> None:
        """So are other values behind the same words."""
        base = swept.manifest.base | {"optimizer.lr": 0.5}
        replace(swept.manifest, base=base).write(swept.folder.manifest)
        code, _, said = typed("sweeps", "confirm", "runs/swept")

        assert 2 == code
        assert "optimizer.lr: 0.5 in the study" in said
        assert {} == runs(swept)

    def test_a_study_grown_since_has_other_fresh_seeds(self, swept: Study, typed: Type) -> None:
        """Seeds that were fresh and then joined the study no longer confirm it."""
        typed("sweeps", "confirm", "runs/swept")
        grid = ("beta=1,2,4,8,16", "latent_dim=2,3", "seed=0,1,2,3", "trainer.max_steps=7")
        typed("bvae", "-m", *grid, "study=swept", *FAKE)
        assert requested(load_study(swept.folder.root)).seeds == (4, 5, 6, 7)
        typed("sweeps", "confirm", "runs/swept")

        found = confirmation(load_study(swept.folder.root))
        assert found is not None
        assert 4 == found.fresh.n


class TestRequested:
    @staticmethod
    def study(root: Path, scores: dict[float, float], **changes: Any) -> Study:
        """A finished study with these scores by β, of the seeds 0 and 1."""
        made = make_study(root, trials(list(scores)), **changes)
        for trial in made.trials:
            score = scores[float(str(trial.values["beta"]))]
            write_result(made, trial, scores={"mig": score})
        return load_study(root)

    @pytest.mark.parametrize(
        ("scores", "betas"),
        [
            ({1: 0.1, 4: 0.3, 16: 0.2}, (1, 4, 16)),
            ({1: 0.3, 4: 0.2, 16: 0.1}, (1, 4)),
            ({4: 0.3}, (4,)),
        ],
    )
    def test_neighbours_there_are(
        self, tmp_path: Path, scores: dict[float, float], betas: tuple[float, ...]
    ) -> None:
        """At the border of the grid there is one, of a single β none."""
        wanted = requested(self.study(tmp_path / "a", scores))
        assert (betas, (2, 3, 4)) == (wanted.betas, wanted.seeds)

    def test_nothing_is_best_yet(self, tmp_path: Path) -> None:
        """It is said what to do."""
        made = make_study(tmp_path / "a")
        with pytest.raises(
            ConfigError, match=f" mig .*: {re.escape(sweeps('resume', made.folder.root))}"
        ):
            requested(made)
        write_result(made, made.trials[0])
        for trial in made.trials:
            if trial.values["seed"] == 1:
                write_result(made, trial, state="failed", attempt=3, scores={})
        with pytest.raises(ConfigError, match=r": sweeps resume '?/"):
            requested(load_study(made.folder.root))

    def test_what_more_seeds_or_attempts_would_do(self, tmp_path: Path) -> None:
        """Of a study that has ended: to resume it leads nowhere."""
        alone = make_study(tmp_path / "alone", trials(seed=(0,)), objective="udr")
        failed = make_study(tmp_path / "failed")
        for trial in alone.trials:
            write_result(alone, trial)
        for trial in failed.trials:
            write_result(failed, trial, state="failed", attempt=3, scores={})
        with pytest.raises(ConfigError, match=r"two seeds of a configuration; .* seed=0,1 "):
            requested(load_study(alone.folder.root))
        with pytest.raises(ConfigError, match=re.escape(sweeps("retry", failed.folder.root))):
            requested(load_study(failed.folder.root))

    def test_the_best_so_far(self, tmp_path: Path) -> None:
        """While seeds are missing it goes by those that have ended, as `sweeps best` does."""
        made = make_study(tmp_path / "a")
        write_result(made, made.trials[0])
        wanted = requested(load_study(made.folder.root))

        assert made.trials[0].values["beta"] == wanted.best.beta
        assert (1, 4) == wanted.betas


class TestGaps:
    def test_paired_differences(self) -> None:
        """With two configurations the interval is that of the paired t-test of fresh seeds."""
        values = np.random.default_rng(0).normal(size=(2, 5)) + np.array([[0.0], [3.0]])
        (gap,) = gaps(line_of(values), 1)
        expected = stats.ttest_rel(values[1], values[0]).confidence_interval(0.95)

        assert gap.mean == pytest.approx((values[1] - values[0]).mean())
        # the larger variance of the end is taken, so the interval is no shorter
        assert gap.high - gap.low >= 0.999 * (expected.high - expected.low)
        assert gap.low <= gap.mean <= gap.high

    def test_collapsed_neighbours_lend_no_noise(self) -> None:
        """Configurations at chance hardly vary: the interval is that without them."""
        values = np.random.default_rng(0).normal(size=(3, 5))
        values[2] *= 1e-6
        with_it = list(gaps(line_of(values, n_collapsed=1), 1))
        alone = list(gaps(line_of(values[:2]), 1))
        assert tuple(vars(with_it[0]).values()) == pytest.approx(tuple(vars(alone[0]).values()))

    @pytest.mark.parametrize(
        ("intervals", "answer"),
        [
            ([(0.1, 0.3), (0.2, 0.4)], ConfirmationAnswer.CONFIRMED),
            ([(0.1, 0.3), (-0.1, 0.4)], ConfirmationAnswer.NOT_RESOLVED),
            ([(0.1, 0.3), (-0.4, -0.1)], ConfirmationAnswer.REFUTED),
            ([(math.nan, math.nan)], ConfirmationAnswer.NOT_RESOLVED),
            ([], ConfirmationAnswer.NOT_RESOLVED),
        ],
    )
    def test_answer(self, intervals: list[tuple[float, float]], answer: ConfirmationAnswer) -> None:
        """Both gaps above 0; a neighbour above refutes; else it is open."""
        best = configuration(line_of(np.ones((1, 3))), 0)
        found = tuple(Gap(2.0, 0.1, low, high) for low, high in intervals)
        assert answer is Confirmation(best, best, found).answer
        assert str(answer) in str(Confirmation(best, best, found))


def test_no_confirmation_before_it_was_asked_for(tmp_path: Path) -> None:
    """Nor while nothing of it is complete."""
    made = TestRequested.study(tmp_path / "a", {1: 0.1, 4: 0.3, 16: 0.2})
    assert confirmation(made) is None
    made.folder.confirming.root.mkdir()
    made.folder.confirming.manifest.write_text("not a manifest")
    assert confirmation(made) is None
    content = json.loads(made.folder.manifest.read_text())
    made.folder.confirming.manifest.write_text(json.dumps(content))
    assert confirmation(made) is None
