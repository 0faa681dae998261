import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bvae import tracking
from bvae.tracking import Tracker
from tests.doubles import wandb_files, wandb_server
from tests.doubles.wandb_files import exit_codes, of_type

pytestmark = [pytest.mark.slow, pytest.mark.covered]

# Scripts run in processes of their own: wandb keeps one service and one set of settings for each.
PRELUDE = """
import os, sys
from pathlib import Path
from bvae import tracking
from bvae.trial import RunIdentity, TrackerSettings
from sweeps.workers.processes import command_line, descendants

def start(run_id, *, kind="wandb", mode="offline", entity=None, **config):
    identity = RunIdentity(
        study="quick", run_id=run_id, name="b4-m10-" + run_id, tags=("dsprites32", "mlp")
    )
    settings = TrackerSettings(
        name=kind, mode=mode, entity=entity, project="beta",
        tags=["pilot", "mlp"], notes="first try",
        git_commit="c" * 40, git_remote="https://host/code.git",
    )
    return tracking.start(settings, folder=Path("study"), identity=identity, config=config)

def service_pids():
    return [pid for pid in descendants(os.getpid()) if "wandb-core" in command_line(pid)]
"""


@dataclass(frozen=True)
class Finished:
    """A script that has ended: what it said, and where it was allowed to write."""

    code: int
    stdout: str
    stderr: str
    home: Path
    study: Path

    def records(self, run_id: str) -> list[dict[str, Any]]:
        """The records of a run's file, by wandb's own inspector."""
        (run_file,) = self.study.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb")
        return wandb_files.records(run_file)

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        """The rows of a run, without wandb's own columns."""
        return wandb_files.rows(self.records(run_id))


@contextmanager
def script(
    folder: Path, text: str, *arguments: str, **environ: str
) -> Iterator[tuple["subprocess.Popen[str]", Finished]]:
    """Start a script after PRELUDE in an empty folder, with an empty home and no key."""
    home, here = folder / "home", folder / "here"
    home.mkdir(parents=True)
    here.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "XDG", "NETRC"))}
    env |= {"HOME": str(home), "PYTHONPATH": str(Path(tracking.__file__).parents[1])} | environ
    command = [sys.executable, "-W", "error", "-c", PRELUDE + text, *arguments]
    with subprocess.Popen(
        command, cwd=here, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process, Finished(0, "", "", home, here / "study")


def run_script(folder: Path, text: str, **environ: str) -> Finished:
    """Run a script to its end."""
    with script(folder, text, **environ) as (process, finished):
        stdout, stderr = process.communicate(timeout=60)
    return replace(finished, code=process.returncode, stdout=stdout, stderr=stderr)


THREE_RUNS = """
import json
import numpy as np
from PIL import Image

Image.fromarray(np.linspace(0, 255, 600).astype(np.uint8).reshape(20, 30)).save("grid.png")
frames = [Image.new("L", (8, 8), 60 * i) for i in range(4)]
frames[0].save("film.gif", save_all=True, append_images=frames[1:], duration=100)

before = dict(os.environ)
paths = [str(Path.home() / "data.npz"), str(Path.home()) + "stead/data.npz"]
first = start("one", beta=4.0, latent_dim=10, model={"network": "mlp", "paths": paths})
for step in (10, 20, 30):
    first.log({"train/loss": 100.0 / step, "kl/z00": 0.5}, step=step)
first.log_picture("media/traversal", Path("grid.png"), step=30)
first.log_picture("media/traversal_gif", Path("film.gif"), step=30)
first.log_bars("kl/per_latent", [1.5, 0.25, 3.0], step=30)
first.summarise({"scores/mig": 0.25})
first.finish()
second = start("two", beta=8.0, latent_dim=10)
second.log({"train/loss": 7.0}, step=5)
third = start("three", beta=16.0)
third.log({"train/loss": float("nan")}, step=1)
third.finish()
second.finish(1)
second.finish(1)
print(json.dumps({"lost": [first.lost, second.lost, third.lost],
                  "same_environ": dict(os.environ) == before}))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A process that tracked three runs, in a shell where wandb is switched off."""
    return run_script(tmp_path_factory.mktemp("recorded"), THREE_RUNS, WANDB_MODE="disabled")


@pytest.fixture(scope="module")
def first_run(recorded: Finished) -> list[dict[str, Any]]:
    """The records of its first run."""
    return recorded.records("one")


class TestOfflineRun:
    def test_runs_quietly(self, recorded: Finished) -> None:
        """Nothing is lost, nothing is printed, and the environment is as it was before."""
        assert (recorded.code, recorded.stderr) == (0, "")
        assert json.loads(recorded.stdout) == {"lost": [None] * 3, "same_environ": True}

    def test_writes_only_into_the_folder(self, recorded: Finished) -> None:
        """The home stays empty, and so does the folder but for wandb's own."""
        assert list(recorded.home.iterdir()) == []
        assert [p.name for p in recorded.study.iterdir()] == ["wandb"]
        names = {p.name for p in (recorded.study / "wandb").iterdir()}
        assert {n for n in names if not n.startswith("offline-run-")} == {".cache"}
        here = {p.name for p in recorded.study.parent.iterdir()}
        assert here == {"study", "grid.png", "film.gif"}

    def test_identity(self, first_run: list[dict[str, Any]]) -> None:
        """The run has its group, job type, name, tags, notes, project, commit and id."""
        (run,) = of_type(first_run, "run")
        keys = ("run_group", "job_type", "display_name", "tags", "notes", "project", "git")
        keys += ("run_id", "resume")
        assert [run[key] for key in keys] == [
            "quick",
            "train",
            "b4-m10-one",
            ["dsprites32", "mlp", "pilot"],
            "first try",
            "beta",
            {"commit": "c" * 40, "remote_url": "https://host/code.git"},
            "one",
            True,
        ]

    def test_config(self, first_run: list[dict[str, Any]]) -> None:
        """The configuration is there as given, to group and filter by, but for the home."""
        (run,) = of_type(first_run, "run")
        config = {k: v for k, v in run["config"]["update"].items() if k != "_wandb"}
        paths = config["model"].pop("paths")
        assert config == {
            "beta": 4.0,
            "latent_dim": 10,
            "model": {"network": "mlp"},
            "study": "quick",
        }
        assert paths[0] == "~/data.npz"
        assert paths[1].endswith("/homestead/data.npz")

    def test_rows(self, first_run: list[dict[str, Any]]) -> None:
        """Rows come in order, each with its step."""
        rows = [r["item"] for r in of_type(first_run, "history") if "train/loss" in r["item"]]
        assert [(r["trainer/global_step"], r["train/loss"], r["kl/z00"]) for r in rows] == [
            (10, 10.0, 0.5),
            (20, 5.0, 0.5),
            (30, 100 / 30, 0.5),
        ]

    def test_step_is_the_axis_of_everything(self, first_run: list[dict[str, Any]]) -> None:
        """All keys, media too, are drawn against the optimizer step."""
        own, everything = of_type(first_run, "metric")
        assert own["name"] == "trainer/global_step"
        assert (everything["glob_name"], everything["step_metric"]) == ("*", "trainer/global_step")
        media = [r["item"] for r in of_type(first_run, "history") if "train/loss" not in r["item"]]
        assert [item["trainer/global_step"] for item in media] == [30, 30, 30]

    def test_image(self, recorded: Finished, first_run: list[dict[str, Any]]) -> None:
        """The PNG in the run is the picture, not a black one."""
        item = next(
            r["item"] for r in of_type(first_run, "history") if "media/traversal._type" in r["item"]
        )
        assert item["media/traversal._type"] == "image-file"
        (run_dir,) = recorded.study.glob("wandb/offline-run-*-one")
        with Image.open(run_dir / "files" / item["media/traversal.path"]) as image:
            pixels = np.asarray(image.convert("L"))
        assert pixels.max() > 200
        with Image.open(recorded.study.parent / "grid.png") as original:
            assert np.array_equal(pixels, np.asarray(original))

    def test_video(self, recorded: Finished, first_run: list[dict[str, Any]]) -> None:
        """The GIF in the run has all its frames."""
        item = next(
            r["item"]
            for r in of_type(first_run, "history")
            if "media/traversal_gif._type" in r["item"]
        )
        assert item["media/traversal_gif._type"] == "video-file"
        (run_dir,) = recorded.study.glob("wandb/offline-run-*-one")
        with Image.open(run_dir / "files" / item["media/traversal_gif.path"]) as film:
            assert film.n_frames == 4
            film.seek(3)
            assert film.convert("L").getpixel((4, 4)) == 180

    def test_bars(self, first_run: list[dict[str, Any]]) -> None:
        """Bar i of some numbers is as high as number i."""
        (bars,) = (row for row in wandb_files.rows(first_run) if "kl/per_latent.values" in row)
        assert bars["kl/per_latent.values"] == [1.5, 0.25, 3.0]
        assert bars["kl/per_latent.bins"] == [0, 1, 2, 3]

    def test_summary(self, first_run: list[dict[str, Any]]) -> None:
        """Scores are values of the run."""
        assert {"scores/mig": 0.25} in [r["update"] for r in of_type(first_run, "summary")]

    def test_exit_codes(self, recorded: Finished, first_run: list[dict[str, Any]]) -> None:
        """A run ends as it was finished: 0 is finished, 1 failed."""
        assert exit_codes(first_run) == [0]
        assert exit_codes(recorded.records("two")) == [1]

    def test_runs_of_one_process_never_merge(self, recorded: Finished) -> None:
        """A run has its own configuration and rows, though another was open when it started."""
        betas = {}
        for run_id in ("two", "three"):
            (run,) = of_type(recorded.records(run_id), "run")
            betas[run["display_name"]] = run["config"]["update"]["beta"]
        assert betas == {"b4-m10-two": 8.0, "b4-m10-three": 16.0}
        assert recorded.rows("two") == [{"trainer/global_step": 5, "train/loss": 7.0}]
        assert len(list(recorded.study.glob("wandb/offline-run-*"))) == 3

    def test_nan(self, recorded: Finished) -> None:
        """A value that is not a number is recorded as such."""
        assert recorded.rows("three") == [{"trainer/global_step": 1, "train/loss": "NaN"}]

    def test_is_small(self, recorded: Finished) -> None:
        """A run of a few rows and pictures takes less than 100 KB."""
        (run_dir,) = recorded.study.glob("wandb/offline-run-*-one")
        sizes = [p.lstat().st_size for p in run_dir.rglob("*") if p.is_file()]
        assert 1_000 < sum(sizes) < 100_000


KILLED_SERVICE = """
import signal
first = start("one")
first.log({"x": 1.0}, step=1)
(pid,) = service_pids()
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
for step in range(2, 50):
    first.log({"x": 2.0}, step=step)
first.log_picture("media/x", Path("missing.png"), step=50)
first.summarise({"scores/mig": 0.5})
first.finish()
second = start("two")
for step in range(20):
    second.log({"x": float(step)}, step=step)
second.finish()
print(first.lost, second.lost, pid not in service_pids(), sep="\\n")
"""

KILLED_PROCESS = """
import signal, time
tracker = start("one", beta=4.0)
for step in range(1, 21):
    tracker.log({"x": 0.5 * step}, step=step)
time.sleep(2)
os.kill(os.getpid(), signal.SIGKILL)
"""


class TestKills:
    def test_service_killed(self, tmp_path: Path) -> None:
        """When its service dies a run goes on in silence, says so, and the next run is whole."""
        done = run_script(tmp_path, KILLED_SERVICE)
        first_lost, second_lost, fresh = done.stdout.splitlines()

        assert done.code == 0
        assert "Traceback" not in done.stderr.split("Exception ignored in")[0]
        assert first_lost.startswith("ConnectionResetError")
        assert (second_lost, fresh) == ("None", "True")
        assert done.rows("two") == [{"trainer/global_step": s, "x": float(s)} for s in range(20)]
        assert exit_codes(done.records("two")) == [0]

    @pytest.mark.slow
    def test_process_killed(self, tmp_path: Path) -> None:
        """A process killed two seconds after its last row leaves every row on disk."""
        done = run_script(tmp_path, KILLED_PROCESS)

        assert done.code == -9
        assert [row["x"] for row in done.rows("one")] == [0.5 * step for step in range(1, 21)]
        assert exit_codes(done.records("one")) == []


RANDOM_KILL = """
import time
tracker = start(sys.argv[1])
for step in range(1, 200):
    tracker.log({"x": float(step)}, step=step)
    print(step, time.time(), flush=True)
    time.sleep(0.1)  # more rows would fill a block of the file, which is written at once
"""


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Whenever the kill comes, at most the rows of about its last second are lost."""
    chance = random.Random(0)
    for run_id in ("one", "two"):
        with script(tmp_path / run_id, RANDOM_KILL, run_id) as (process, finished):
            lines = []
            until = chance.uniform(2.0, 3.5)
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.split())
                if float(lines[-1][1]) - float(lines[0][1]) > until:
                    break
            process.kill()
            killed_at = float(lines[-1][1])
            assert killed_at - float(lines[0][1]) > until  # by our kill, not by itself
        on_disk = len(finished.rows(run_id))
        older = sum(float(at) < killed_at - 1.5 for _, at in lines)
        assert older <= on_disk <= len(lines) + 1
        assert exit_codes(finished.records(run_id)) == []


TWO_WORKERS = """
import subprocess
code = PRELUDE + "worker = start(sys.argv[1], beta=float(sys.argv[2]))\\n" + (
    "for step in range(30): worker.log({'x': float(sys.argv[2])}, step=step)\\n"
    "worker.finish()\\nassert worker.lost is None"
)
both = [subprocess.Popen([sys.executable, "-c", code, f"run{b}", str(b)]) for b in (1, 2)]
print([one.wait() for one in both])
"""


@pytest.mark.slow
def test_two_workers_never_share_a_run(tmp_path: Path) -> None:
    """Processes that track at once, into one folder, each have their run."""
    done = run_script(tmp_path, f"PRELUDE = {PRELUDE!r}\n" + TWO_WORKERS.replace("\\\\n", "\\n"))
    assert done.stdout == "[0, 0]\n"
    for beta in (1, 2):
        rows = done.rows(f"run{beta}")
        assert [row["x"] for row in rows] == [float(beta)] * 30


CHECK = """
from bvae.exceptions import ConfigError
try:
    tracking.check_login()
except ConfigError as error:
    print(error)
else:
    print("logged in")
print(service_pids(), Path("study").exists())
"""

CLOSED = "127.0.0.1:9"  # the discard port: nobody listens
KEY = "0123456789abcdef" * 4


class TestCheckLogin:
    @pytest.mark.parametrize(
        ("environ", "words"),
        [
            ({}, "found none; run `wandb login`, set WANDB_API_KEY, or stay with tracker.mode=of"),
            ({"WANDB_API_KEY": "short"}, "expected a valid W&B key: WANDB_API_KEY"),
            (
                {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": f"http://{CLOSED}"},
                f"expected the W&B server at http://{CLOSED} to answer, got: ",
            ),
        ],
        ids=["no key", "invalid key", "no server"],
    )
    def test_what_is_missing(self, environ: dict[str, str], words: str, tmp_path: Path) -> None:
        """It is said at once with what to do; nothing goes on, nothing is left behind."""
        done = run_script(tmp_path, CHECK, **environ)
        message, state = done.stdout.splitlines()

        assert words in message
        assert state == "[] False"
        assert (done.code, done.stderr, list(done.home.iterdir())) == (0, "", [])

    def test_key_in_netrc(self, tmp_path: Path) -> None:
        """The key of `wandb login` is found and verified, also when the shell says offline."""
        with wandb_server.serving() as server:
            netrc = tmp_path / "netrc"
            host = server.url.removeprefix("http://")
            netrc.write_text(f"machine {host}\n  login user\n  password {wandb_server.KEY}\n")
            environ = {
                "NETRC": str(netrc),
                "WANDB_BASE_URL": server.url,
                "WANDB_MODE": "offline",
            }
            done = run_script(tmp_path, CHECK, **environ)
        assert (done.code, done.stdout, done.stderr) == (0, "logged in\n[] False\n", "")
        assert "Viewer" in server.operations

    def test_a_key_that_the_server_does_not_know(self, tmp_path: Path) -> None:
        """It is told before anything is started."""
        with wandb_server.serving() as server:
            done = run_script(tmp_path, CHECK, **server.environ() | {"WANDB_API_KEY": KEY})
        assert done.stdout.startswith("expected the W&B server to know whose key it is, got: ")
        assert KEY not in done.stdout + done.stderr


ONLINE = """
online = start("one", mode="online", beta=4.0)
for step in range(5):
    online.log({"x": float(step)}, step=step)
online.summarise({"scores/mig": 0.25})
online.finish()
print(online.lost)
"""

UNREACHABLE = """
import time
tracking.INIT_TIMEOUT_S = 1.0
for name in ("one", "two"):
    began = time.monotonic()
    run = start(name, mode="online")
    run.log({"x": 1.0}, step=1)
    run.finish()
    print(time.monotonic() - began, run.lost)
"""


class TestOnline:
    def test_a_run_goes_to_the_server(self, tmp_path: Path) -> None:
        """With its group, configuration, rows, scores and state, as it would later from disk."""
        with wandb_server.serving() as server:
            done = run_script(tmp_path, ONLINE, **server.environ())
        run = server.runs["one"]

        assert (done.stdout, done.stderr) == ("None\n", "")
        assert ("quick", "train", "b4-m10-one") == tuple(
            run.sent[key] for key in ("groupName", "jobType", "displayName")
        )
        assert 4 == run.config["beta"]
        assert [{"trainer/global_step": s, "x": s} for s in range(5)] == run.rows
        assert (0.25, [0]) == (run.summary["scores/mig"], run.exit_codes)
        assert wandb_server.ENTITY == (done.study / "wandb" / "entity").read_text()
        assert not secrets(done)

    @pytest.mark.parametrize(
        ("entity", "expected"), [("team", "team"), (None, wandb_server.ENTITY)]
    )
    def test_it_goes_to_the_entity_of_its_study(
        self, entity: str | None, expected: str, tmp_path: Path
    ) -> None:
        """Whatever the shell of a worker says."""
        with wandb_server.serving() as server:
            script = ONLINE.replace('mode="online"', f'mode="online", entity={entity!r}')
            run_script(tmp_path, script, WANDB_ENTITY="others", **server.environ())
        sent = server.runs["one"].sent

        assert (expected, "beta") == (sent["entity"], sent["project"])

    def test_unreachable_server(self, tmp_path: Path) -> None:
        """It costs one wait, not one for each run; the runs are kept for `sweeps sync`."""
        environ = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": f"http://{CLOSED}"}
        done = run_script(tmp_path, UNREACHABLE, **environ)
        first, second = (line.split(maxsplit=1) for line in done.stdout.splitlines())

        assert first[1].startswith("kept offline for `sweeps sync`: CommError: ")
        assert first[1] == second[1]
        assert float(first[0]) < 15
        assert float(second[0]) < 1
        for run_id in ("one", "two"):
            assert done.rows(run_id) == [{"trainer/global_step": 1, "x": 1.0}]
        assert not secrets(done)

    def test_no_key(self, tmp_path: Path) -> None:
        """A worker on a machine without one tracks offline, and says why."""
        done = run_script(tmp_path, ONLINE)

        assert done.stdout.startswith("kept offline for `sweeps sync`: ConfigError: expected a W&B")
        assert [row["x"] for row in done.rows("one")] == [0.0, 1.0, 2.0, 3.0, 4.0]


def secrets(done: Finished) -> list[Path]:
    """The files of a study that have a key in them."""
    written = [path for path in done.study.rglob("*") if path.is_file()]
    assert written
    keys = (KEY.encode(), wandb_server.KEY.encode())
    return [path for path in written if any(key in path.read_bytes() for key in keys)]


class TestNone:
    def test_never_imports_wandb(self, tmp_path: Path) -> None:
        """With the name none wandb may be missing: no call does anything, and nothing is lost."""
        script = """
sys.modules["wandb"] = None
tracker = start("one", kind="none", mode="online")
tracker.log({"x": 1.0}, step=1)
tracker.log_picture("media/x", Path("missing.png"), step=1)
tracker.summarise({"x": 1.0})
tracker.finish(1)
print(tracker.lost, os.listdir())
"""
        done = run_script(tmp_path, script)
        assert (done.stdout, done.stderr) == ("None []\n", "")


def test_broken_installation(tmp_path: Path) -> None:
    """When wandb cannot be imported, the tracker is lost and the trial goes on."""
    script = """
sys.modules["wandb"] = None
tracker = start("one")
tracker.log({"x": 1.0}, step=1)
tracker.finish()
print(tracker.lost)
"""
    done = run_script(tmp_path, script)
    assert done.stdout.startswith("ModuleNotFoundError: import of wandb halted")
    assert (done.code, done.stderr) == (0, "")


class BrokenRun:
    """A run whose every use fails, and that counts them."""

    def __init__(self) -> None:
        self.n_calls = 0

    def __getattr__(self, name: str) -> object:
        self.n_calls += 1
        raise ConnectionResetError("Connection\nlost")


CALLS: dict[str, Callable[[Tracker, Path], None]] = {
    "log": lambda tracker, _: tracker.log({"x": 1.0}, step=1),
    "log_picture": lambda tracker, png: tracker.log_picture("x", png, step=1),
    "log_film": lambda tracker, png: tracker.log_picture("x", png.with_suffix(".gif"), step=1),
    "alert": lambda tracker, _: tracker.alert("x", "y", is_failure=True),
    "summarise": lambda tracker, _: tracker.summarise({"x": 1.0}),
    "finish": lambda tracker, _: tracker.finish(),
}


class TestGuard:
    @pytest.fixture
    def png(self, tmp_path: Path) -> Path:
        """A picture, and a film beside it."""
        Image.new("L", (4, 4)).save(tmp_path / "picture.png")
        Image.new("L", (4, 4)).save(tmp_path / "picture.gif")
        return tmp_path / "picture.png"

    @pytest.mark.parametrize("name", CALLS)
    def test_every_call_is_guarded(self, name: str, png: Path) -> None:
        """Whatever call fails, the reason is kept in one line and wandb is left alone after."""
        run = BrokenRun()
        tracker = Tracker(run=run)  # type: ignore[arg-type]
        CALLS[name](tracker, png)
        assert tracker.lost == "ConnectionResetError: Connection lost"
        assert run.n_calls == 1
        for call in CALLS.values():
            call(tracker, png)
        assert run.n_calls == 1

    def test_missing_picture(self, tmp_path: Path) -> None:
        """A picture that cannot be read gives the run up, not the trial."""

        class Patient:
            def log(self, row: object) -> None:
                pass

        tracker = Tracker(run=Patient())  # type: ignore[arg-type]
        tracker.log_picture("x", tmp_path / "missing.png", step=1)
        assert tracker.lost is not None
        assert "missing.png" in tracker.lost

    def test_interrupt_is_not_swallowed(self) -> None:
        """Ctrl-C inside a call into wandb still ends the program, with the environment restored."""

        class Interrupted:
            def log(self, row: object) -> None:
                assert os.environ["WANDB_SILENT"] == "yes"
                raise KeyboardInterrupt("^C")

        tracker = Tracker(run=Interrupted(), environment={"WANDB_SILENT": "yes"})  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt, match=r"^\^C$"):
            tracker.log({"x": 1.0}, step=1)
        assert "WANDB_SILENT" not in os.environ
