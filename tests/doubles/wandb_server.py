"""A W&B server on the loopback, with as much of one as wandb's client asks for.

It keeps what is uploaded, and tells a client that resumes a run where the run stands. Rows have
their place in the run, so one that is sent twice to the same place is there once.
"""

import base64
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import wandb

KEY = "0123456789abcdef" * 2 + "plantedk"
ENTITY = "somebody"


@dataclass
class RemoteRun:
    """A run as the server has it."""

    name: str
    project: str
    sent: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    overwritten: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows in order, without wandb's own columns."""
        ordered = [self.lines[place] for place in sorted(self.lines)]
        return [{k: v for k, v in row.items() if not k.startswith("_")} for row in ordered]


class Server:
    """What has been uploaded, and how to go wrong.

    Attributes:
        operations: the GraphQL operations asked for, in order.
        views: saved workspaces, by their id.
        models: the artifacts of models, committed ones with their files.
        alerts: titles of the messages asked for, by run.
        room: how many rows of a run are taken, where they are not all.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.runs: dict[str, RemoteRun] = {}
        self.operations: list[str] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.alerts: list[tuple[str, str]] = []
        self.room: dict[str, int] = {}
        self.authorization = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
        self._lock = threading.Lock()

    def environ(self) -> dict[str, str]:
        """Return what a client needs to find the server and to log in."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY}

    def graphql(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answer one GraphQL request."""
        with self._lock:
            self.operations.append(operation)
            answer = getattr(self, f"_answer_{operation.lower()}", None)
            return {"data": answer(given) if answer else {}}

    def _answer_viewer(self, given: dict[str, Any]) -> dict[str, Any]:
        del given
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        names = {"id": "u", "entity": ENTITY, "username": ENTITY, "name": ENTITY, "email": ""}
        return {"viewer": names | {"flags": "{}", "teams": teams, "admin": False}}

    _answer_getdefaultentity = _answer_viewer

    def _answer_runresumestatus(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        entity = {"id": "e", "name": ENTITY}
        bucket = None if run is None else self._standing(run)
        return {"model": {"id": "p", "name": given["project"], "entity": entity, "bucket": bucket}}

    def _standing(self, run: RemoteRun) -> dict[str, Any]:
        last = run.lines[max(run.lines)] if run.lines else None
        tail = [] if last is None else [json.dumps(last)]
        config = {key: {"value": value} for key, value in run.config.items()}
        return {
            "id": f"b-{run.name}",
            "name": run.name,
            "displayName": run.sent.get("displayName"),
            "summaryMetrics": json.dumps(run.summary),
            "config": json.dumps(config | {"_wandb": {"value": {"t": {}}}}),
            "wandbConfig": json.dumps({"t": 1}),
            "logLineCount": 0,
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "historyLineCount": len(run.lines),
            "historyTail": json.dumps(tail),
            "tags": run.sent.get("tags") or [],
            "notes": None,
        }

    def _answer_upsertbucket(self, given: dict[str, Any]) -> dict[str, Any]:
        known = given["name"] in self.runs
        run = self.runs.setdefault(given["name"], RemoteRun(given["name"], given["project"]))
        run.sent |= {key: value for key, value in given.items() if value is not None}
        for key, value in json.loads(given.get("config") or "{}").items():
            run.config[key] = value["value"]
        bucket = {
            "id": f"b-{run.name}",
            "name": run.name,
            "displayName": given.get("displayName"),
            "description": "",
            "config": given.get("config") or "{}",
            "sweepName": None,
            "historyLineCount": len(run.lines),
            "project": {
                "id": "p",
                "name": run.project,
                "entity": {"id": "e", "name": given.get("entity") or ENTITY},
            },
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": not known}}

    def _answer_run(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        found = None if run is None else self._standing(run) | self._told(run)
        return {"project": {"run": found}}

    _answer_runhistorykeys = _answer_run

    def _told(self, run: RemoteRun) -> dict[str, Any]:
        last = max((line["_step"] for line in run.lines.values()), default=-1)
        config = json.dumps({key: {"value": value} for key, value in run.config.items()})
        return {
            "historyKeys": {"lastStep": last, "keys": {}},
            "projectId": "1",
            "config": config,
            "state": "finished",
            "createdAt": "2026-01-01T00:00:00",
            "group": run.sent.get("groupName"),
            "jobType": run.sent.get("jobType"),
            "user": {"name": ENTITY, "username": ENTITY},
        }

    def _answer_createrunfiles(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["run"]
        urls = [{"name": f, "uploadUrl": f"{self.url}/upload/{name}/{f}"} for f in given["files"]]
        return {"createRunFiles": {"runID": f"b-{name}", "uploadHeaders": [], "files": urls}}

    def _answer_notifyscriptablerunalert(self, given: dict[str, Any]) -> dict[str, Any]:
        self.alerts.append((given["runName"], given["title"]))
        return {"notifyScriptableRunAlert": {"success": True}}

    def _answer_artifacttype(self, given: dict[str, Any]) -> dict[str, Any]:
        del given
        return {"project": None}

    def _answer_createartifact(self, given: dict[str, Any]) -> dict[str, Any]:
        """Say that a table is known: it is a file of the run too; of a model, ask for its files."""
        asked = given["input"]
        is_model = asked["artifactTypeName"] == "model"
        name = asked["artifactCollectionName"] if is_model else "a"
        is_new = is_model and name not in self.models
        if is_new:
            self.models[name] = asked | {"committed": False}
        state = "PENDING" if is_new else "COMMITTED"
        artifact = {"id": name, "state": state, "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def _answer_createartifactmanifest(self, given: dict[str, Any]) -> dict[str, Any]:
        del given
        return {"createArtifactManifest": self._manifest()}

    def _answer_updateartifactmanifest(self, given: dict[str, Any]) -> dict[str, Any]:
        del given
        return {"updateArtifactManifest": self._manifest()}

    def _manifest(self) -> dict[str, Any]:
        address = f"{self.url}/artifact/manifest/m"
        named = {"id": "f", "name": "m", "displayName": "m"}
        file = named | {"uploadUrl": address, "uploadHeaders": []}
        return {"artifactManifest": {"id": "m", "file": file}}

    def _answer_createartifactfiles(self, given: dict[str, Any]) -> dict[str, Any]:
        nodes = [
            {
                "id": one["name"],
                "name": one["name"],
                "displayName": one["name"],
                "storagePath": one["name"],
                "uploadUrl": f"{self.url}/artifact/{one['artifactID']}/{one['name']}",
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": one["artifactID"]},
            }
            for one in given["input"]["artifactFiles"]
        ]
        files = {"edges": [{"node": node} for node in nodes]}
        return {"createArtifactFiles": {"files": files}}

    def _answer_commitartifact(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["artifactID"]
        self.models[name]["committed"] = True
        digest = self.models[name]["digest"]
        return {"commitArtifact": {"artifact": {"id": name, "digest": digest}}}

    def _answer_upsertview2(self, given: dict[str, Any]) -> dict[str, Any]:
        """Keep a workspace; one with the id of another takes its place."""
        known = given.get("id")
        view_id = known or f"v{len(self.views) + 1}"
        self.views[view_id] = given | {"spec": json.loads(given["spec"])}
        view = {"id": view_id, "name": given["name"]}
        return {"upsertView": {"view": view, "inserted": known is None}}

    def stream(self, name: str, content: dict[str, Any]) -> int:
        """Take rows, the summary and the exit code of a run; return an HTTP status."""
        with self._lock:
            run = self.runs[name]
            files = content.get("files") or {}
            history = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
            for place, line in enumerate(history["content"], start=history["offset"]):
                if len(run.lines) >= self.room.get(name, float("inf")):
                    return 400
                run.overwritten += place in run.lines
                run.lines[place] = json.loads(line)
            for line in files.get("wandb-summary.json", {}).get("content", []):
                run.summary = json.loads(line)
            if content.get("complete"):
                run.exit_codes.append(content["exitcode"])
        return 200

    def keep(self, kind: str, name: str, path: str, body: bytes) -> None:
        """Take a file of a run, or of an artifact."""
        with self._lock:
            if kind == "upload":
                self.runs[name].files[unquote(path)] = body
            elif name in self.models:
                self.models[name].setdefault("files", {})[unquote(path)] = body


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Http"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Serve a connection; a client that is killed just goes away."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        self._reply({})

    def do_PUT(self) -> None:
        _, kind, name, path = self.path.split("/", 3)
        self.server.double.keep(kind, name, path, self._body())
        self._reply({})

    def do_POST(self) -> None:
        body = self._body()
        double = self.server.double
        if self.headers.get("Authorization") not in (None, double.authorization):
            self._reply({"errors": [{"message": "no such key"}]}, status=401)
        elif self.path.endswith("/graphql"):
            asked = json.loads(body)
            operation = asked.get("operationName") or _operation(asked["query"])
            self._reply(double.graphql(operation, asked.get("variables") or {}))
        elif self.path.endswith("/file_stream"):
            self._reply({}, status=double.stream(self.path.split("/")[-2], json.loads(body)))
        else:
            self._reply({})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _reply(self, content: dict[str, Any], *, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _operation(query: str) -> str:
    return query.split("{")[0].split("(")[0].split()[-1]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    double: Server


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on a free port of 127.0.0.1 as long as the block runs."""
    wandb.teardown()  # it reads its environment once a process: not that of an earlier test
    http = _Http(("127.0.0.1", 0), _Requests)
    http.double = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield http.double
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
