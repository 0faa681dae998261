"""How lines of log files look."""

import logging

from bvae.files import with_tilde


class Lines(logging.Formatter):
    """Writes the user's home as `~`, in messages, warnings and tracebacks alike."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return with_tilde(super().format(record)).rstrip()
