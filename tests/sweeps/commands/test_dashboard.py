import io
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest
from PIL import Image

from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.commands.dashboard import LOOPBACK, application, serving
from sweeps.queue.journal import open_journal
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import WorkerRegistry
from sweeps.study.study import Study
from sweeps.workers.processes import handling
from tests.doubles.studies import make_study, trials, write_result
from tests.doubles.studies import slugs as slugs_of


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two configurations of one seed, in the journal; the first has pictures."""
    made = make_study(tmp_path / "tested", trials(beta=[1, 4], seed=[0]))
    for trial in made.trials:
        write_result(made, trial, scores={"mig": 0.25})
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

    def __init__(self, study: Study) -> None:
        self._app = application(study)

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


@pytest.fixture
def client(study: Study) -> Client:
    """A dashboard of the study."""
    return Client(study)


class TestLooking:
    def test_the_study_is_there(self, client: Client, study: Study) -> None:
        """By its name, with every attempt, its trial and its score."""
        (summary,) = client.json("/api/studies")["study_summaries"]
        assert "tested" == summary["study_name"]
        trials = client.json(f"/api/studies/{summary['study_id']}")["trials"]

        assert ["Complete", "Complete"] == [trial["state"] for trial in trials]
        assert [[0.25], [0.25]] == [trial["values"] for trial in trials]
        slugs = [
            next(attr["value"] for attr in trial["user_attrs"] if attr["key"] == "slug")
            for trial in trials
        ]
        assert sorted(slugs_of(study)) == sorted(slugs)

    def test_pictures_are_artifacts(self, client: Client, study: Study) -> None:
        """Of the trial they belong to, with their type; the bytes are those of the file."""
        trials = client.json("/api/studies/0")["trials"]
        with_pictures = {len(trial["artifacts"]): trial for trial in trials}
        assert {0, 2} == set(with_pictures)
        artifacts = {one["filename"]: one for one in with_pictures[2]["artifacts"]}
        media = study.folder.trial(study.trials[0].slug).media.root
        kinds = {"traversal.png": "image/png", "traversal.gif": "image/gif"}
        for name, kind in kinds.items():
            path = f"/artifacts/0/{with_pictures[2]['trial_id']}/{artifacts[name]['artifact_id']}"
            status, headers, body = client.ask(path)

            assert ("200 OK", kind) == (status, headers["Content-Type"])
            assert (media / name).read_bytes() == body

    def test_its_page(self, client: Client) -> None:
        """The page and its script come from this machine."""
        status, _, body = client.ask("/dashboard/")

        assert "200 OK" == status
        assert b"/static/bundle.js" in body

    def test_results_that_come_while_it_runs(self, client: Client, study: Study) -> None:
        """The journal is read anew, under the workers' lock, while they write to it."""
        before = len(client.json("/api/studies/0")["trials"])
        trial = study.trials[0]
        study.folder.trial(trial.slug).result.unlink()
        Queue(load_study(study.folder.root)).reconcile(WorkerRegistry(study.folder.workers))

        assert before < len(Client(study).json("/api/studies/0")["trials"])


def test_private_names_hold_for_this_version(study: Study) -> None:
    """The id of an attempt is what the storage gives, if asked for it."""
    storage = open_journal(study.folder.journal)
    study_id = storage.get_study_id_from_name("tested")

    expected = [storage.get_trial_id_from_study_id_trial_number(study_id, n) for n in (0, 1)]
    found = [getattr(one, "_trial_id", None) for one in storage.get_all_trials(study_id)]
    assert expected == found, (
        "dashboard.py reads FrozenTrial._trial_id of Optuna 5.0.0, but that of "
        f"{version('optuna')} is another; look whether there is a public name by now"
    )


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
    def test_nothing_is_changed(self, method: str, path: str, client: Client, study: Study) -> None:
        """Every way to change something is refused, and the journal stays as it is."""
        before = study.folder.journal.read_bytes()
        client.json("/api/studies/0")
        status, _, body = client.ask(path, method)

        assert "405 Method Not Allowed" == status
        assert "only shows" in json.loads(body)["reason"]
        assert before == study.folder.journal.read_bytes()


class TestServing:
    @pytest.fixture
    def address(self, study: Study) -> Iterator[tuple[str, int]]:
        """Where a server listens."""
        with serving(study, port=0) as server:
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
            serving(study, port=address[1])

    def test_a_study_without_a_journal(self, study: Study) -> None:
        """The command that makes one is named."""
        study.folder.journal.unlink()
        with pytest.raises(ConfigError, match="by: bvae -m beta=1,4"):
            application(study)


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
