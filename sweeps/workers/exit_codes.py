"""Exit codes of the commands that run a study."""

from enum import IntEnum


class Exit(IntEnum):
    """How a command that runs a study has ended."""

    COMPLETE = 0
    FAILED = 1
    USAGE = 2
    LEFT = 3
    INTERRUPTED = 130
