"""What a study tells to whoever reads its folder or its runs: no key, no name of an account."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import platformdirs
import psutil
import pytest

from tests.doubles import wandb_server
from tests.doubles.wandb_server import KEY, Server

GIT, DATABASE, OTHER = "gitplantedtoken", "pg@plantedpassword", "otherplantedsecret"
SECRETS = (KEY, GIT, DATABASE, OTHER)
"""In WANDB_API_KEY, the address of the git remote, the URL of a database, any other variable."""

UNREACHABLE = f"hydra.sweeper.storage=postgresql://ada:{DATABASE}@127.0.0.1:9/none"

STARTS_AGAIN_S = 10

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
def processes() -> set[str]:
    """The command lines that `ps` would have shown."""
    return set()


def command_lines(process: psutil.Process) -> set[str]:
    """Those of a process and of all below it."""
    found = set()
    with contextlib.suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                found.add(" ".join(one.cmdline()))
    return found


@pytest.fixture(scope="module")
def server(home: Path, processes: set[str]) -> Server:
    """A study of two trials, one of which fails, tracked offline and uploaded to this server."""
    home.mkdir()
    remote = f"https://me:{GIT}@host/lab/code.git?private_token={GIT}"
    for words in (["init", "--quiet"], ["remote", "add", "origin", remote]):
        subprocess.run(["git", "-C", str(home), *words], check=True)
    with wandb_server.serving() as server:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA"))}
        environ |= server.environ() | {
            "HOME": str(home),
            "OTHER_API_KEY": OTHER,
            "PGPASSWORD": DATABASE,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "XDG_CACHE_HOME": str(Path(platformdirs.user_cache_dir()).expanduser()),
        }
        for words, code in (
            (["bvae", "-m", *SMALL, "beta=1", "optimizer.lr=0.001,1e9"], 1),
            (["bvae", "-m", *SMALL, "study=none", "beta=1", UNREACHABLE], 2),
            (["sweeps", "sync", "runs/secrets"], 0),
        ):
            out = home.parent / "out"
            with out.open("w") as file:
                started = psutil.Popen(
                    [sys.executable, "-m", *words],
                    cwd=home,
                    env=environ,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
                begun = time.monotonic()
                while started.poll() is None:
                    # the password that was typed is there until the command has started again
                    if UNREACHABLE not in words or time.monotonic() > begun + STARTS_AGAIN_S:
                        processes |= command_lines(started)
                    time.sleep(0.05)
            said = out.read_text()
            assert code == started.returncode, said
            assert [] == [secret for secret in SECRETS if secret in said]
        return server


def files(home: Path) -> list[Path]:
    """Every file of the study."""
    return [path for path in (home / "runs").rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.xdist_group("secrets")  # whose study is made once
class TestSecrets:
    def test_no_key_in_any_file(self, home: Path, server: Server) -> None:
        """Neither ours nor wandb's."""
        found = [
            path
            for path in files(home)
            if any(secret.encode() in path.read_bytes() for secret in SECRETS)
        ]

        assert len(files(home)) > 20
        assert [] == found
        assert "host/lab/code.git" in (home / "runs/secrets/manifest.json").read_text("utf-8")

    def test_no_key_in_the_list_of_processes(self, server: Server, processes: set[str]) -> None:
        """Neither of the command nor of any worker."""
        assert any("submitit" in line for line in processes)
        assert [] == [line for line in processes if any(secret in line for secret in SECRETS)]

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
