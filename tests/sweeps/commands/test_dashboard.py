import hashlib
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest
from PIL import Image

from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.commands import dashboard
from sweeps.commands.dashboard import LOOPBACK, Dashboard, serving
from sweeps.queue.queue import Queue
from sweeps.study.folder import journal_lock
from sweeps.study.heartbeat import HeartbeatWriter, WorkerRegistry
from sweeps.study.locks import locked
from sweeps.study.results import stamp
from sweeps.study.study import Study
from sweeps.workers.processes import handling
from tests.doubles.studies import make_study, trials, write_result
from tests.doubles.studies import slugs as slugs_of


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two configurations of one seed, in the journal; the first has pictures."""
    made = make_study(tmp_path / "tested", trials(beta=[1, 4], seed=[0]))
    for trial, score in zip(made.trials, (0.25, 0.75), strict=True):
        write_result(made, trial, scores={"mig": score})
    media = made.folder.trial(made.trials[0].slug).media.root
    media.mkdir(parents=True)
    Image.new("L", (30, 20), 180).save(media / "traversal.png")
    frames = [Image.new("L", (8, 8), 60 * i) for i in range(4)]
    frames[0].save(media / "traversal.gif", save_all=True, append_images=frames[1:])
    (media / ".half.png").touch()
    study = load_study(made.folder.root)
    Queue(study).reconcile(WorkerRegistry(study.folder.workers))
    return study


class Client:
    """Asks the dashboard in this process."""

    def __init__(self, *folders: Path) -> None:
        self._app = Dashboard(folders)

    def ask(self, path: str, method: str = "GET") -> tuple[str, dict[str, str], bytes]:
        """Return status, headers and body."""
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO(b"{}")}
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "2"}
        setup_testing_defaults(environ)
        answer: list[tuple[str, dict[str, str]]] = []

        def respond(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            answer.append((status, dict(headers)))

        body = self._app(environ, respond)
        content = b"".join(body)
        if hasattr(body, "close"):  # as a server does
            body.close()
        return (*answer[0], content)

    def json(self, path: str) -> dict:
        """Return what it answers."""
        status, _, body = self.ask(path)
        assert "200 OK" == status
        return json.loads(body)

    def names(self) -> list[str]:
        """Return the names of the studies, in the order of their ids."""
        found = self.json("/api/studies")["study_summaries"]
        assert list(range(len(found))) == [one["study_id"] for one in found]
        return [one["study_name"] for one in found]

    def trials(self, study: int = 0) -> list[dict]:
        """Return the trials of a study."""
        return self.json(f"/api/studies/{study}")["trials"]


def slug_of(trial: dict) -> str:
    """Return the slug of a trial that the dashboard has answered with."""
    return next(attr["value"] for attr in trial["user_attrs"] if attr["key"] == "slug")


@pytest.fixture
def client(study: Study) -> Client:
    """A dashboard of the study."""
    return Client(study.folder.root)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request looks whether something has changed."""
    monkeypatch.setattr(dashboard, "FRESH_S", 0)
    monkeypatch.setattr(dashboard, "REST", 0)


class TestLooking:
    def test_the_study_is_there(self, client: Client, study: Study) -> None:
        """By its name, with every trial and its score, and what the study says."""
        (summary,) = client.json("/api/studies")["study_summaries"]
        assert "tested" == summary["study_name"]
        assert "best" in {attr["key"] for attr in summary["user_attrs"]}
        trials = client.trials()

        assert ["Complete", "Complete"] == [trial["state"] for trial in trials]
        assert [[0.25], [0.75]] == [trial["values"] for trial in trials]
        assert slugs_of(study) == [slug_of(trial) for trial in trials]

    def test_metric_and_parameters(self, client: Client) -> None:
        """The metric has its name, and the parameters have the ranges of the study."""
        found = client.json("/api/studies/0")
        ranges = {
            one["name"]: [one["distribution"][key] for key in ("low", "high", "log")]
            for one in found["intersection_search_space"]
        }

        assert ["MIG"] == found["objective_names"]
        assert {"beta": [1, 4, True], "latent_dim": [5, 5, True]} == ranges

    def test_validation_scores(self, client: Client, study: Study) -> None:
        """They are there as intermediate values."""
        history = study.folder.trial(study.trials[0].slug).history
        history.write_text("step,scores/mig\n100,0.125\n")
        found = Client(study.folder.root).json("/api/studies/0")

        assert found["has_intermediate_values"]
        assert [{"step": 100, "value": 0.125}] == found["trials"][0]["intermediate_values"]

    def test_importances(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of β and latent size."""
        monkeypatch.setattr("optuna_dashboard._importance.param_importance_cache", {})
        (found,) = Client(study.folder.root).json("/api/studies/0/param_importances")[
            "param_importances"
        ]

        assert {"beta", "latent_dim"} == {one["name"] for one in found}

    def test_pictures_are_artifacts(self, client: Client, study: Study) -> None:
        """Of the trial they belong to, with their type; the bytes are those of the file."""
        first, other = client.trials()
        assert [] == other["artifacts"]
        artifacts = {one["filename"]: one for one in first["artifacts"]}
        media = study.folder.trial(study.trials[0].slug).media.root
        kinds = {"traversal.png": "image/png", "traversal.gif": "image/gif"}
        assert set(kinds) == set(artifacts)
        for name, kind in kinds.items():
            path = f"/artifacts/0/{first['trial_id']}/{artifacts[name]['artifact_id']}"
            status, headers, body = client.ask(path)

            assert ("200 OK", kind) == (status, headers["Content-Type"])
            assert (media / name).read_bytes() == body

    def test_its_page(self, client: Client) -> None:
        """The page and its script come from this machine."""
        status, _, body = client.ask("/dashboard/")

        assert "200 OK" == status
        assert b"/static/bundle.js" in body

    def test_without_a_journal(self, study: Study) -> None:
        """Results are enough, and no database is asked where the queue is in one."""
        study.folder.journal.unlink()
        elsewhere = replace(study.manifest, storage="postgresql://u@127.0.0.1:1/d")
        elsewhere.write(study.folder.manifest)

        assert 2 == len(Client(study.folder.root).trials())


class TestSeveralStudies:
    def test_side_by_side(self, study: Study, tmp_path: Path) -> None:
        """Each with its own trials, so that Optuna's page can compare them."""
        other = make_study(tmp_path / "other", trials(beta=[1, 4, 16], seed=[0]))
        client = Client(study.folder.root, other.folder.root)

        assert ["tested", "other"] == client.names()
        assert [2, 3] == [len(client.trials(number)) for number in (0, 1)]
        assert {0, 1, 2, 3, 4} == {
            trial["trial_id"] for number in (0, 1) for trial in client.trials(number)
        }

    def test_all_of_a_folder(self, study: Study, tmp_path: Path) -> None:
        """By name; of two with one name, the folders are said."""
        (tmp_path / "b").mkdir()
        shutil.copytree(study.folder.root, tmp_path / "b" / "tested")

        assert ["tested"] == Client(tmp_path).names()
        both = [study.folder.root, tmp_path / "b" / "tested"]
        assert [str(folder.resolve()) for folder in both] == Client(
            tmp_path, tmp_path / "b"
        ).names()

    def test_one_that_cannot_be_read(
        self, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It is said once and left out, unless it is the one that was asked for."""
        (tmp_path / "newer").mkdir()
        (tmp_path / "newer" / "manifest.json").write_text('{"schema": 99}')
        assert ["tested"] == Client(tmp_path).names()
        assert 1 == capsys.readouterr().err.count("newer: not read (")

        with pytest.raises(ConfigError, match="written by a newer version"):
            Client(study.folder.root, tmp_path / "newer")

    def test_none(self, tmp_path: Path) -> None:
        """A folder without a study is refused."""
        with pytest.raises(ConfigError, match=r"not a study .* for example runs/quick"):
            Client(tmp_path)

    @pytest.mark.parametrize(("name", "states"), [("finished", 1), ("killed", 2)])
    def test_of_an_earlier_version(self, name: str, states: int, repository: Path) -> None:
        """They are read as they are."""
        client = Client(repository / "tests" / "data" / "fc4f123" / name)

        assert states == len({trial["state"] for trial in client.trials()})


@pytest.mark.usefixtures("at_once")
class TestWhileAStudyRuns:
    def test_a_result_that_comes(self, client: Client, study: Study) -> None:
        """It is there with the next request; trials keep their ids."""
        before = client.trials()
        write_result(study, study.trials[1], scores={"mig": 0.5})
        after = client.trials()

        assert [[0.25], [0.5]] == [trial["values"] for trial in after]
        assert [one["trial_id"] for one in before] == [one["trial_id"] for one in after]

    def test_a_trial_that_runs(self, client: Client, study: Study) -> None:
        """It is running, with the scores that it has so far."""
        trial = study.trials[1]
        study.folder.trial(trial.slug).result.unlink()
        assert "Waiting" == client.trials()[1]["state"]
        with HeartbeatWriter(study.folder.heartbeat("one"), name="one") as heartbeat:
            heartbeat.report(trial.slug)
            study.folder.trial(trial.slug).history.write_text("step,scores/mig\n100,0.125\n")

            assert "Running" == client.trials()[1]["state"]
            assert 0.125 == client.trials()[1]["intermediate_values"][0]["value"]

    def test_a_study_that_is_extended(self, study: Study, tmp_path: Path) -> None:
        """All trials have the wider range; those that were there keep number and id."""
        other = make_study(tmp_path / "other")
        client = Client(study.folder.root, other.folder.root)
        before = [client.trials(number) for number in (0, 1)]
        listed = trials(beta=[0.5, 1, 4], seed=[0])
        replace(study.manifest, trials=[trial.values for trial in listed]).write(
            study.folder.manifest
        )
        after = [client.trials(number) for number in (0, 1)]

        known = [[(slug_of(one), one["trial_id"]) for one in each] for each in before]
        assert known[0] == [(slug_of(one), one["trial_id"]) for one in after[0][:2]]
        assert known[1] == [(slug_of(one), one["trial_id"]) for one in after[1]]
        assert {0.5} == {one["params"][0]["distribution"]["low"] for one in after[0]}

    def test_a_study_that_is_begun(self, study: Study, tmp_path: Path) -> None:
        """Of a folder that holds studies it is shown, too; those that were there keep their ids."""
        client = Client(tmp_path)
        make_study(tmp_path / "before")

        assert ["tested", "before"] == client.names()
        assert study.name == client.names()[0]

    def test_a_study_that_is_removed(self, client: Client, study: Study) -> None:
        """What was read of it stays."""
        shutil.rmtree(study.folder.root)

        assert 2 == len(client.trials())


def test_it_looks_now_and_then_only(client: Client, study: Study) -> None:
    """Requests come in bursts, and a large study takes seconds to read."""
    write_result(study, study.trials[1], scores={"mig": 0.5})

    assert [0.75] == client.trials()[1]["values"]


class TestLookingOnly:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/api/studies"),
            ("DELETE", "/api/studies/0"),
            ("PUT", "/api/studies/0/note"),
            ("POST", "/api/trials/0/tell"),
            ("POST", "/api/artifacts/0/0"),
        ],
    )
    def test_nothing_is_changed(self, method: str, path: str, client: Client) -> None:
        """Every way to change something is refused."""
        before = client.json("/api/studies/0")
        status, _, body = client.ask(path, method)

        assert "405 Method Not Allowed" == status
        assert "only shows" in json.loads(body)["reason"]
        assert before == client.json("/api/studies/0")

    @pytest.mark.usefixtures("at_once")
    def test_the_queue_is_left_alone(self, study: Study) -> None:
        """The journal stays as it is, and its lock may be held by whoever has it."""
        files = {path: stamp(path) for path in study.folder.root.rglob("*")}
        journal = hashlib.sha256(study.folder.journal.read_bytes()).hexdigest()
        with locked(journal_lock(study.folder.journal)), locked(study.folder.guard):
            client = Client(study.folder.root)
            assert 2 == len(client.trials())
            client.json("/api/studies/0/param_importances")

        assert journal == hashlib.sha256(study.folder.journal.read_bytes()).hexdigest()
        assert files == {path: stamp(path) for path in study.folder.root.rglob("*")}


class TestServing:
    @pytest.fixture
    def address(self, study: Study) -> Iterator[tuple[str, int]]:
        """Where a server listens."""
        with serving([study.folder.root], port=0) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            yield server.server_address
            server.shutdown()
            thread.join()

    def test_on_this_machine_only(self, address: tuple[str, int]) -> None:
        """It answers on the loopback, and is bound to no other address."""
        host, port = address
        with urllib.request.urlopen(f"http://{host}:{port}/api/studies") as answer:
            assert "tested" == json.load(answer)["study_summaries"][0]["study_name"]

        assert LOOPBACK == host
        with pytest.raises(ConnectionRefusedError, match="refused"):
            socket.create_connection(("127.0.0.2", port))

    def test_a_port_that_is_taken(self, address: tuple[str, int], study: Study) -> None:
        """It is said, with what to do."""
        with pytest.raises(ConfigError, match=r"--port \d+: cannot be had .* give another one"):
            serving([study.folder.root], port=address[1])


@pytest.mark.slow
def test_command(study: Study) -> None:
    """It prints its address, serves, and ends with code 0 on Ctrl-C."""
    command = [sys.executable, "-m", "sweeps", "dashboard", study.folder.root, "--port", "0"]
    with (
        handling(signal.default_int_handler, signal.SIGINT),  # where tests run in the background
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(address) as answer:
            page = answer.read()
        process.send_signal(signal.SIGINT)

    assert b"/static/bundle.js" in page
    assert 0 == process.returncode
