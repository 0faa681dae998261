import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bvae import tracking
from bvae.tracking import Tracker

# What `wandb leet inspect` runs, without the second that the import of wandb takes.
WANDB_CORE = Path(find_spec("wandb").submodule_search_locations[0], "bin", "wandb-core")

# Scripts run in processes of their own: wandb keeps one service and one set of settings for each.
PRELUDE = """
import os, sys
from pathlib import Path
from bvae import tracking

def start(run_id, *, kind="wandb", mode="offline", **config):
    identity = tracking.RunIdentity(
        study="quick", run_id=run_id, name="b4-m10-" + run_id, tags=("dsprites32", "mlp")
    )
    return tracking.start(
        kind=kind, mode=mode, project="beta", folder=Path("study"), identity=identity, config=config
    )

def service_pids():
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(p) for p in children if b"wandb-core" in Path(f"/proc/{p}/cmdline").read_bytes()]
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
        command = [WANDB_CORE, "leet", "inspect", "--no-observability", "--json"]
        done = subprocess.run(
            [*command, "--run-file", run_file], capture_output=True, text=True, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        """The rows of a run, without wandb's own columns."""
        items = [r["history"]["item"] for r in self.records(run_id) if r["type"] == "history"]
        return [{k: v for k, v in item.items() if not k.startswith("_")} for item in items]


def run_script(folder: Path, script: str, **environ: str) -> Finished:
    """Run a script after PRELUDE in an empty folder, with an empty home and no key."""
    home, here = folder / "home", folder / "here"
    home.mkdir()
    here.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "XDG", "NETRC"))}
    env |= {"HOME": str(home), "PYTHONPATH": str(Path(tracking.__file__).parents[1])} | environ
    command = [sys.executable, "-W", "error", "-c", PRELUDE + script]
    done = subprocess.run(
        command, cwd=here, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    return Finished(done.returncode, done.stdout, done.stderr, home, here / "study")


def of_type(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The bodies of all records of one type."""
    return [record[name] for record in records if record["type"] == name]


def exit_codes(records: list[dict[str, Any]]) -> list[int]:
    """The exit codes a run was finished with: one, or none if it was not."""
    return [record["exit_code"] for record in of_type(records, "exit")]


THREE_RUNS = """
import json
import numpy as np
from PIL import Image

Image.fromarray(np.linspace(0, 255, 600).astype(np.uint8).reshape(20, 30)).save("grid.png")
frames = [Image.new("L", (8, 8), 60 * i) for i in range(4)]
frames[0].save("film.gif", save_all=True, append_images=frames[1:], duration=100)

before = dict(os.environ)
first = start("one", beta=4.0, latent_dim=10, model={"network": "mlp"})
for step in (10, 20, 30):
    first.log({"train/loss": 100.0 / step, "kl/z00": 0.5}, step=step)
first.log_image("media/traversal", Path("grid.png"), step=30, caption="after 30 steps")
first.log_video("media/traversal_gif", Path("film.gif"), step=30)
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
        """The run has its group, job type, name, tags, project and id."""
        (run,) = of_type(first_run, "run")
        keys = ("run_group", "job_type", "display_name", "tags", "project", "run_id", "resume")
        assert [run[key] for key in keys] == [
            "quick",
            "train",
            "b4-m10-one",
            ["dsprites32", "mlp"],
            "beta",
            "one",
            True,
        ]

    def test_config(self, first_run: list[dict[str, Any]]) -> None:
        """The configuration is there as given, to group and filter by."""
        (run,) = of_type(first_run, "run")
        config = {k: v for k, v in run["config"]["update"].items() if k != "_wandb"}
        assert config == {"beta": 4.0, "latent_dim": 10, "model": {"network": "mlp"}}

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
        assert [item["trainer/global_step"] for item in media] == [30, 30]

    def test_image(self, recorded: Finished, first_run: list[dict[str, Any]]) -> None:
        """The PNG in the run is the picture, not a black one, with its caption."""
        item = next(
            r["item"] for r in of_type(first_run, "history") if "media/traversal._type" in r["item"]
        )
        assert item["media/traversal._type"] == "image-file"
        assert item["media/traversal.caption"] == "after 30 steps"
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
first.log_image("media/x", Path("missing.png"), step=50)
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


CHECK = """
from bvae.exceptions import ConfigError
try:
    start("one", mode="online")
except ConfigError as error:
    print(error)
print(service_pids(), Path("study").exists())
"""

CLOSED = "127.0.0.1:9"  # the discard port: nobody listens
KEY = "0123456789abcdef" * 4

UNREACHABLE = """
import time
tracking.INIT_TIMEOUT_S = 1.0
began = time.monotonic()
online = start("one", mode="online")
took_s = time.monotonic() - began
online.log({"x": 1.0}, step=1)
online.finish()
offline = start("two")
offline.log({"x": 1.0}, step=1)
offline.finish()
print(online.lost, took_s, offline.lost, sep="\\n")
"""


class TestOnline:
    @pytest.mark.parametrize(
        ("environ", "words"),
        [
            ({}, "found none; run `wandb login`, set WANDB_API_KEY, or use tracker.mode=offline"),
            ({"WANDB_API_KEY": "short"}, "valid W&B key for tracker.mode=online: WANDB_API_KEY"),
        ],
        ids=["none", "invalid"],
    )
    def test_no_key(self, environ: dict[str, str], words: str, tmp_path: Path) -> None:
        """Without a usable key the message says what to do; nothing is started or written."""
        done = run_script(tmp_path, CHECK, **environ)
        message, state = done.stdout.splitlines()

        assert words in message
        assert state == "[] False"
        assert (done.code, done.stderr, list(done.home.iterdir())) == (0, "", [])

    def test_key_in_netrc(self, tmp_path: Path) -> None:
        """The key of `wandb login` is found without a word, also when the shell says offline."""
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {CLOSED}\n  login user\n  password {KEY}\n")
        script = 'tracking.check_key(mode="online")\nprint(service_pids())'
        environ = {
            "NETRC": str(netrc),
            "WANDB_BASE_URL": f"http://{CLOSED}",
            "WANDB_MODE": "offline",
        }
        done = run_script(tmp_path, script, **environ)
        assert (done.code, done.stdout, done.stderr) == (0, "[]\n", "")

    def test_unreachable_server(self, tmp_path: Path) -> None:
        """A server that does not answer costs the time limit, not the trial, nor the next run."""
        environ = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": f"http://{CLOSED}"}
        done = run_script(tmp_path, UNREACHABLE, **environ)
        lost, took_s, offline_lost = done.stdout.splitlines()

        assert lost.startswith("CommError: ")
        assert float(took_s) < 10
        assert (offline_lost, done.code) == ("None", 0)
        assert done.rows("two") == [{"trainer/global_step": 1, "x": 1.0}]
        written = [p for p in done.study.rglob("*") if p.is_file()]
        assert written
        assert not any(KEY.encode() in p.read_bytes() for p in written)


class TestNone:
    def test_never_imports_wandb(self, tmp_path: Path) -> None:
        """With `kind` none wandb may be missing: every call does nothing, and nothing is lost."""
        script = """
sys.modules["wandb"] = None
tracker = start("one", kind="none", mode="online")
tracker.log({"x": 1.0}, step=1)
tracker.log_image("media/x", Path("missing.png"), step=1)
tracker.log_video("media/x", Path("missing.gif"), step=1)
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
    "log_image": lambda tracker, png: tracker.log_image("x", png, step=1),
    "log_video": lambda tracker, png: tracker.log_video("x", png.with_suffix(".gif"), step=1),
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
        tracker.log_image("x", tmp_path / "missing.png", step=1)
        assert tracker.lost is not None
        assert "missing.png" in tracker.lost

    def test_interrupt_is_not_swallowed(self) -> None:
        """Ctrl-C inside a call into wandb still ends the program, with the environment restored."""

        class Interrupted:
            def log(self, row: object) -> None:
                assert os.environ["WANDB_SILENT"] == "yes"
                raise KeyboardInterrupt

        tracker = Tracker(run=Interrupted(), environment={"WANDB_SILENT": "yes"})  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            tracker.log({"x": 1.0}, step=1)
        assert "WANDB_SILENT" not in os.environ
