"""Exit codes of the commands that run a study."""

import signal
from enum import IntEnum


class Exit(IntEnum):
    """How a command that runs a study has ended."""

    COMPLETE = 0
    FAILED = 1
    USAGE = 2
    LEFT = 3
    HUNG_UP = 129
    INTERRUPTED = 130


INTERRUPTIONS = (Exit.INTERRUPTED, Exit.HUNG_UP)


def interrupted_by(number: int) -> Exit:
    """Return the exit code after a signal."""
    return Exit.HUNG_UP if number == signal.SIGHUP else Exit.INTERRUPTED
