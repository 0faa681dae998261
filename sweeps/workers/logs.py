"""The log of a process that works on a study."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from bvae.logs import Lines


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write this project's log to a file while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
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
