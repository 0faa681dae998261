"""Which processes work on a study: a heartbeat file each, locked as long as the process lives.

On the same machine the lock decides, at once and exactly: it is released when its holder dies. On
another machine, where such a lock may not be seen, the heartbeat decides: a worker is dead when an
observer has seen no new beat for `Timeouts.heartbeat_lost` by its own monotonic clock, so that
clocks need not agree. A process that is stopped rather than dead counts as dead after that time,
too.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bvae.exceptions import ConfigError
from bvae.records import mistake
from sweeps.study.folder import heartbeat_file, heartbeat_files
from sweeps.study.locks import is_locked, open_file, try_lock
from sweeps.study.timeouts import TIMEOUTS, Timeouts

RECORD_BYTES = 1024
"""Records are padded to one size and written in one piece over the old one."""


def this_host() -> str:
    """Name this machine, boot and process namespace, within which a file lock is seen."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux: no more than the host name is known
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


class AlreadyRunningError(ConfigError):
    """Another living process holds the heartbeat file."""


@dataclass(frozen=True)
class Heartbeat:
    """What a process reports about itself.

    Attributes:
        host: where it runs, as `this_host` names it there.
        launched: whether the command that runs the study has started it.
        beat: a counter.
        slug: the trial it is training.
        step: of `total` steps.
        doing: what it does before it takes a trial; empty once it does.
    """

    name: str
    host: str
    pid: int
    launched: bool = False
    beat: int = 0
    slug: str | None = None
    step: int = 0
    total: int = 0
    doing: str = ""

    def to_json(self) -> str:
        """Return the file's content; there the host is called `place`."""
        fields = asdict(self)
        return json.dumps({"place": fields.pop("host")} | fields)


class HeartbeatWriter:
    """Holds a heartbeat file, and writes a beat every few seconds from a thread.

    A context manager; the file is removed at the end of the block.

    Args:
        path: the heartbeat file.
        name: of the process.
        launched: whether the command that runs the study has started this process.
        doing: what the process does before it takes a trial.
        timeouts: how long it waits between beats.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        launched: bool = False,
        doing: str = "",
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        self.name = name
        self._path = path
        self._every_s = timeouts.heartbeat
        self._record = Heartbeat(
            name=name, host=this_host(), pid=os.getpid(), launched=launched, doing=doing
        )
        self._mutex = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    def __enter__(self) -> "HeartbeatWriter":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open_locked(self._path)
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def report(
        self, slug: str | None, *, step: int = 0, total: int = 0, write: bool = True
    ) -> None:
        """Set which trial is being trained, and its step; written now or with the next beat."""
        with self._mutex:
            self._record = replace(self._record, slug=slug, step=step, total=total)
        if write:
            self.beat()

    def say(self, doing: str) -> None:
        """Say what the process does before it takes a trial; empty: nothing more."""
        with self._mutex:
            self._record = replace(self._record, doing=doing)
        self.beat()

    def beat(self) -> None:
        """Write the record, with the counter one higher."""
        with self._mutex:
            self._record = replace(self._record, beat=self._record.beat + 1)
            content = self._record.to_json().encode()
            os.pwrite(self._file, content.ljust(RECORD_BYTES), 0)

    def _keep_beating(self) -> None:
        while not self._ending.wait(self._every_s):
            with contextlib.suppress(OSError):  # a full disk must not end the thread
                self.beat()


def _open_locked(path: Path) -> int:
    """Open a heartbeat file and take its lock.

    Raises:
        AlreadyRunningError: a living process holds it.
    """
    while True:
        file = open_file(path)
        if not try_lock(file):
            os.close(file)
            raise AlreadyRunningError(_holder(path))
        if _is_file_at(file, path):
            return file
        os.close(file)  # its last holder removed it after it was opened and before it was locked


def _is_file_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def read_heartbeat(path: Path) -> Heartbeat | None:
    """Return a process's last heartbeat, or None where the file is absent or half-written."""
    try:
        fields = json.loads(path.read_text())
        fields["host"] = fields.pop("place")
        return None if mistake(Heartbeat, fields) else Heartbeat(**fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _holder(path: Path) -> str:
    heartbeat = read_heartbeat(path)
    if heartbeat is None:
        return "unknown"
    doing = f" ({heartbeat.doing})" if heartbeat.doing else ""
    return f"{heartbeat.pid} on {heartbeat.host.partition('/')[0]}{doing}"


def living_workers(folder: Path) -> list[Heartbeat]:
    """Return the workers that seem alive: with a held lock or, on other hosts, a recent file.

    Recent by the wall clock, which is enough for display; decisions are made by `WorkerRegistry`.
    """
    alive = []
    for path in sorted(heartbeat_files(folder)):
        heartbeat = read_heartbeat(path)
        if heartbeat is None:
            continue
        if is_locked(path) if heartbeat.host == this_host() else _is_recent(path):
            alive.append(heartbeat)
    return alive


def _is_recent(path: Path) -> bool:
    try:
        return abs(time.time() - path.stat().st_mtime) < TIMEOUTS.heartbeat_lost
    except FileNotFoundError:
        return False


def remove_stale(folder: Path) -> None:
    """Remove the heartbeat files that killed workers of this machine have left."""
    for path in list(heartbeat_files(folder)):
        heartbeat = read_heartbeat(path)
        is_ours = heartbeat.host == this_host() if heartbeat else not _is_recent(path)
        if is_ours and not is_locked(path):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Sighting:
    """What is known of a worker that has a heartbeat file.

    Attributes:
        since: when its beat was first seen, by the clock of the observer.
        holds_lock: False if it ran on this machine and has ended.
        slug: of the trial it trains, at `step`.
    """

    since: float
    holds_lock: bool = True
    slug: str | None = None
    step: int = 0

    def is_alive(self, now: float, timeouts: Timeouts) -> bool:
        """Whether the worker is alive, as far as can be known now."""
        return self.holds_lock and now - self.since < timeouts.heartbeat_lost


@dataclass
class WorkerRegistry:
    """Which workers there are, by the heartbeats this process has seen.

    A worker of this machine is dead when its lock is free; any worker is dead when its file is
    gone, or when there was no new beat for the timeout by this process's clock.
    """

    folder: Path
    timeouts: Timeouts = TIMEOUTS
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def sightings(self) -> dict[str, Sighting]:
        """Return what is seen now of every worker, by name."""
        paths = sorted(heartbeat_files(self.folder))
        seen = {path.stem: self._sighting(path) for path in paths}
        return {name: sighting for name, sighting in seen.items() if sighting is not None}

    def is_alive(self, name: str) -> bool:
        """Return whether the named worker is alive, as far as this process can know now."""
        sighting = self._sighting(heartbeat_file(self.folder, name))
        return sighting is not None and sighting.is_alive(time.monotonic(), self.timeouts)

    def _sighting(self, path: Path) -> Sighting | None:
        """Return what is seen of one worker; None if its file is gone."""
        heartbeat = read_heartbeat(path)
        if heartbeat is None:  # gone, or half-written
            return Sighting(self._unchanged_since(path.stem, -1)) if path.exists() else None
        return Sighting(
            since=self._unchanged_since(path.stem, heartbeat.beat),
            holds_lock=heartbeat.host != this_host() or is_locked(path),
            slug=heartbeat.slug,
            step=heartbeat.step,
        )

    def _unchanged_since(self, name: str, beat: int) -> float:
        last, since = self._seen.get(name, (None, 0.0))
        if last != beat:
            since = time.monotonic()
            self._seen[name] = (beat, since)
        return since


def new_worker_name() -> str:
    """Return a name that no other worker has: host, process and a random part."""
    return f"worker-{socket.gethostname().split('.')[0]}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
