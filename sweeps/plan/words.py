"""Words of a command line before Hydra's grammar reads them: short forms, texts, passwords."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from omegaconf.errors import OmegaConfBaseException

from bvae import config
from bvae.exceptions import ConfigError
from bvae.files import expanded
from sweeps.plan.settings import PASSWORD
from sweeps.study.quoting import QUOTED, for_hydra, in_quotes
from sweeps.study.trials import canonical

WITH_PASSWORD = re.compile(r"(\+{0,2}hydra\.sweeper\.storage=['\"]?[\w+]+://[^:@/]*):(.*)(@[^@]*)")

SHORT = {"path": "data.path", "trainer": "trainer.accelerator"}
"""What may be typed for a longer key; `trainer=gpu` is what lightning-hydra-template has."""

TEXTS = (*config.TEXTS, "hydra.sweeper.on_end", "hydra.sweeper.storage")
"""Keys whose values are texts as typed: names and paths, which may have any character."""

SWEPT_TEXTS = ("data.path",)

SWEEP = re.compile(r"(choice|glob|shuffle|sort|tag)\(.*\)$", re.DOTALL)
"""A sweep by Hydra's functions."""

BETWEEN_COMMAS = re.compile(
    rf"(?:{QUOTED.pattern}|\$\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}}|[^,])+", re.DOTALL
)


def short_forms_written_out(lines: Sequence[str]) -> list[str]:
    """Write out what is short for something, and mark arguments of parts, which may be new ones.

    Hydra wants to be told of those.

    >>> short_forms_written_out(["path=my_images", "trainer=gpu", "loss.c_max=25"])
    ['data.path=my_images', 'trainer.accelerator=gpu', '++loss.c_max=25']
    """
    return [_written_out(line, *line.partition("=")) for line in lines]


def _written_out(line: str, key: str, equals: str, value: str) -> str:
    if key in SHORT and (SHORT[key] in TEXTS or not value.startswith("{")):
        return SHORT[key] + equals + value
    is_argument = config.is_free(key) and key not in config.TYPES_OF_FREE
    is_argument = is_argument or (key in config.FREE and value.startswith("{"))
    return f"++{line}" if is_argument else line


def without_plus(line: str) -> str:
    """Return an override as people type it: an argument of a part without its mark."""
    text = line.removeprefix("++")
    return text if config.is_free(text) else line


def with_texts_quoted(lines: Sequence[str], *, sweeps: bool) -> list[str]:
    """Quote the values of `TEXTS` for Hydra: they are what was typed, whatever it looks like.

    Hydra's own quotes around all of it go, and null stays null. Only folders may be swept: there a
    comma separates them, unless a folder has that name.

    >>> with_texts_quoted(["study=2024_05", "beta=1,4"], sweeps=True)
    ['study="2024_05"', 'beta=1,4']
    """
    return [_with_text_quoted(line, *line.partition("="), sweeps=sweeps) for line in lines]


def _with_text_quoted(line: str, key: str, equals: str, value: str, *, sweeps: bool) -> str:
    if key not in TEXTS or not value or QUOTED.fullmatch(value):
        return line
    is_needed = key in config.TEXTS and config.value_mistake(key, None)
    if value.lower() == "null" and not is_needed:
        return line
    if sweeps and key in SWEPT_TEXTS and not expanded(value).exists():
        if SWEEP.match(value):
            return line
        return f"{key}={','.join(_quoted_apart(value))}"
    return f"{key}={in_quotes(value)}"


def _quoted_apart(value: str) -> Iterator[str]:
    """Quote the texts of a sweep, which commas outside of quotes and interpolations separate."""
    for found in BETWEEN_COMMAS.finditer(value):
        yield found[0] if QUOTED.fullmatch(found[0]) else in_quotes(found[0])


def without_password(arguments: Sequence[str]) -> list[str]:
    """Take a password out of the URL of the storage, and hand it on in the environment.

    So it gets into no manifest, log, or file that a launcher pickles.
    """
    found = [WITH_PASSWORD.fullmatch(argument) for argument in arguments]
    for match in found:
        if match is not None:
            os.environ[PASSWORD] = unquote(match[2])
    return [
        argument if match is None else match[1] + match[3]
        for argument, match in zip(arguments, found, strict=True)
    ]


def of_params(params: Mapping[str, object]) -> dict[str, str]:
    """Return the sweeper's `params`, as YAML has them, as what would be typed after each key.

    >>> of_params({"beta": [1, 4], "seed": "0,1", "data": {"score_every": [[1, 1], [2, 2]]}})
    {'beta': '1,4', 'seed': '0,1', 'data.score_every': '[1,1],[2,2]'}
    """
    found: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            found |= of_params({f"{key}.{below}": part for below, part in value.items()})
        elif not isinstance(value, list):
            found[key] = value if isinstance(value, str) else _written(value)
        elif not value:
            raise ConfigError(f"hydra.sweeper.params.{key}: an empty list; give values")
        else:
            found[key] = _written([value] if _is_one_value(key, value) else value)[1:-1]
    return found


def _is_one_value(key: str, value: list[object]) -> bool:
    """Whether a list is a value of a key, not values to sweep over; of parts it is never one."""
    if any(isinstance(part, list) for part in value) or config.is_free(key):
        return False
    try:
        config.typed(key, value)
    except (OmegaConfBaseException, ValueError):
        return False
    return True


def _written(value: object) -> str:
    """Write a value of a YAML file in Hydra's grammar; its texts may have interpolations."""
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return in_quotes(value) if isinstance(value, str) else for_hydra(canonical(value))
