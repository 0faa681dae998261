"""Against wandb's own client and service, and a server on the loopback."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb
from PIL import Image

from bvae import tracking
from bvae.exceptions import ConfigError
from sweeps import __main__ as entry
from sweeps import load_study
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.run_names import identity
from sweeps.study.study import Study
from sweeps.tracking.offline_files import fragments, is_row, read, written
from tests.doubles import wandb_server
from tests.doubles.studies import make_study, trials
from tests.doubles.wandb_files import of_type, records
from tests.doubles.wandb_server import ENTITY, KEY, Server

pytestmark = [pytest.mark.slow, pytest.mark.covered]

# In a process of its own, as a worker is. Trial 0 is one attempt with a picture; trial 1 is
# interrupted after 20 rows and resumed; trial 2 fails.
OFFLINE = """
import sys
from pathlib import Path
from bvae import tracking
from bvae.trial import TrackerSettings
from sweeps.study.run_names import identity
from sweeps import load_study

study = load_study(sys.argv[1])

def start(number):
    settings = TrackerSettings(name="wandb", mode="offline", project="tests")
    return tracking.start(
        settings, folder=study.folder.root,
        identity=identity(study.manifest, study.trials[number]), config={"beta": 4.0},
    )

def log(tracker, first, last):
    for step in range(first, last):
        tracker.log({"x": float(step)}, step=step)

one = start(0)
log(one, 0, 5)
one.log_picture("media/traversal", Path(sys.argv[2]), step=5)
one.summarise({"scores/mig": 0.25})
one.finish()
for first, last, code in ((0, 20, 130), (20, 30, 0)):
    two = start(1)
    log(two, first, last)
    two.finish(code)
three = start(2)
log(three, 0, 2)
three.finish(1)
"""


ONLINE = """
import sys
from bvae import tracking
from bvae.trial import TrackerSettings
from sweeps.study.run_names import identity
from sweeps import load_study

tracking.FINISH_TIMEOUT_S = 5
study = load_study(sys.argv[1])
run = tracking.start(
    TrackerSettings(name="wandb", mode="online", project="tests"), folder=study.folder.root,
    identity=identity(study.manifest, study.trials[0]), config={"beta": 4.0},
)
for step in range(10):
    run.log({"x": float(step)}, step=step)
run.finish()
"""


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose runs are on disk only."""
    root = tmp_path_factory.mktemp("runs")
    make_study(root / "tested", trials(beta=[1, 4, 16], seed=[0]))
    Image.new("L", (30, 20), 180).save(root / "grid.png")
    subprocess.run(
        [sys.executable, "-c", OFFLINE, root / "tested", root / "grid.png"],
        env={"HOME": str(root), "PATH": "", "PYTHONPATH": str(Path(__file__).parents[3])},
        check=True,
    )
    return root / "tested"


@pytest.fixture
def study(tracked: Path, tmp_path: Path) -> Study:
    """A copy of it."""
    shutil.copytree(tracked, tmp_path / "tested", symlinks=True)
    return load_study(tmp_path / "tested")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server, known to what the test runs, in a shell where wandb is offline."""
    with wandb_server.serving() as server:
        for name, value in {**server.environ(), "WANDB_MODE": "offline"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield server


@pytest.fixture
def sync(study: Study, capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[int, list[str]]]:
    """Type the command; returns its exit code and the lines it prints."""

    def sync() -> tuple[int, list[str]]:
        typed = entry.parser(["sync"]).parse_args(["sync", str(study.folder.root)])
        code = typed.run(typed)
        return code, capsys.readouterr().out.splitlines()

    return sync


Sync = Callable[[], tuple[int, list[str]]]


def run_id(study: Study, number: int) -> str:
    """The id of a trial's run."""
    return identity(study.manifest, study.trials[number]).run_id


def files_of(study: Study, number: int) -> list[Path]:
    """The files of a trial's run, in order."""
    found = fragments(study.folder.wandb)
    return [one.path for one in found if one.run_id == run_id(study, number)]


def keep_only(study: Study, number: int) -> list[Path]:
    """Leave one trial's run on disk; return its files in order."""
    kept = files_of(study, number)
    for fragment in fragments(study.folder.wandb):
        if fragment.path not in kept:
            shutil.rmtree(fragment.path.parent)
    return kept


def steps(server: Server, name: str) -> list[float]:
    """The values that a run's rows have on the server, in their order."""
    return [row["x"] for row in server.runs[name].rows if "x" in row]


def test_rows_of_real_files(tracked: Path) -> None:
    """As many as wandb's own inspector finds in each."""
    found = fragments(load_study(tracked).folder.wandb)
    rows = [sum(map(is_row, read(one.path.read_bytes()).records)) for one in found]

    assert 4 == len(found)
    assert all(rows)
    assert rows == [len(of_type(records(one.path), "history")) for one in found]


class TestSync:
    def test_everything_is_uploaded_once(
        self,
        study: Study,
        server: Server,
        sync: Sync,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Each run with its rows, group, scores, picture and exit code; then there is no more."""
        here = tmp_path / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        code, said = sync()
        one, two, three = (server.runs[run_id(study, number)] for number in range(3))

        assert (0, "4 uploaded") == (code, said[-1])
        names = [identity(study.manifest, study.trials[number]).name for number in (0, 1, 2)]
        told = [line.split() for line in said[:-1]]
        assert ["[1/4]", "[2/4]", "[3/4]", "[4/4]"] == [words[0] for words in told]
        assert sorted(names) == sorted(words[1] for words in told[:3])
        assert [names[1], "uploaded"] == told[3][1:]
        assert ("tested", "train", "b1-m5-s0") == tuple(
            one.sent[key] for key in ("groupName", "jobType", "displayName")
        )
        assert 4 == one.config["beta"]
        assert 0.25 == one.summary["scores/mig"]
        (png,) = (data for path, data in one.files.items() if path.endswith(".png"))
        assert (study.folder.root.parent / "copy.png").write_bytes(png)
        assert 180 == Image.open(study.folder.root.parent / "copy.png").getpixel((3, 3))
        assert ([0], [130, 0], [1]) == (one.exit_codes, two.exit_codes, three.exit_codes)

        assert [] == list(here.iterdir())
        operations = list(server.operations)
        assert (0, ["4 there already"]) == sync()
        assert operations == server.operations

    def test_it_goes_where_the_study_does(
        self, study: Study, server: Server, sync: Sync, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To the entity that was first asked for, and stays that of the study."""
        keep_only(study, 0)
        monkeypatch.setenv("WANDB_ENTITY", "team")
        sync()
        sent = server.runs[run_id(study, 0)].sent
        assert ("team", "tests") == (sent["entity"], sent["project"])

        monkeypatch.setenv("WANDB_ENTITY", "others")
        assert "team" == tracking.entity_of(study.folder.root, study.manifest.tracker)

    @pytest.mark.slow
    def test_resumed_fragments_in_order(self, study: Study, server: Server, sync: Sync) -> None:
        """The rows of the second attempt come after those of the first, each once."""
        keep_only(study, 1)
        sync()
        run = server.runs[run_id(study, 1)]

        assert list(map(float, range(30))) == steps(server, run.name)
        assert list(range(30)) == [run.lines[place]["_step"] for place in range(30)]
        assert 0 == run.overwritten

    def test_a_study_without_runs(self, study: Study, sync: Sync) -> None:
        """There is nothing to do, and no server is needed to say so."""
        shutil.rmtree(study.folder.wandb)
        code, said = sync()

        told = "no runs to upload; with --all those of trials that have none are made"
        assert (0, told) == (code, said[-1])

    def test_no_server(self, sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is said at once."""
        wandb.teardown()  # it looks at its environment once a process
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        with pytest.raises(ConfigError, match=r"server at http://127\.0\.0\.1:9 to answer, got"):
            sync()

    def test_runs_that_are_written_to(self, study: Study, server: Server, sync: Sync) -> None:
        """They wait, and the exit code says that some are left."""
        keep_only(study, 2)
        with HeartbeatWriter(study.folder.workers / "a.json", name="a") as worker:
            worker.report(study.trials[2].slug, step=1, total=2)
            code, said = sync()

        assert (3, "[1/1] b4-m5-s0  still being written") == (code, said[0])
        assert {} == server.runs


class TestKilledRuns:
    def test_an_empty_file_is_set_aside(self, study: Study, server: Server, sync: Sync) -> None:
        """The 7 bytes of a run killed in its first second do not keep the others from going."""
        first, second = keep_only(study, 1)
        first.write_bytes(first.read_bytes()[:7])
        code, said = sync()

        assert 0 == code
        assert said[0].startswith("[1/2] b16-m5-s0  empty, set aside: now ")
        assert "1 uploaded, 1 empty, set aside" == said[-1]
        assert list(map(float, range(20, 30))) == steps(server, run_id(study, 1))
        aside = study.folder.wandb / "unreadable" / first.parent.name / first.name
        assert b":W&B" == aside.read_bytes()[:4]
        assert second.exists()
        assert (0, ["1 there already"]) == sync()

    @pytest.mark.slow
    def test_a_damaged_file_is_set_aside(self, study: Study, server: Server, sync: Sync) -> None:
        """Something was lost, which the exit code says; the next attempt is uploaded."""
        first, _ = keep_only(study, 1)
        data = first.read_bytes()
        first.write_bytes(data[:20] + bytes(len(data) - 20))
        code, said = sync()

        assert 1 == code
        assert said[0].startswith("[1/2] b16-m5-s0  unreadable, set aside: now ")
        assert "[2/2] b16-m5-s0  uploaded" == said[1]
        assert 10 == len(steps(server, run_id(study, 1)))

    def test_a_torn_end_is_left_out(self, study: Study, server: Server, sync: Sync) -> None:
        """Whole rows are uploaded once, and the file is done with; it stays as it was."""
        first, _ = keep_only(study, 1)
        torn = first.read_bytes()[:-400]
        first.write_bytes(torn)
        n_rows = sum(map(is_row, read(torn).records))
        code, said = sync()

        assert 10 < n_rows < 20
        assert (0, "[1/2] b16-m5-s0  uploaded: but for its torn end") == (code, said[0])
        expected = [*range(n_rows), *range(20, 30)]
        assert expected == steps(server, run_id(study, 1))
        assert torn == first.read_bytes()
        assert (0, ["2 there already"]) == sync()
        assert 0 == server.runs[run_id(study, 1)].overwritten


class TestFailedUploads:
    @pytest.mark.parametrize(
        "room",
        [
            13,
            pytest.param(0, marks=pytest.mark.slow),
            pytest.param(24, marks=pytest.mark.slow),
        ],
    )
    def test_are_told_and_done_again(
        self, room: int, study: Study, server: Server, sync: Sync
    ) -> None:
        """However many rows the server took: it ends up with each once, in order."""
        keep_only(study, 1)
        server.room[run_id(study, 1)] = room
        code, said = sync()

        assert 1 == code
        assert "1 failed" in said[-1] or "2 failed" in said[-1]
        assert any(f"failed: [{ENTITY}/tests/" in line for line in said)
        assert room == len(server.runs[run_id(study, 1)].rows)

        server.room.clear()
        code, said = sync()
        assert 0 == code
        assert list(map(float, range(30))) == steps(server, run_id(study, 1))
        assert 0 == server.runs[run_id(study, 1)].overwritten

    @pytest.mark.slow
    def test_later_attempts_wait(self, study: Study, server: Server, sync: Sync) -> None:
        """What comes after a failed upload in the same run is not sent; other runs are."""
        server.room[run_id(study, 1)] = 0
        code, said = sync()

        assert (1, "2 uploaded, 2 failed") == (code, said[-1])
        assert said[3].endswith("failed: waits for what came before it in its run")
        assert 0 == len(server.runs[run_id(study, 1)].rows)

    @pytest.mark.slow
    def test_a_run_that_was_online(self, study: Study, server: Server, sync: Sync) -> None:
        """What it sent as it ran is not sent again; what it could not send is."""
        shutil.rmtree(study.folder.wandb)
        server.room[run_id(study, 0)] = 3
        subprocess.run(
            [sys.executable, "-c", ONLINE, study.folder.root],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            check=True,
        )
        assert [0, 1, 2] == steps(server, run_id(study, 0))
        server.room.clear()
        code, said = sync()

        assert (0, "1 uploaded") == (code, said[-1]), said
        assert list(map(float, range(10))) == steps(server, run_id(study, 0))
        assert [0] == server.runs[run_id(study, 0)].exit_codes

    @pytest.mark.slow
    def test_a_command_that_was_killed(self, study: Study, server: Server, sync: Sync) -> None:
        """Uploaded but not marked: nothing is sent a second time."""
        _, second = keep_only(study, 1)
        sync()
        second.with_name(second.name + ".synced").unlink()
        code, said = sync()

        assert (0, "1 uploaded, 1 there already") == (code, said[-1])
        assert list(map(float, range(30))) == steps(server, run_id(study, 1))


def test_what_is_written_is_what_wandb_reads(study: Study) -> None:
    """Framing real records anew gives the same bytes."""
    found = fragments(study.folder.wandb)

    assert found
    for fragment in found:
        data = fragment.path.read_bytes()
        content = read(data)

        assert content.is_whole
        assert data == written(data[:7], content.records)


@pytest.mark.slow
def test_no_key_in_any_file(study: Study, server: Server, sync: Sync) -> None:
    """An upload leaves none behind."""
    sync()
    written_files = [path for path in study.folder.root.rglob("*") if path.is_file()]

    assert written_files
    assert not [path for path in written_files if KEY.encode() in path.read_bytes()]
