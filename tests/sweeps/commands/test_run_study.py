import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bvae import config
from bvae.exceptions import ConfigError, DataError
from sweeps import load_study
from sweeps.commands.run_study import prepare
from sweeps.study.command import resuming
from sweeps.study.folder import StudyFolder
from sweeps.workers.exit_codes import Exit
from sweeps.workers.orchestrator import running
from tests.doubles.studies import CONFIGURATION, slugs

Typed = Callable[..., tuple[int, str]]
GRID = ("beta=1,4", "latent_dim=2", "seed=0,1")


@pytest.mark.parametrize(
    ("most", "said"),
    [(15, "hardly use their range: 99.8 % of their values are in 0..14"), (255, "")],
)
def test_images_of_little_contrast_are_told(
    most: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is trained, with the key that mends it."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    ramp = np.linspace(0, most, 3 * 32 * 32).reshape(3, 32, 32)
    np.savez(tmp_path / "own.npz", images=ramp.astype(np.uint8))
    data = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None}
    own = {"data": data, "objective": None}
    own["trainer"] = CONFIGURATION["trainer"] | {"batch_size": 2}

    prepare(SimpleNamespace(configs=[config.parse(CONFIGURATION | own)]))  # type: ignore[arg-type]

    told = capsys.readouterr().err
    assert said in told
    assert bool(said) == ("data.variance" in told)


def test_images_without_any_contrast_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All zeros are no images."""
    monkeypatch.setenv("BVAE_CACHE", str(tmp_path / "cache"))
    np.savez(tmp_path / "own.npz", images=np.zeros((3, 32, 32), np.uint8))
    data = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None}
    own = {"data": data, "objective": None}
    own["trainer"] = CONFIGURATION["trainer"] | {"batch_size": 2}

    with pytest.raises(DataError, match="nothing to learn"):
        prepare(SimpleNamespace(configs=[config.parse(CONFIGURATION | own)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(("number", "said"), [(3, True), (60, False)])
def test_too_few_images_to_hold_some_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, *, said: bool
) -> None:
    """It is said in one line before anything is trained."""
    grey = np.arange(number, dtype=np.uint8)[:, None, None]
    np.savez(tmp_path / "own.npz", images=np.full((number, 32, 32), grey))
    data = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None, "holdout": 0.1}
    own = {"data": data, "objective": None}
    own["trainer"] = CONFIGURATION["trainer"] | {"batch_size": 2}
    prepare(SimpleNamespace(configs=[config.parse(CONFIGURATION | own)]))  # type: ignore[arg-type]

    line = "data.holdout=0.1 would hold out fewer than two of 3 images: none are held out"
    assert said == (line in capsys.readouterr().err)


def test_a_second_batch_is_of_images_that_are_not_held_out(tmp_path: Path) -> None:
    """How many are left is known when they have been read, and said before anything is trained."""
    grey = np.arange(40, dtype=np.uint8)[:, None, None]
    np.savez(tmp_path / "own.npz", images=np.full((40, 32, 32), grey))
    data = {"name": "npz", "path": str(tmp_path / "own.npz"), "score_every": None, "holdout": 0.4}
    loss = {"_target_": "bvae.losses.FactorVAELoss", "discriminator_width": 8}
    own = {"data": data, "objective": None, "loss": loss}
    own["trainer"] = CONFIGURATION["trainer"] | {"batch_size": 18}
    planned = SimpleNamespace(configs=[config.parse(CONFIGURATION | own)])

    with pytest.raises(
        ConfigError, match=r"at most half of the \d\d images of npz that are trained"
    ):
        prepare(planned)  # type: ignore[arg-type]


class TestTogether:
    NEW = ("hydra/launcher=basic", "beta=16", "latent_dim=2", "seed=0")

    @pytest.fixture
    def folder(self, enter: Typed, tmp_path: Path) -> StudyFolder:
        """The folder of a study of which one trial is to be run by another command."""
        enter("hydra/launcher=basic", *GRID)
        study = load_study(tmp_path / "runs" / "swept")
        study.folder.trial(slugs(study)[0]).result.unlink()
        return study.folder

    @pytest.mark.parametrize("sweeps", [True, False])
    def test_a_second_command_works_along(
        self, enter: Typed, folder: StudyFolder, *, sweeps: bool
    ) -> None:
        """It adds its trials and runs them; the other command's are left to that."""
        with running(folder):
            code, said = enter(*self.NEW[0 if sweeps else 1 :], sweeps=sweeps)

        assert Exit.COMPLETE == code, said
        assert f"run already by process {os.getpid()} on" in said
        assert "this command works along as one more worker" in said
        assert "1 trial left to the other command" in said
        states = load_study(folder.root).states
        assert ("pending", "complete") == (
            states["beta=1,latent_dim=2,seed=0"],
            states["beta=16,latent_dim=2,seed=0"],
        )

    def test_with_a_limit_of_its_own_it_hands_its_trials_over(
        self, enter: Typed, folder: StudyFolder
    ) -> None:
        """Code 3; they are in the study."""
        with running(folder):
            code, said = enter(*self.NEW, "hydra.sweeper.max_minutes=1")

        assert (Exit.LEFT, 2) == (code, load_study(folder.root).counts["pending"]), said
        assert "2 trials left to it" in said

    def test_none_is_added_while_a_study_is_rescored(
        self, enter: Typed, folder: StudyFolder
    ) -> None:
        """Its results would be of the old protocol."""
        with running(folder, doing="rescoring"):
            code, said = enter(*self.NEW)

        assert Exit.USAGE == code
        assert "(rescoring)" in said
        assert 4 == len(load_study(folder.root).trials)


@pytest.mark.parametrize(("trial", "expected"), [("failing", Exit.FAILED), ("instant", Exit.USAGE)])
def test_a_report_that_cannot_be_written(
    enter: Typed, monkeypatch: pytest.MonkeyPatch, trial: str, expected: Exit
) -> None:
    """It is what went wrong only where nothing else did."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sweeps.commands.conclude.conclude", full)
    code, said = enter(f"hydra.sweeper.trial=tests.doubles.fakes.{trial}", sweeps=False)

    assert expected == code, said
    assert "No space left on device" in said


class TestOnEnd:
    TELL = "hydra.sweeper.on_end='echo $BVAE_STUDY $BVAE_EXIT > told'"

    @pytest.mark.parametrize("sweeps", [True, False])
    def test_a_shell_is_told(self, enter: Typed, tmp_path: Path, *, sweeps: bool) -> None:
        """Which study has ended, and how."""
        here = ("beta=4", "latent_dim=2", "seed=0")
        enter(*(("hydra/launcher=basic", *GRID) if sweeps else here), self.TELL, sweeps=sweeps)

        assert (
            f"{load_study(tmp_path / 'runs' / 'swept').folder.root} 0\n"
            == (tmp_path / "told").read_text()
        )

    def test_none(self, enter: Typed) -> None:
        """As it is unless it is typed."""
        here = ("beta=4", "latent_dim=2", "seed=0")
        assert Exit.COMPLETE == enter(*here, "hydra.sweeper.on_end=null", sweeps=False)[0]

    @pytest.mark.parametrize("sweeps", [True, False])
    def test_what_hydra_takes_for_its_own(self, enter: Typed, *, sweeps: bool) -> None:
        """It is a mistake, and no bug of ours."""
        code, said = enter("beta=4", "hydra.sweeper.on_end=echo ${HOME}", sweeps=sweeps)

        assert Exit.USAGE == code
        assert "Interpolation key 'HOME' not found" in said
        assert "this is a bug" not in said

    def test_what_is_for_workers_is_not_for_it(
        self, enter: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A script of the user's finds the modules beside it."""
        monkeypatch.setenv("PYTHONSAFEPATH", "1")
        enter("hydra.sweeper.on_end='echo \"<$PYTHONSAFEPATH>\" > told'", sweeps=False)

        assert "<>\n" == (tmp_path / "told").read_text()

    def test_it_is_of_one_command(self, enter: Typed, tmp_path: Path) -> None:
        """No file of the study has it, and none that is planted there is run by `sweeps resume`."""
        enter("hydra/launcher=basic", *GRID, "hydra.sweeper.on_end='echo planted'")
        study = load_study(tmp_path / "runs" / "swept")
        assert "planted" not in study.folder.manifest.read_text()

        planted = ["hydra.sweeper.on_end=touch planted", "hydra/launcher=basic"]
        assert ["hydra/launcher=basic"] == resuming(replace(study.manifest, arguments=planted))

    def test_its_failure_is_said(self, enter: Typed) -> None:
        """And is not the sweep's."""
        code, said = enter("hydra/launcher=basic", *GRID, "hydra.sweeper.on_end='exit 7'")

        assert Exit.COMPLETE == code
        assert "hydra.sweeper.on_end: exit 7 failed with exit code 7" in said
