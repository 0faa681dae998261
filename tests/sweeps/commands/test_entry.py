import os
import re
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps.commands.entry import enter
from sweeps.workers import output
from sweeps.workers.exit_codes import Exit
from sweeps.workers.processes import ENDINGS


def raising(error: BaseException) -> Callable[[], int]:
    """Return a command that goes wrong so."""

    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("a: wrong\nb: wrong, too"), "error: a: wrong\nerror: b: wrong, too\n"),
        (FileNotFoundError(2, "No such file", "x"), "error: x: No such file\n"),
        (OSError("no route"), "error: no route\n"),
        (MemoryError(), "error: out of memory; give fewer values"),
    ],
)
def test_what_is_known_is_a_sentence(
    capsys: pytest.CaptureFixture[str], error: BaseException, said: str
) -> None:
    """Code 2, each line marked."""
    assert Exit.USAGE == enter(raising(error))
    assert capsys.readouterr().err.startswith(said)


def test_what_is_not_known_is_called_a_bug(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, with the path of a log that has the traceback."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    assert Exit.USAGE == enter(raising(KeyError("x")))

    said = capsys.readouterr().err
    assert 1 == len(said.splitlines())
    assert said.startswith("error: KeyError: 'x' (test_entry.py, line ")
    assert "this is a bug of bvae-sweeps" in said
    log = re.findall(r"which is in (.+)\n", said)[0]
    assert "Traceback" in Path(log).read_text()


def test_a_bug_on_a_full_disk_is_told_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no place for a log."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")

    assert Exit.USAGE == enter(raising(KeyError("x")))
    assert "error: Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_ends_it_without_a_traceback(
    capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """Whatever it is at; all handlers are as before."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in ENDINGS}
    try:
        code = enter(lambda: os.kill(os.getpid(), number) or 0)
        assert [signal.SIG_DFL] * len(ENDINGS) == [signal.getsignal(each) for each in ENDINGS]
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

    assert (129 if number == signal.SIGHUP else 130) == code
    assert "" == capsys.readouterr().err


def test_a_hang_up_that_is_ignored_ends_nothing() -> None:
    """As after `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert 3 == enter(lambda: os.kill(os.getpid(), signal.SIGHUP) or 3)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_results_that_were_lost_are_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `sweeps best --json > file` on a full disk; other codes stay."""
    monkeypatch.setattr(output, "lost", lambda stream: "No space left on device")

    assert Exit.USAGE == enter(lambda: 0)
    assert "error: standard output: No space left on device\n" == capsys.readouterr().err
    assert Exit.LEFT == enter(lambda: Exit.LEFT)


def test_a_folder_that_is_gone_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any command trips over it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert Exit.USAGE == enter(lambda: 0)
    assert "error: the folder that you are in is gone" in capsys.readouterr().err
    os.chdir(tmp_path)
