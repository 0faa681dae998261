"""`sweeps dashboard`: optuna-dashboard on a study, with each trial's pictures, read-only.

The journal is opened as the workers open it, under the same lock; nothing is written to it.
Pictures are served as artifacts from the trial folders, without a copy or a record of them.
"""

import argparse
import hashlib
import json
import mimetypes
from collections.abc import Iterable, Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from bvae.exceptions import ConfigError
from sweeps.commands.arguments import add_study
from sweeps.queue.journal import open_journal
from sweeps.study.folder import StudyFolder
from sweeps.study.study import Study, open_study
from sweeps.workers.exit_codes import Exit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = "127.0.0.1"
"""There is no password, so only this machine may connect."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps dashboard` takes."""
    add_study(parser)
    parser.add_argument("--port", type=int, default=8080, help="default: 8080; 0 for any")


def run(typed: argparse.Namespace) -> int:
    """Serve the study's dashboard until Ctrl-C."""
    with serving(open_study(typed.study), port=typed.port) as server:
        print(f"http://{LOOPBACK}:{server.server_port}/dashboard/  (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return Exit.COMPLETE


def serving(study: Study, *, port: int) -> "Server":
    """Return a server of the study's dashboard that listens on the loopback only.

    Raises:
        ConfigError: there is no journal yet, or the port is taken.
        DataError: the journal cannot be read.
    """
    app = application(study)
    try:
        return make_server(LOOPBACK, port, app, server_class=Server, handler_class=_Quiet)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--port {port}: cannot be had ({error}); give another one") from error


def application(study: Study) -> "WSGIApplication":
    """Return the dashboard of a study as a WSGI application that refuses to change anything."""
    from optuna_dashboard import wsgi

    pictures = Pictures(study.folder)
    if study.manifest.storage is not None:
        from sweeps.queue.postgres import reading  # the driver is an optional dependency

        return read_only(wsgi(Pictured(reading(study), pictures), artifact_store=pictures))
    if not study.folder.journal.exists():
        raise ConfigError(
            f"{study.folder.journal}: no such file; it is made, from the results there are, by: "
            f"{study.manifest.command}"
        )
    storage = open_journal(study.folder.journal, make=lambda journal: Pictured(journal, pictures))
    return read_only(wsgi(storage, artifact_store=pictures))


def read_only(app: "WSGIApplication") -> "WSGIApplication":
    """Pass on requests that read; answer all others with 405."""

    def guarded(environ: "WSGIEnvironment", respond: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, respond)
        respond("405 Method Not Allowed", [("Content-Type", "application/json")])
        return [json.dumps({"reason": "this dashboard only shows the study"}).encode()]

    return guarded


class Pictures:
    """The pictures of a study's trials, as a store of artifacts: an id for each file."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}

    def of(self, slug: str) -> Iterator[tuple[str, Path]]:
        """Yield id and path of each picture of a trial."""
        for path in sorted(self._folder.trial(slug).media.root.glob("[!.]*")):
            if path.suffix in (".png", ".gif"):
                name = hashlib.sha256(f"{slug}/{path.name}".encode()).hexdigest()[:32]
                self._paths[name] = path
                yield name, path

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a picture.

        Raises:
            ArtifactNotFound: no trial has such a one.
        """
        try:
            return self._paths[artifact_id].open("rb")
        except (KeyError, FileNotFoundError) as error:
            raise ArtifactNotFound(f"no picture {artifact_id}") from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refuse: the dashboard only shows the study."""
        raise PermissionError("pictures are not written")

    def remove(self, artifact_id: str) -> None:
        """Refuse: the dashboard only shows the study."""
        raise PermissionError("pictures are not removed")


class Pictured(JournalStorage):
    """The journal as it is, with the pictures of complete attempts among the study's attributes."""

    def __init__(self, journal: BaseJournalBackend, pictures: Pictures) -> None:
        super().__init__(journal)
        self._pictures = pictures

    def get_all_studies(self) -> list[Any]:  # whose class has no public name
        """Return the studies; the dashboard reads the attributes that come with them."""
        studies = super().get_all_studies()  # copies
        for study in studies:
            study_id = self.get_study_id_from_name(study.study_name)
            study.system_attrs = self.get_study_system_attrs(study_id)
        return studies

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return what the journal has, and an artifact for every picture."""
        attrs = super().get_study_system_attrs(study_id)
        done = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.COMPLETE,))
        return attrs | {key: value for attempt in done for key, value in self._artifacts(attempt)}

    def _artifacts(self, attempt: FrozenTrial) -> Iterator[tuple[str, str]]:
        for name, path in self._pictures.of(str(attempt.user_attrs.get("slug", ""))):
            kind, encoding = mimetypes.guess_type(path.name)
            artifact = {
                "artifact_id": name,
                "filename": path.name,
                "mimetype": kind,
                "encoding": encoding,
            }
            # where optuna-dashboard looks for the artifacts of a trial
            yield f"dashboard:artifacts:{trial_id(attempt)}:{name}", json.dumps(artifact)


def trial_id(attempt: FrozenTrial) -> int:
    """Return Optuna's id of an attempt.

    It has no public name there, and a storage that is asked for it reads its journal anew each
    time. A test says for which version it holds.
    """
    return attempt._trial_id


class Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at a time; ends with the process."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for a request."""
