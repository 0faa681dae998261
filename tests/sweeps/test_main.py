import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.__main__ import main
from sweeps.commands import commands
from tests.doubles.studies import make_study


def code_of(*arguments: str) -> int | str | None:
    """Return the exit code of a command."""
    with pytest.raises(SystemExit, match=r"^\d+$") as ended:
        main(arguments)
    return ended.value.code


def test_the_commands_code_is_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the subcommand returns."""
    monkeypatch.setattr(commands, "status", lambda typed: 3)

    assert 3 == code_of("status", str(tmp_path))


def test_a_mistake_is_one_message_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line of it is marked."""
    assert 2 == code_of("status", str(tmp_path))

    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}: not a study")
    assert 1 == len(said.splitlines())


def test_a_folder_that_cannot_be_written_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Someone else's study can be looked at, not stopped."""
    study = make_study(tmp_path / "tested")
    study.folder.stop.mkdir()

    assert 2 == code_of("stop", str(study.folder.root))
    assert capsys.readouterr().err.startswith("error: [Errno 21] Is a directory")


@pytest.mark.parametrize("arguments", [[], ["statsu", "x"], ["status"], ["logs", "x"]])
def test_what_is_no_command_is_a_mistake(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With how it is used."""
    assert 2 == code_of(*arguments)
    assert "usage: sweeps" in capsys.readouterr().err


def test_a_reader_that_has_left_is_no_mistake(tmp_path: Path) -> None:
    """`sweeps list | head` ends without a word on the terminal."""
    command = [sys.executable, "-m", "sweeps", "list", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        said = run.stderr.read()

    assert (0, b"") == (run.returncode, said)
