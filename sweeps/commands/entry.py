"""How both commands begin and end: output that cannot fail, signals, and what goes wrong."""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from bvae.exceptions import BvaeError, ConfigError
from sweeps.workers import output
from sweeps.workers.exit_codes import Exit, interrupted_by
from sweeps.workers.processes import ENDINGS, handling


def enter(command: Callable[[], int]) -> int:
    """Carry out a command; return its exit code, also where it is interrupted or goes wrong.

    Args:
        command: imports what it needs itself, so that Ctrl-C has no traceback then either.
    """
    output.make_safe()
    received: list[int] = []

    def interrupt(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    try:
        with handling(interrupt, *ENDINGS):
            code = _carried_out(command)
    except KeyboardInterrupt:  # what was running is saved by now; or nothing was
        code = Exit.INTERRUPTED
    except SystemExit as ended:  # of argparse, which has shown its help, or a mistake
        if not isinstance(ended.code, int):
            raise
        code = ended.code
    if code == Exit.INTERRUPTED and received:
        return interrupted_by(received[0])
    sys.stdout.flush()
    reason = output.lost(sys.stdout)
    if reason and code == Exit.COMPLETE:
        _say(f"standard output: {reason}")
        return Exit.USAGE
    return code


def _carried_out(command: Callable[[], int]) -> int:
    try:
        _check_here()
        return command()
    except BvaeError as error:
        _say(str(error))
    except OSError as error:  # a folder that cannot be read or written
        _say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError:
        _say("out of memory; give fewer values, smaller models or fewer workers")
    except Exception as error:
        _say(_bug(error))
    return Exit.USAGE


def _check_here() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the folder that you are in is gone; go to one that is there") from None


def _say(message: str) -> None:
    lines = [line for line in message.splitlines() if line]
    print("\n".join(f"error: {line}" for line in lines), file=sys.stderr)


def _bug(error: Exception) -> str:
    """Write the traceback of what should not have happened; return what to say."""
    said = " ".join(traceback.format_exception_only(error)[-1].split())
    last = traceback.extract_tb(error.__traceback__)[-1]
    bug = f"{said} ({Path(last.filename).name}, line {last.lineno}); this is a bug of bvae-sweeps"
    try:
        handle, name = tempfile.mkstemp(prefix="bvae-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"{sys.argv}\n")
            traceback.print_exception(error, file=file)
    except OSError:
        return (
            bug
            + "; its traceback cannot be written:\n"
            + "".join(traceback.format_exception(error))
        )
    return f"{bug}; please report it with the traceback, which is in {name}"
