"""Locks on files: they are the kernel's, so that they are released when their holder is killed.

Not `filelock`'s: waiting for one it sleeps 50 ms between tries, where every record of the journal
waits for a lock, and on a file system without `flock` it goes over to a file that outlives its
killed holder; here that is an error.
"""

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bvae.exceptions import ConfigError

try:
    import fcntl
except ImportError as error:
    raise ConfigError(
        "this program runs on Linux and macOS; on Windows, install WSL2 (`wsl --install`) "
        "and run it there"
    ) from error

NONE = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""What a file system without locks answers."""


def open_file(path: Path) -> int:
    """Open a file to be locked, after creating it if it is not there."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _flock(file: int, how: int) -> None:
    """Take a lock.

    Raises:
        BlockingIOError: another process holds it.
        ConfigError: the file system has none.
    """
    try:
        fcntl.flock(file, how)
    except OSError as error:
        if error.errno not in NONE:
            raise
        raise ConfigError(
            f"the file system of the study has no locks ({error.strerror}), so two workers might "
            "take one trial; give another runs_dir=…, or mount this one with locks (NFS: without "
            "nolock; Lustre: with flock)"
        ) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, having waited for it, until the block ends or the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open_file(path)
    try:
        _flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def try_lock(file: int) -> bool:
    """Take the lock of an open file, unless another process holds it."""
    # `is_locked` holds a shared lock for an instant, so a single refusal proves nothing.
    for _ in range(20):
        try:
            _flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def is_locked(path: Path) -> bool:
    """Whether some process holds the file's lock; nobody is kept from it by asking."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # where there are no locks, nobody holds one
        return False
    else:
        return False
    finally:
        os.close(file)
