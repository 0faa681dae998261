import functools
from pathlib import Path
from typing import Any

import pytest
from torch.nn import Module

from bvae.exceptions import ConfigError
from bvae.parts import build, build_named


class Own:
    """A part that keeps what it is given."""

    def __init__(self, *, latent_dim: int, depth: int = 2, inner: Any = None) -> None:
        self.given = (latent_dim, depth, inner)


class Further(Own):
    """One that hands on what it does not name."""

    def __init__(self, extra: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.extra = extra


class Plain(Module):
    """One that is built from nothing, though torch's class says that it takes anything."""


def greedy(**given: Any) -> dict[str, Any]:
    """Take everything that is offered."""
    return given


def raises() -> None:
    """Fail with a message of two lines."""
    raise ValueError("two\nlines")


OWN = f"{__name__}.Own"


class TestBuild:
    def test_a_part_gets_what_its_signature_names(self) -> None:
        """Of what is offered, latent_dim is taken and beta is not."""
        made = build({"_target_": OWN, "depth": 3}, latent_dim=5, beta=4.0)

        assert (5, 3, None) == made.given

    def test_a_value_of_its_own_goes_first(self) -> None:
        """What the part says itself is not what is offered."""
        assert (7, 2, None) == build({"_target_": OWN, "latent_dim": 7}, latent_dim=5).given

    def test_a_part_that_takes_anything_gets_all(self) -> None:
        """A part with **kwargs is handed every value that is offered."""
        made = build({"_target_": f"{__name__}.greedy", "a": 1}, b=2)

        assert {"a": 1, "b": 2} == made

    def test_a_class_gets_what_those_name_that_it_inherits_from(self) -> None:
        """Its **kwargs are handed on, to an __init__ that takes no other names."""
        made = build({"_target_": f"{__name__}.Further", "extra": 1}, latent_dim=5, beta=4.0)

        assert (5, 2, None) == made.given
        assert isinstance(build({"_target_": f"{__name__}.Plain"}, beta=4.0), Plain)

    def test_a_name_is_that_of_a_choice_or_an_argument(self) -> None:
        """A loss is called so; networks and data may take one."""
        part = {"_target_": f"{__name__}.greedy", "name": "cats"}

        assert {} == build_named("loss", part)
        assert {"name": "cats"} == build_named("data.source", part)

    def test_parts_within_a_part_are_built(self) -> None:
        """A nested _target_ is built first; lists stay lists."""
        inner = {"_target_": "fractions.Fraction", "numerator": 1, "denominator": 2}
        made = build({"_target_": OWN, "inner": [inner]}, latent_dim=5)

        assert [0.5] == made.given[2]
        assert type(made.given[2]) is list

    def test_a_partial_part_waits_for_the_rest(self) -> None:
        """With _partial_ the arguments so far are set, and nothing is called."""
        made = build({"_target_": OWN, "_partial_": True, "depth": 3}, beta=1.0)

        assert isinstance(made, functools.partial)
        assert (5, 3, None) == made(latent_dim=5).given

    @pytest.mark.parametrize(
        ("part", "message"),
        [
            ({"name": "own"}, r"loss: .*; write loss\._target_=my_module\.name"),
            ({"_target_": "nowhere.Own"}, "nowhere.Own cannot be built: .* named 'nowhere'"),
            ({"_target_": f"{__name__}.Onw"}, r"test_parts.py\) has no Onw; did you mean Own\?"),
            ({"_target_": "bvae.files.no.such"}, r"bvae.files \(.*\) has no no$"),
            ({"_target_": "bvae.files"}, "bvae.files cannot be built: .* callable"),
            (
                {"_target_": OWN},
                "Own: missing .*'latent_dim'; it takes latent_dim, depth, inner, and",
            ),
            ({"_target_": OWN, "dept": 3, "latent_dim": 5}, "Own: .* unexpected .*'dept'"),
            ({"_target_": OWN, "_partial_": True, "dept": 3}, "Own: .* unexpected .*'dept'"),
        ],
    )
    def test_what_cannot_be_built_is_said(self, part: dict[str, Any], message: str) -> None:
        """The sentence names the target, and the argument or the import that is wrong."""
        with pytest.raises(ConfigError, match=message):
            build_named("loss", part, beta=4.0)

    def test_what_a_part_raises_is_said_on_a_line(self) -> None:
        """Each line of what is wrong with a command begins with its key, and says where it is."""
        line = raises.__code__.co_firstlineno + 2
        with pytest.raises(ConfigError, match=r"^score: ") as raised:
            build_named("score", {"_target_": f"{__name__}.raises"})

        assert str(raised.value).endswith(
            f"raises raised ValueError: two lines (test_parts.py, line {line})"
        )

    def test_a_module_that_exits_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A script that reads the command line for itself would end ours, with no word."""
        (tmp_path / "a_script.py").write_text("import sys\n\nsys.exit('usage')")
        monkeypatch.syspath_prepend(tmp_path)

        with pytest.raises(ConfigError, match=r"SystemExit: usage \(a_script.py, line 3\)$"):
            build_named("score", {"_target_": "a_script.score"})
