"""Whatever a reader may type from the README is a command that is understood."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from sweeps import __main__ as entry
from sweeps.overrides import written_out
from sweeps.plan import Plan

README = Path(__file__).resolve().parents[2] / "README.md"


def commands(program: str) -> Iterator[list[str]]:
    """Yield the arguments of each of a program's commands, comments left out."""
    for block in re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == [program]:
                yield words[1:]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of pictures that the README speaks of."""
    monkeypatch.chdir(tmp_path)
    for name in ("my_images", "houses"):
        (tmp_path / name).mkdir()
        for number in range(128):  # a batch
            Image.new("L", (32, 32), number).save(tmp_path / name / f"{number}.png")


@pytest.mark.parametrize("arguments", [*commands("bvae")], ids=" ".join)
def test_bvae(arguments: list[str], planned: Callable[..., Plan], pictures: None) -> None:
    """Each is planned without a mistake; with -m it is a sweep of several points."""
    typed = written_out([word for word in arguments if word != "-m"])
    sweeping = planned(*[word for word in typed if not word.startswith("hydra.")])
    is_sweep = "-m" in arguments and "experiment" not in " ".join(arguments)

    assert not is_sweep or len(sweeping.asked) > 1


@pytest.mark.parametrize("arguments", [*commands("sweeps")], ids=" ".join)
def test_sweeps(arguments: list[str]) -> None:
    """Each is parsed, and leads to something that runs."""
    assert callable(entry.parser().parse_args(arguments).run)


def test_all_of_them_are_there() -> None:
    """The README shows every subcommand of `sweeps`."""
    shown = {arguments[0] for arguments in commands("sweeps")}
    (choices,) = (action.choices for action in entry.parser()._actions if action.choices)

    assert set(choices) == shown
