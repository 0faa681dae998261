"""Who is at work on a study: a file per process, locked for as long as the process lives.

On one machine the lock decides, at once and exactly: it dies with its holder. From another machine,
where such a lock may not be seen, the heartbeat decides: whoever watches must have seen the same
heartbeat for the whole grace time by its own monotonic clock, so that clocks need not agree.
"""

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType

from bvae.exceptions import BvaeError

HEARTBEAT_S = 5.0
GRACE_S = 60.0
"""A heartbeat unchanged for so long is a dead worker's: twelve beats."""

RECORD_BYTES = 1024
"""Records are padded to one size and written in one piece over the old one."""


def here() -> str:
    """Name this machine, this boot and this process namespace: where a file lock is seen."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux: the host name has to do
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{space}"


class AlreadyPresentError(BvaeError):
    """Another living process holds the presence file."""


@dataclass(frozen=True)
class Presence:
    """What a process says of itself."""

    name: str
    place: str
    pid: int
    beat: int = 0
    slug: str | None = None
    step: int = 0
    total: int = 0
    beat_at: float = 0.0


class Present:
    """Holds a presence file, and keeps its heart beating, while the process lives.

    Used as a context manager; the file is removed on leaving.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        self._path = path
        self._record = Presence(name=name, place=here(), pid=os.getpid())
        self._change = threading.Lock()
        self._leaving = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def name(self) -> str:
        """The name the process goes by."""
        return self._record.name

    def __enter__(self) -> "Present":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _locks(self._file):
            os.close(self._file)
            raise AlreadyPresentError(_holder(self._path))
        self.say()
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.set()
        self._heart.join()
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def at(self, slug: str | None, *, step: int = 0, total: int = 0, write: bool = True) -> None:
        """Note which point is at work, and how far it is; written now or with the next beat."""
        with self._change:
            self._record = replace(self._record, slug=slug, step=step, total=total)
        if write:
            self.say()

    def say(self) -> None:
        """Write the record, one beat further."""
        with self._change:
            beat = self._record.beat + 1
            self._record = replace(self._record, beat=beat, beat_at=time.time())
            content = json.dumps(asdict(self._record)).encode()
            os.pwrite(self._file, content.ljust(RECORD_BYTES), 0)

    def _beat(self) -> None:
        while not self._leaving.wait(HEARTBEAT_S):
            self.say()


def _locks(file: int) -> bool:
    # A watcher holds a shared lock for an instant while it looks, so one refusal says nothing.
    for _ in range(20):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def read(path: Path) -> Presence | None:
    """Return what a presence file says, or None where it is absent or half-written."""
    try:
        return Presence(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _holder(path: Path) -> str:
    said = read(path)
    return f"{said.pid} on {said.place.partition('/')[0]}" if said else "unknown"


def is_locked(path: Path) -> bool:
    """Whether some process holds the file's lock."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


def workers_at(folder: Path) -> list[Presence]:
    """Return the workers that seem alive: their lock is held or, elsewhere, their beat is young."""
    alive = []
    for path in sorted(folder.glob("*.json")):
        said = read(path)
        if said is None:
            continue
        young = time.time() - said.beat_at < GRACE_S
        if is_locked(path) if said.place == here() else young:
            alive.append(said)
    return alive


@dataclass
class Watch:
    """Decides which workers are dead, from what it has seen itself.

    A worker of this machine is dead when its lock is free; any worker is dead when its file is
    gone, or when its heartbeat stood still for the grace time of this process's own clock.
    """

    folder: Path
    grace_s: float = GRACE_S
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def dead(self, names: set[str]) -> set[str]:
        """Return those of the named workers that are dead."""
        return {name for name in names if not self._lives(name)}

    def _lives(self, name: str) -> bool:
        path = self.folder / f"{name}.json"
        said = read(path)
        if said is None:
            return self._unchanged_for(name, -1) < self.grace_s and path.exists()
        if said.place == here() and not is_locked(path):
            return False
        return self._unchanged_for(name, said.beat) < self.grace_s

    def _unchanged_for(self, name: str, beat: int) -> float:
        last, since = self._seen.get(name, (None, 0.0))
        if last != beat:
            since = time.monotonic()
            self._seen[name] = (beat, since)
        return time.monotonic() - since


def new_worker_name() -> str:
    """Return a name no other worker has: host, process and a random part."""
    return f"worker-{socket.gethostname().split('.')[0]}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; it is released when the block ends or the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
