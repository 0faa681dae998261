"""What a study tells to whoever reads its folder or its runs: no key, no name of an account."""

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from tests.doubles import wandb_server
from tests.doubles.wandb_server import KEY, Server

SMALL = (
    "study=secrets",
    'runs_dir="~/runs"',
    "trainer.max_steps=6",
    "trainer.batch_size=16",
    "trainer.val_every_n_steps=3",
    "data.score_every=[1,3,8,4,4]",
    "tracker=wandb",
    "hydra.sweeper.n_workers=1",
    "hydra.sweeper.max_attempts=1",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of somebody with a key in the environment."""
    return tmp_path_factory.mktemp("homes") / "somebodys-home"


@pytest.fixture(scope="module")
def server(home: Path) -> Server:
    """A study of two trials, one of which fails, tracked offline and uploaded to this server."""
    home.mkdir()
    with wandb_server.serving() as server:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA"))}
        environ |= server.environ() | {
            "HOME": str(home),
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "XDG_CACHE_HOME": str(Path(platformdirs.user_cache_dir()).expanduser()),
        }
        for words, code in (
            (["bvae", "-m", *SMALL, "beta=1,1e300"], 1),
            (["sweeps", "sync", "runs/secrets"], 0),
        ):
            done = subprocess.run(
                [sys.executable, "-m", *words],
                cwd=home,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )
            assert code == done.returncode, done.stdout + done.stderr
            assert KEY not in done.stdout + done.stderr
        return server


def files(home: Path) -> list[Path]:
    """Every file of the study."""
    return [path for path in (home / "runs").rglob("*") if path.is_file()]


@pytest.mark.slow
class TestSecrets:
    def test_no_key_in_any_file(self, home: Path, server: Server) -> None:
        """Neither ours nor wandb's."""
        found = [path for path in files(home) if KEY.encode() in path.read_bytes()]

        assert len(files(home)) > 20
        assert [] == found

    def test_home_is_a_tilde(self, home: Path, server: Server) -> None:
        """In every file of ours, and in every run that was uploaded."""
        ours = [path for path in files(home) if not {"wandb", "submitit"} & set(path.parts)]
        assert [] == [path for path in ours if str(home).encode() in path.read_bytes()]

        kept = [data for run in server.runs.values() for data in run.files.values()]
        told = [repr((run.config, run.summary, run.rows)) for run in server.runs.values()]
        assert kept
        assert not any(str(home).encode() in data for data in kept)
        assert not any(str(home) in text for text in told)

    def test_that_check_can_fail(self, home: Path, server: Server) -> None:
        """What is uploaded has a path in it."""
        assert any("~/runs" in str(run.config) for run in server.runs.values())
