"""Texts that reach Hydra, OmegaConf and a shell as they are."""

import random
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from sweeps.study.quoting import (
    escaped,
    for_hydra,
    for_shell,
    in_quotes,
    is_unresolved,
    texts_in,
    unescaped,
)
from tests.doubles.names import NAMES

DRAW = random.Random(0)
DRAWN = ["".join(DRAW.choices("ab\\'\"${}, ()[]%β", k=DRAW.randint(0, 9))) for _ in range(300)]


def test_a_text_comes_back_from_hydra() -> None:
    """Whatever characters it has, and whatever it looks like."""
    read = OverridesParser.create().parse_override

    for text in [*NAMES, *DRAWN, "b\\", "\\${u}", "a\\\\${u}\\", "two\nlines"]:
        composed = OmegaConf.create({"found": read(f"key={for_hydra(text)}").value()})
        assert text == composed.found


def test_a_text_comes_back_from_omegaconf() -> None:
    """However deep it is in a value."""
    for text in [*NAMES, *DRAWN]:
        value = {"a": [text, 1, None], "b": {"c": text}}
        assert value == OmegaConf.to_container(OmegaConf.create(escaped(value)), resolve=True)
        assert text == unescaped(escaped(text))
        assert not is_unresolved(escaped(value))


def test_interpolations_stay_in_quotes() -> None:
    """What people type may have them."""
    assert '"run ${beta}"' == in_quotes("run ${beta}")
    assert is_unresolved({"a": [1, "run ${beta}"]})
    assert ["a", "b"] == [*texts_in({"x": ["a", 1], "y": {"z": "b"}})]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(4, "4"), (0.25, "0.25"), (None, "null"), (True, "true"), ("4", '"4"'), ((1, "4"), '[1,"4"]')],
)
def test_numbers_and_texts_are_told_apart(value: object, expected: str) -> None:
    """A text that looks like a number is quoted, a number is not."""
    assert expected == for_hydra(value)  # type: ignore[arg-type]


def test_a_shell_reads_the_same_words() -> None:
    """Each name is one word."""
    assert ["sweeps", *NAMES] == shlex.split(for_shell(["sweeps", *NAMES]))
