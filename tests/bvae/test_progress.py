"""The line that counts."""

import io
import itertools
import sys
import time

import pytest

from bvae.progress import counted


class Terminal(io.StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which a second passes between two looks."""
    seconds = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))


def shown(monkeypatch: pytest.MonkeyPatch, terminal: io.StringIO) -> str:
    """Return what is on the terminal after ten steps."""
    monkeypatch.setattr(sys, "stderr", terminal)
    with counted("Reading") as tick:
        for _ in range(10):
            tick()
    return terminal.getvalue()


@pytest.mark.usefixtures("slow")
def test_a_long_look_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one line, which is gone at the end."""
    text = shown(monkeypatch, Terminal())

    assert "Reading: 10" in text
    assert "\n" not in text
    assert text.endswith("\r\x1b[2K")


def test_a_short_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written at all."""
    assert not shown(monkeypatch, Terminal())


@pytest.mark.usefixtures("slow")
def test_a_file_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of workers are not filled with counts."""
    assert not shown(monkeypatch, io.StringIO())


@pytest.mark.usefixtures("slow")
def test_a_terminal_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the line, not the work."""

    class Gone(Terminal):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    assert not shown(monkeypatch, Gone())
