import subprocess
import sys
from pathlib import Path

import pytest

from sweeps import commands
from sweeps.__main__ import COMMANDS, MODULES
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import WorkerRegistry
from tests.doubles.studies import make_study, write_result
from tests.doubles.typed import type_in


def test_the_commands_code_is_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the command returns."""
    monkeypatch.setattr("sweeps.commands.status.run", lambda typed: 3)

    assert 3 == type_in("sweeps", "status", str(tmp_path))


def test_a_mistake_is_one_message_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line of it is marked."""
    assert 2 == type_in("sweeps", "status", str(tmp_path))

    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}: ")
    assert 1 == len(said.splitlines())


def test_a_folder_that_cannot_be_written_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Someone else's study can be looked at, not stopped."""
    study = make_study(tmp_path / "tested")
    study.folder.stop.mkdir()

    assert 2 == type_in("sweeps", "stop", str(study.folder.root))
    assert f"error: {study.folder.stop}: Is a directory\n" == capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["statsu", "x"], ["status"], ["logs", "x"]])
def test_what_is_no_command_is_a_mistake(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With how it is used."""
    assert 2 == type_in("sweeps", *arguments)
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


def test_every_module_with_arguments_is_a_command() -> None:
    """None is forgotten in the listing, and none is listed that is not there."""
    folder = Path(commands.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "\ndef run(typed" in path.read_text()}

    assert modules == {MODULES.get(name, name) for name in COMMANDS}


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its sentence."""
    assert 0 == type_in("sweeps", "--help")

    said = " ".join(capsys.readouterr().out.split())
    for name, sentence in COMMANDS.items():
        assert f"{name} {sentence}" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_one_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With its sentence and its arguments."""
    assert 0 == type_in("sweeps", name, "--help")

    said = capsys.readouterr().out
    assert COMMANDS[name] in " ".join(said.split())
    taken = {"list": "RUNS", "compare": "RUNS", "baselines": "DATA"}
    assert taken.get(name, "DIR") in said.upper()


def test_only_the_command_that_is_typed_is_imported(tmp_path: Path) -> None:
    """`sweeps --help`, too, waits for no other."""
    code = (
        "import sys; from sweeps import __main__ as entry; entry.parser({})\n"
        "print(*(name for name in sys.modules if name.startswith('sweeps.commands.')))"
    )
    for asked, expected in (([], {"entry"}), (["stop"], {"arguments", "entry", "stop"})):
        run = [sys.executable, "-c", code.format(asked)]
        found = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
        assert {f"sweeps.commands.{name}" for name in expected} == {*found}


def test_reading_commands_change_nothing(tmp_path: Path) -> None:
    """They may be typed while the study runs, by anyone."""
    study = make_study(tmp_path / "tested")
    write_result(study, study.trials[0])
    Queue(study).reconcile(WorkerRegistry(study.folder.workers))
    root = study.folder.root
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    for command in ("status", "best"):
        assert 0 == type_in("sweeps", command, str(root))
    assert 0 == type_in("sweeps", "logs", str(root), study.trials[0].slug)
    assert 0 == type_in("sweeps", "list", str(tmp_path))

    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*")}
