"""Whatever a reader may type from the README and docs/ is a command that is understood."""

import argparse
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from PIL import Image

from bvae.metrics.protocols import PROTOCOLS
from sweeps import __main__ as entry
from sweeps.commands import sweep
from sweeps.plan.plan import Plan
from tests.doubles.typed import type_in

REPOSITORY = Path(__file__).resolve().parents[2]
OWN_PARTS = "extending.md"  # run as a whole by tests/test_extending.py
PAGES = [
    REPOSITORY / "README.md",
    *(path for path in sorted(REPOSITORY.glob("docs/*.md")) if path.name != OWN_PARTS),
]


def commands(program: str) -> Iterator[list[str]]:
    """Yield the arguments of each of a program's commands, once, comments left out."""
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    for words in dict.fromkeys(tuple(shlex.split(line, comments=True)) for line in lines):
        if words[:1] == (program,):
            yield [*words[1:]]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of pictures that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    for name in ("my_images", "houses"):
        (tmp_path / name).mkdir()
        for number in range(128):  # a batch
            Image.new("L", (32, 32), number).save(tmp_path / name / f"{number}.png")


@pytest.fixture
def dry_run(
    pictures: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Sequence[str]], Plan]:
    """Type a command as a dry run, which ends with the plan: what it would run is not measured."""
    plans: list[Plan] = []
    monkeypatch.setattr(sweep, "preview", lambda planned, **_: plans.append(planned))

    def dry_run(arguments: Sequence[str]) -> Plan:
        code = type_in("bvae", *arguments, "hydra.sweeper.dry_run=true")
        assert 0 == code, capsys.readouterr().err
        (planned,) = plans
        return planned

    return dry_run


def as_parsed(arguments: Sequence[str]) -> str:
    """Parse a command of `sweeps`, no option abbreviated; return the name of the command."""
    entry.parser().parse_args(arguments)
    name, *words = arguments
    options = {word for word in words if word.startswith("--")}
    assert options <= subcommands()[name]._option_string_actions.keys()
    protocols = [word.removeprefix("protocol=") for word in words if word.startswith("protocol=")]
    assert {*protocols} <= PROTOCOLS.keys()
    return name


def subcommands() -> Mapping[str, argparse.ArgumentParser]:
    """Return the parser of each subcommand of `sweeps`."""
    (choices,) = (action.choices for action in entry.parser()._actions if action.choices)
    assert isinstance(choices, Mapping)
    return choices


@pytest.mark.parametrize("arguments", [*commands("bvae")], ids=" ".join)
def test_bvae(arguments: list[str], dry_run: Callable[[Sequence[str]], Plan]) -> None:
    """Each is planned as it is typed; one with -m is a sweep or a search of several trials."""
    planned = dry_run(arguments)
    search = planned.manifest.search

    assert ("-m" in arguments) == (len(planned.asked) > 1 or search is not None)


@pytest.mark.parametrize(
    "arguments",
    [
        "betta=4",
        "-m beta=1,4 hydra.sweeper.max_minuts=30",
        "-m beta=1,4 hydra.sweeper.n_trials=0",
        "-m experiment=quik",
        "beta=4 hydra/launcher=slrum",
    ],
)
def test_a_mistake_is_found(arguments: str, dry_run: Callable[[Sequence[str]], Plan]) -> None:
    """A wrong key, one of the sweeper's too, a wrong value or choice would not be planned."""
    with pytest.raises(AssertionError, match="error: "):
        dry_run(arguments.split())


@pytest.mark.parametrize("arguments", [*commands("sweeps")], ids=" ".join)
def test_sweeps(arguments: list[str]) -> None:
    """Each is parsed as the command it names."""
    assert arguments[0] == as_parsed(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        "statsu runs/quick",
        "status",
        "status runs/quick --jsn",
        "status runs/quick --js",
        "rescore runs/quick protocol=slow",
    ],
)
def test_a_mistake_is_not_parsed(arguments: str) -> None:
    """A wrong command, option or protocol, a lacking or an abbreviated word."""
    with pytest.raises((SystemExit, AssertionError), match=r"^2$|assert {"):
        as_parsed(arguments.split())


def test_all_of_them_are_there() -> None:
    """The pages show every subcommand of `sweeps`."""
    shown = {arguments[0] for arguments in commands("sweeps")}

    assert subcommands().keys() == shown
