"""Seeds are added until the answer is known, or the budget is spent."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps import load_study
from sweeps.analysis.summary import summarize
from sweeps.commands.until import look
from sweeps.statistics.sequential import LEVEL_OF_A_LOOK
from sweeps.study.study import Study
from tests.doubles.typed import type_in

Type = Callable[..., int]

NOISY = ("hydra.sweeper.trial=tests.doubles.fakes.noisy", "tracker=none", "hydra/launcher=basic")
GRID = ("beta=0.5,1,2,4,8,16,32", "latent_dim=2,3", "seed=0,1", "study=made")
UNTIL = "hydra.sweeper.until=resolved"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Type `bvae -m` with these arguments; return the exit code."""
    monkeypatch.setattr("sweeps.commands.sweep.prepare", lambda planned: None)
    monkeypatch.setattr("sweeps.report.page.write_report", lambda read: read.study.folder.report)
    monkeypatch.chdir(tmp_path)

    def typed(*arguments: str) -> int:
        return type_in("bvae", "-m", *arguments, *NOISY)

    return typed


def made() -> Study:
    """Open the study of `GRID`."""
    return load_study("runs/made")


def runs() -> Counter[str]:
    """How often each trial was run."""
    return Counter(
        path.parent.name
        for path in made().folder.trials.glob("*/runs.txt")
        for _ in path.read_text().splitlines()
    )


class TestLook:
    def test_ends_when_the_answer_is_known(
        self, typed: Type, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Exit code 0; only what was open got further seeds, and the page's verdict is settled."""
        assert 0 == typed(*GRID, UNTIL)
        study = made()
        read = summarize(study)
        judged = read.judged_best("mig")

        assert "resolved: verdict, best β and latent size are settled" in capsys.readouterr().err
        assert judged is not None
        assert "inverted U" == judged.verdict
        assert read.level == LEVEL_OF_A_LOOK
        assert read.latents("mig").smallest is not None
        seeds = Counter(trial.values["beta"] for trial in study.trials)
        assert study.manifest.looks > 0
        assert min(seeds.values()) < max(seeds.values())
        assert study.counts["expected"] == study.counts["complete"] == len(study.trials)

    def test_typed_again_it_is_the_same(self, typed: Type) -> None:
        """No trial is added, none is run again."""
        typed(*GRID, UNTIL)
        before = made().manifest
        assert 0 == typed(*GRID, UNTIL)

        assert made().manifest.trials == before.trials
        assert made().manifest.looks == before.looks
        assert {1} == set(runs().values())

    def test_killed_after_a_look(self, typed: Type) -> None:
        """What was added is in the manifest: the same command trains it and goes on."""
        assert 3 == typed(*GRID, UNTIL, "hydra.sweeper.n_trials=28")
        found = look(made(), n_trials=None)
        assert found.added
        assert made().left == len(found.added)
        assert 0 == typed(*GRID, UNTIL)

        assert {trial.slug for trial in found.added} <= set(made().results)
        assert {1} == set(runs().values())

    def test_a_spent_budget(self, typed: Type, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 3, and it is said; `n_trials` makes no search of the grid."""
        assert 3 == typed(*GRID, UNTIL, "hydra.sweeper.n_trials=30")

        assert len(made().trials) <= 30
        assert made().manifest.search is None
        assert "the budget of 30 trials is spent" in capsys.readouterr().err

    def test_no_more_than_ten_looks(self, typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
        """More would buy false answers."""
        monkeypatch.setattr("sweeps.commands.until.MAX_LOOKS", 1)
        assert 3 == typed(*GRID, UNTIL)
        assert 0 == made().manifest.looks

    def test_a_study_that_has_collapsed(
        self, typed: Type, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No seed will change that: smaller β are named, none is added."""
        monkeypatch.setitem(globals(), "NOISY", (NOISY[0].replace("noisy", "instant"), *NOISY[1:]))
        assert 3 == typed(*GRID, UNTIL)

        assert 28 == len(made().trials)
        assert "every configuration has collapsed; try smaller β" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["hydra.sweeper.until=known"], "until: expected resolved, or null, but got known"),
        ([UNTIL, "hydra/sweeper/sampler=tpe"], "until: adds seeds to a grid"),
        ([UNTIL, "hydra.sweeper.pruner=median"], "until: adds seeds to a grid"),
        ([UNTIL, "objective=udr"], "compares pairs of seeds"),
    ],
)
def test_mistakes(
    typed: Type, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    """They are refused before anything starts."""
    assert 2 == typed(*GRID, *arguments)
    assert expected in capsys.readouterr().err
    assert not Path("runs").exists()
