"""`sweeps dashboard`: studies in optuna-dashboard, with each trial's pictures, read-only.

It shows copies of the studies, rebuilt from their results; queue and journal are not even opened.
Pictures are served as artifacts from the trial folders, without a copy or a record of them.
"""

import argparse
import hashlib
import json
import mimetypes
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts.exceptions import ArtifactNotFound

from bvae.exceptions import BvaeError, ConfigError
from bvae.metrics.scores import UDR_NAMES
from sweeps.analysis.summary import Summary, summarize
from sweeps.commands.optuna_copy import rebuild
from sweeps.scoring.udr import refresh
from sweeps.study.folder import StudyFolder, studies_in
from sweeps.study.heartbeat import living_workers
from sweeps.study.results import stamp
from sweeps.study.study import Study, open_study
from sweeps.workers.exit_codes import Exit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = "127.0.0.1"
"""There is no password, so only this machine may connect."""

FRESH_S = 5.0
"""How old what is shown may be."""

REST = 10
"""Many trials take a while to read: between two times passes at least so many times that while."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps dashboard` takes."""
    parser.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="a study's folder, or one that holds studies, as in runs",
    )
    parser.add_argument("--port", type=int, default=8080, help="default: 8080; 0 for any")


def run(typed: argparse.Namespace) -> int:
    """Serve the dashboard of the studies until Ctrl-C."""
    with serving(typed.folders, port=typed.port) as server:
        print(f"http://{LOOPBACK}:{server.server_port}/dashboard/  (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return Exit.COMPLETE


def serving(folders: Sequence[Path], *, port: int) -> "Server":
    """Return a server of the dashboard of some studies that listens on the loopback only.

    Raises:
        ConfigError: a folder is no study and holds none, or the port is taken.
    """
    app = Dashboard(folders)
    try:
        return make_server(LOOPBACK, port, app, server_class=Server, handler_class=_Quiet)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--port {port}: cannot be had ({error}); give another one") from error


class Dashboard:
    """Optuna's dashboard of some studies as a WSGI application that refuses to change anything.

    The studies are read again by a request that comes when they may have changed.

    Args:
        folders: of studies, or of many of them.

    Raises:
        ConfigError: one of the folders is no study and holds none.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = list(folders)
        self._lock = threading.Lock()
        self._pictures = Pictures()
        self._stamps: dict[Path, object] = {}
        self._read: dict[Path, Summary] = {}
        self._order: list[tuple[Path, str]] = []
        self._update()

    def __call__(self, environ: "WSGIEnvironment", respond: "StartResponse") -> Iterable[bytes]:
        """Pass on requests that read; answer all others with 405."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._current()(environ, respond)
        respond("405 Method Not Allowed", [("Content-Type", "application/json")])
        return [json.dumps({"reason": "this dashboard only shows studies"}).encode()]

    def _current(self) -> "WSGIApplication":
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._update()
        return self._app

    def _update(self) -> None:
        """Read the studies that have changed, and replace what is shown as a whole."""
        began = time.monotonic()
        news = [self._has_news(folder) for folder in self._studies()]
        if not self._read:
            raise ConfigError("no study that can be read")
        if any(news):
            from optuna_dashboard import wsgi

            storage = rebuild(
                dict(zip(self._names(), self._read.values(), strict=True)),
                order=list(self._ordered()),
                artifacts=self._pictures.of,
            )
            self._app: WSGIApplication = wsgi(storage, artifact_store=self._pictures)
        ended = time.monotonic()
        self._fresh_until = ended + max(FRESH_S, REST * (ended - began))

    def _studies(self) -> Iterator[StudyFolder]:
        for folder in self._folders:
            yield from studies_in(folder) or [StudyFolder(folder)]

    def _has_news(self, folder: StudyFolder) -> bool:
        """Read a study if it has changed; one that cannot be read stays as it was."""
        root = folder.root.resolve()
        try:
            found = _stamps(StudyFolder(root))
            if self._stamps.get(root) == found:
                return False
            study = open_study(root)
            if study.manifest.objective in UDR_NAMES:
                study = refresh(study)
            self._read[root] = summarize(study)
        except (BvaeError, OSError) as error:
            if folder.root in self._folders and root not in self._read:
                raise
            if self._stamps.get(root) != str(error):
                print(f"{folder.name}: not read ({error})", file=sys.stderr)
            self._stamps[root] = str(error)
            return False
        self._stamps[root] = found
        return True

    def _names(self) -> list[str]:
        """Name the studies; Optuna takes no two of one name."""
        names = Counter(root.name for root in self._read)
        return [str(root) if names[root.name] > 1 else root.name for root in self._read]

    def _ordered(self) -> Iterator[tuple[str, str]]:
        """Yield name and slug of every trial, new ones last: pages that are open know their ids."""
        there = dict.fromkeys(
            (root, trial.slug) for root, read in self._read.items() for trial in read.study.trials
        )
        self._order = [one for one in dict.fromkeys([*self._order, *there]) if one in there]
        names = dict(zip(self._read, self._names(), strict=True))
        return ((names[root], slug) for root, slug in self._order)


def _stamps(folder: StudyFolder) -> object:
    """Return what differs once a study has changed: of its files, and which trials run."""
    trials = [folder.trial(path.name) for path in sorted(folder.trials.glob("*"))]
    files = [folder.manifest, folder.udr]
    files += [path for trial in trials for path in (trial.result, trial.history)]
    busy = {worker.slug for worker in living_workers(folder.workers)}
    return busy, {path: stamp(path) for path in files if path.exists()}


class Pictures:
    """The pictures of trials as a store of artifacts: an id for each file."""

    def __init__(self) -> None:
        self._paths: dict[str, Path] = {}

    def of(self, study: Study, slug: str) -> dict[str, str]:
        """Return the pictures of a trial, as Optuna notes artifacts among its system attributes."""
        attrs = {}
        for path in sorted(study.folder.trial(slug).media.root.glob("[!.]*")):
            if path.suffix in (".png", ".gif"):
                name = hashlib.sha256(str(path).encode()).hexdigest()[:32]
                self._paths[name] = path
                kind, encoding = mimetypes.guess_type(path.name)
                attrs[f"artifacts:{name}"] = json.dumps(
                    {
                        "artifact_id": name,
                        "filename": path.name,
                        "mimetype": kind,
                        "encoding": encoding,
                    }
                )
        return attrs

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
        """Refuse: the dashboard only shows studies."""
        raise PermissionError("pictures are not written")

    def remove(self, artifact_id: str) -> None:
        """Refuse: the dashboard only shows studies."""
        raise PermissionError("pictures are not removed")


class Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at a time; ends with the process."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for a request."""
