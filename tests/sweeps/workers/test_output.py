import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.workers import output

SAYS = """
from sweeps.workers import output
output.make_safe()
import sys
print("β")
print("β", file=sys.stderr)
sys.stdout.flush()
open({done!r}, "w").write(str(output.lost(sys.stdout)))
"""
"""A program that prints on both, and then writes whether something was lost."""


@pytest.mark.parametrize(
    ("redirected", "lost"),
    [
        (">&- 2>&- <&-", "None"),
        (">&- 2>/dev/full", "None"),
        (">/dev/full 2>&1", "No space left on device"),
        ("2>&1 | true", "None"),
    ],
)
def test_nothing_fails_that_is_printed(tmp_path: Path, redirected: str, lost: str) -> None:
    """Closed, full, or without a reader: what comes afterwards is done."""
    done = tmp_path / "done"
    program = tmp_path / "says.py"
    program.write_text(SAYS.format(done=str(done)))
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    shell = f"{sys.executable} -P {shlex.quote(str(program))} {redirected}"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shell}"], env=environment, check=False
    )

    assert 0 == ended.returncode
    assert lost == done.read_text()  # and nothing of what is printed, which is opened in its place


def test_letters_that_cannot_be_shown_are_replaced(tmp_path: Path) -> None:
    """On standard output as on standard error."""
    program = tmp_path / "says.py"
    program.write_text(SAYS.format(done=str(tmp_path / "done")))
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run(
        [sys.executable, "-P", program], env=environment, capture_output=True, check=True
    )

    assert (b"?\n", b"?\n") == (ended.stdout, ended.stderr)


def test_a_stream_that_is_no_file_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """That of a notebook, or of a test."""
    before = sys.stdout
    output.make_safe()

    assert before is sys.stdout
    assert output.lost(sys.stdout) is None
