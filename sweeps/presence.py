"""Who is at work on a study: a file per process, locked for as long as the process lives.

On one machine a free lock means death, at once and exactly: it dies with its holder. From another
machine, where such a lock may not be seen, the heartbeat decides: whoever watches must have seen
the same heartbeat for the whole grace time by its own monotonic clock, so that clocks need not
agree. A process that is stopped rather than dead is taken for dead after the grace time, too.
"""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
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
    launched: bool = False
    beat: int = 0
    slug: str | None = None
    step: int = 0
    total: int = 0


class Present:
    """Holds a presence file, and keeps its heart beating, while the process lives.

    Used as a context manager; the file is removed on leaving.

    Args:
        path: the presence file.
        name: the name the process goes by.
        launched: whether the command that runs the study has started this process.
    """

    def __init__(self, path: Path, *, name: str, launched: bool = False) -> None:
        self._path = path
        self._record = Presence(name=name, place=here(), pid=os.getpid(), launched=launched)
        self._change = threading.Lock()
        self._leaving = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def name(self) -> str:
        """The name the process goes by."""
        return self._record.name

    def __enter__(self) -> "Present":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open_locked(self._path)
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
            self._record = replace(self._record, beat=self._record.beat + 1)
            content = json.dumps(asdict(self._record)).encode()
            os.pwrite(self._file, content.ljust(RECORD_BYTES), 0)

    def _beat(self) -> None:
        while not self._leaving.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):  # a full disk must not stop the heart
                self.say()


def _open_locked(path: Path) -> int:
    """Open a presence file and take its lock.

    Raises:
        AlreadyPresentError: a living process holds it.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _locks(file):
            os.close(file)
            raise AlreadyPresentError(_holder(path))
        if _is_at(file, path):
            return file
        os.close(file)  # its last holder removed it between our opening and our locking


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


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
    """Return the workers that seem alive: their lock is held or, elsewhere, their beat is young.

    Young by the clock: this is for showing. What is decided, a `Watch` decides.
    """
    alive = []
    for path in sorted(folder.glob("*.json")):
        said = read(path)
        if said is None:
            continue
        if is_locked(path) if said.place == here() else _is_young(path):
            alive.append(said)
    return alive


def _is_young(path: Path) -> bool:
    try:
        return abs(time.time() - path.stat().st_mtime) < GRACE_S
    except FileNotFoundError:
        return False


def clear(folder: Path) -> None:
    """Remove the presence files that killed workers of this machine have left."""
    for path in folder.glob("*.json"):
        said = read(path)
        is_ours = said.place == here() if said is not None else not _is_young(path)
        if is_ours and not is_locked(path):
            path.unlink(missing_ok=True)


@dataclass
class Watch:
    """Decides which workers are dead, from what it has seen itself.

    A worker of this machine is dead when its lock is free; any worker is dead when its file is
    gone, or when its heartbeat stood still for the grace time of this process's own clock.
    """

    folder: Path
    grace_s: float = GRACE_S
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def at_work(self) -> dict[str, str]:
        """Return the names of the living workers by the slug of the point they are at."""
        said = [read(path) for path in sorted(self.folder.glob("*.json"))]
        return {who.slug: who.name for who in said if who and who.slug and self.lives(who.name)}

    def lives(self, name: str) -> bool:
        """Return whether the named worker is alive, as far as can be known here and now."""
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


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; it is released when the block ends or the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
