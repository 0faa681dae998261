import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bvae.exceptions import ConfigError
from bvae.trial import TrackerSettings
from sweeps.plan.compose import Composition
from sweeps.plan.tracker import commit_of, filled_in, notes
from tests.sweeps.conftest import Planned


def settings_of(folder: Path, **typed: Any) -> TrackerSettings:
    """What is settled of a tracker of which some keys were typed."""
    found = filled_in(Composition({"tracker": {"name": "wandb"} | typed}, {}), commit_of(folder))
    return TrackerSettings(**found.values["tracker"])


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set W&B's environment variables."""

    def says(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"WANDB_{name}", value)

    return says


Says = Callable[..., None]


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    who = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environment = {**os.environ, **who}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class TestWhere:
    def test_defaults(self, tmp_path: Path) -> None:
        """Offline, in our project, of whoever the key belongs to."""
        found = settings_of(tmp_path)
        assert ("offline", None, "bvae-sweeps") == (found.mode, found.entity, found.project)

    def test_environment(self, tmp_path: Path, says: Says) -> None:
        """It counts where nothing was typed; what is empty says nothing."""
        says(MODE="online", ENTITY="team", PROJECT="")
        found = settings_of(tmp_path)
        assert ("online", "team", "bvae-sweeps") == (found.mode, found.entity, found.project)

    def test_typed_keys_win(self, tmp_path: Path, says: Says) -> None:
        """And it is said which variables do not count."""
        says(MODE="offline", ENTITY="team", PROJECT="old")
        found = settings_of(tmp_path, mode="online", project="new", entity="team")

        assert ("online", "new") == (found.mode, found.project)
        assert [
            "tracker.mode=online, whatever WANDB_MODE=offline says",
            "tracker.project=new, whatever WANDB_PROJECT=old says",
        ] == list(notes(found))
        assert [] == list(notes(replace(found, name="none")))

    @pytest.mark.parametrize(
        ("said", "name", "mode"),
        [
            ("disabled", "none", "offline"),
            ("dryrun", "wandb", "offline"),
            ("run", "wandb", "online"),
        ],
    )
    def test_other_modes(self, said: str, name: str, mode: str, tmp_path: Path, says: Says) -> None:
        """W&B's older words, and its word for no tracker."""
        says(MODE=said)
        found = settings_of(tmp_path)
        assert (name, mode) == (found.name, found.mode)
        assert [f"WANDB_MODE={said}: nothing is tracked"] * (name == "none") == [*notes(found)]

    def test_unknown_mode(self, tmp_path: Path, says: Says) -> None:
        """It is refused, unless nothing is tracked."""
        says(MODE="shared")
        with pytest.raises(
            ConfigError, match=r"^WANDB_MODE: expected one of .*, but got 'shared'$"
        ):
            settings_of(tmp_path)
        untracked = settings_of(tmp_path, name="none")
        assert ("offline", []) == (untracked.mode, [*notes(untracked)])


class TestCommit:
    def test_of_a_repository(self, tmp_path: Path, says: Says) -> None:
        """Its commit, and its address without a password; none if W&B is not to know."""
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
        git(tmp_path, "remote", "add", "origin", "https://me:secret@host:8443/lab/code.git")
        found = settings_of(tmp_path)

        assert git(tmp_path, "rev-parse", "HEAD") == found.git_commit
        assert "https://host:8443/lab/code.git" == found.git_remote
        says(DISABLE_GIT="true")
        assert settings_of(tmp_path).git_commit is None

    def test_short_remote(self, tmp_path: Path) -> None:
        """An address without a scheme stays as it is."""
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "remote", "add", "origin", "git@host:lab/code.git")
        assert "git@host:lab/code.git" == settings_of(tmp_path).git_remote

    def test_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Outside of a repository, and without git."""
        assert settings_of(tmp_path).git_commit is None
        monkeypatch.setenv("PATH", "")
        assert settings_of(tmp_path).git_commit is None


class TestContinuedStudies:
    GRID = ("experiment=quick", "beta=1,4", "latent_dim=4", "seed=0")

    def test_runs_stay_where_they_are(self, planned: Planned, says: Says) -> None:
        """What the shell says later does not count, and that is told."""
        says(ENTITY="team", PROJECT="first")
        planned(*self.GRID).write()
        says(ENTITY="others", PROJECT="second")
        found = planned(*self.GRID, "tracker.name=wandb")

        assert ("team", "first") == (found.manifest.tracker.entity, found.manifest.tracker.project)
        assert "tracker.project=first, whatever WANDB_PROJECT=second says" in found.notes

    def test_unless_typed(self, planned: Planned) -> None:
        """They go there from now on; tags, notes and the like may be changed, too."""
        planned(*self.GRID).write()
        typed = ("tracker.entity=team", "tracker.project=b", "tracker.tags=[x]", "tracker.notes=y")
        study = planned(*self.GRID, *typed).write()

        found = study.manifest.tracker
        assert ("team", "b", ["x"], "y") == (found.entity, found.project, found.tags, found.notes)
