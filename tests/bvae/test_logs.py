import logging
from pathlib import Path

import pytest

from bvae.logs import Lines


def test_home_is_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the message and in the traceback; another folder that begins alike stays."""
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = Lines("%(levelname)s %(message)s")
    try:
        (tmp_path / "missing").read_text()
    except FileNotFoundError as error:
        found = (FileNotFoundError, error, error.__traceback__)
    text = lines.format(
        logging.LogRecord("bvae", logging.INFO, "", 1, "at %s2/x", (tmp_path,), found)
    )

    assert text.startswith(f"INFO at {tmp_path}2/x\n")
    assert "No such file or directory: '~/missing'" in text
