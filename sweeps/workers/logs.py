"""The log of a process that works on a study."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from bvae.logs import Lines


class _Log(logging.FileHandler):
    """A file that a full disk may cut short: nothing fails by that, and nothing is said of it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of logging
        """Print no traceback."""

    def close(self) -> None:
        """Close the file; what was not written yet may be lost."""
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write this project's log to a file while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _Log(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("sweeps", "bvae")]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
