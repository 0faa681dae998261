"""A line on a terminal that counts, for work that takes longer than a moment."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

_QUIET_S = 2.0
_BETWEEN_S = 0.5


@contextlib.contextmanager
def counted(what: str) -> Iterator[Callable[[], None]]:
    """Yield a function to call at each step; a line says how many, after two seconds."""
    number, next_at, is_shown = 0, time.monotonic() + _QUIET_S, False
    is_terminal = sys.stderr is not None and sys.stderr.isatty()

    def tick() -> None:
        nonlocal number, next_at, is_shown
        number += 1
        if is_terminal and time.monotonic() >= next_at:
            next_at = time.monotonic() + _BETWEEN_S
            is_shown = True
            _show(f"\r\x1b[2K{what}: {number:,}")

    try:
        yield tick
    finally:
        if is_shown:
            _show("\r\x1b[2K")


def _show(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a terminal that has gone
        sys.stderr.write(text)
        sys.stderr.flush()
