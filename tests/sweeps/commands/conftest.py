"""What tests of several commands share: a study with all that may become of a trial."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps import __main__ as entry
from sweeps import load_study
from sweeps.study.study import Study
from tests.doubles.studies import make_study, trials, write_result
from tests.doubles.typed import type_in

Type = Callable[..., str]
Typed = Callable[..., tuple[int, str]]
FAKE = ("hydra.sweeper.trial=tests.doubles.fakes.instant", "tracker=none", "study=swept")


@pytest.fixture
def unfinished(tmp_path: Path) -> Study:
    """Three configurations of two seeds: β = 1 complete, β = 16 half complete and half failed."""
    made = make_study(tmp_path / "runs" / "tested", trials(beta=[1, 4, 16]))
    for slug, score in (("beta=1,latent_dim=5,seed=0", 0.2), ("beta=1,latent_dim=5,seed=1", 0.3)):
        trial = next(trial for trial in made.trials if trial.slug == slug)
        write_result(made, trial, scores={"mig": score, "beta_vae": 0.9})
    write_result(made, made.trials[1], scores={"mig": 0.9, "beta_vae": 0.1})
    failed = next(
        trial for trial in made.trials if trial.values == {**made.trials[1].values, "seed": 1}
    )
    write_result(
        made, failed, state="failed", attempt=3, error="ValueError: no\nTraceback", scores={}
    )
    return load_study(made.folder.root)


@pytest.fixture
def study(unfinished: Study) -> Study:
    """The study that most commands are typed for."""
    return unfinished


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Type:
    """Run a command that must end with a code; returns what it prints."""

    def typed(*arguments: str | Path, code: int = 0) -> str:
        given = [str(argument) for argument in arguments]
        parsed = entry.parser(given[:1]).parse_args(given)
        assert code == parsed.run(parsed)
        return capsys.readouterr().out

    return typed


@pytest.fixture
def enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Type `bvae` in this process, in a folder of its own; returns exit code and messages."""
    monkeypatch.setattr("sweeps.commands.sweep.prepare", lambda planned: None)
    monkeypatch.setattr("sweeps.report.page.write_report", lambda read: read.study.folder.report)

    def enter(*arguments: str, sweeps: bool = True) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        code = type_in("bvae", *FAKE, *arguments, *["-m"][: int(sweeps)])
        return code, capsys.readouterr().err

    return enter
