"""Standard output and error that cannot fail: what nobody can read changes nothing that is done."""

import contextlib
import errno
import io
import os
import select
import sys
from typing import IO, Any


class _Lossy(io.FileIO):
    """A file that drops what cannot be written, then and from then on, and keeps the reason."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write some bytes; to a full pipe that does not block, once there is room."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.lost = error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())  # of the processes that are started from here, too
            os.close(null)
            return len(data)
        return written


def make_safe() -> None:
    """Let nothing fail that is printed: on a closed pipe, a full disk, or letters it cannot show.

    What is closed from the start is opened on nothing: else the next file that is opened would be
    in its place, and get what is printed.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = _safe(sys.stdout, 1), _safe(sys.stderr, 2)


def _safe(stream: Any, number: int) -> Any:
    """Return a stream that writes where this one does; itself if it is no file of the process."""
    if not isinstance(stream, io.TextIOWrapper) or _number(stream) != number:
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    raw = _Lossy(number, "w", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _number(stream: IO[str]) -> int | None:
    try:
        return stream.fileno()
    except OSError:  # not of a file, as in tests
        return None


def lost(stream: Any) -> str | None:
    """Say why something of a stream was lost; None if nothing was, or its reader had left."""
    buffer = getattr(stream, "buffer", None)
    error = getattr(getattr(buffer, "raw", buffer), "lost", None)
    return None if error is None or error.errno == errno.EPIPE else str(error.strerror)
