r"""How a text is written for what would read it by a grammar: Hydra and OmegaConf, then a shell.

Whatever is handed to them, or printed to be typed, goes through here: `for_hydra` for a value,
`in_quotes` for what may have interpolations, `escaped` for OmegaConf alone, `for_shell` for words.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.study.trials import Value, text

PLAIN = re.compile(r"[a-z_/][\w.+\-/]*", re.ASCII | re.IGNORECASE)
"""Texts that Hydra takes for texts without quotes, unless they are `NO_TEXTS`."""

NO_TEXTS = ("null", "true", "false", "nan", "inf")

QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"', re.DOTALL)
"""A text that somebody has put in Hydra's quotes."""

INTERPOLATION = re.compile(r"(?<!\\)(?:\\\\)*\$\{")


def in_quotes(typed: str) -> str:
    r"""Quote a text for Hydra's grammar where it needs it; interpolations stay what they are.

    >>> print(in_quotes("runs/a"), in_quotes("Häuser (2024)"), in_quotes("2024_05"))
    runs/a "Häuser (2024)" "2024_05"
    """
    if PLAIN.fullmatch(typed) and typed.lower() not in NO_TEXTS:
        return typed
    quote = "'" if '"' in typed and "'" not in typed else '"'
    # backslashes count only before a quote
    return quote + re.sub(rf"(\\*)({quote}|\Z)", _with_backslash, typed) + quote


def _with_backslash(found: re.Match[str]) -> str:
    return 2 * found[1] + (f"\\{found[2]}" if found[2] else "")


def for_hydra(value: Value) -> str:
    r"""Write a value so that Hydra reads this value, and OmegaConf finds no interpolation in it.

    >>> print(for_hydra(0.5), for_hydra("1e5"), for_hydra((1, "a,b")), for_hydra("${u}"))
    0.5 "1e5" [1,"a,b"] "\${u}"
    """
    if isinstance(value, tuple):
        return f"[{','.join(for_hydra(one) for one in value)}]"  # type: ignore[arg-type]
    return in_quotes(escaped(value)) if isinstance(value, str) else text(value)


def escaped(value: Any) -> Any:
    r"""Write a value, or every text in it, so that OmegaConf finds no interpolation in it.

    >>> print(escaped("/home/${u}/x"), escaped(4))
    /home/\${u}/x 4
    """
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    if isinstance(value, Mapping):
        return {key: escaped(part) for key, part in value.items()}
    return [escaped(part) for part in value] if isinstance(value, list | tuple) else value


def unescaped(text: str) -> str:
    r"""Return what OmegaConf reads in a text without interpolations.

    >>> print(unescaped(escaped("/home/${u}/x")))
    /home/${u}/x
    """
    return re.sub(r"(\\*)\\\$\{", lambda found: found[1][len(found[1]) // 2 :] + "${", text)


def is_unresolved(value: object) -> bool:
    r"""Whether a value of a configuration holds an interpolation.

    >>> is_unresolved("run_${seed}"), is_unresolved([1, "${latent_dim}"]), is_unresolved(4.0)
    (True, True, False)
    >>> is_unresolved(escaped("${seed}"))
    False
    """
    return any(INTERPOLATION.search(part) for part in texts_in(value))


def texts_in(value: object) -> Iterator[str]:
    """Yield every text in a value of a configuration, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (found for part in value.values() for found in texts_in(part))
    elif isinstance(value, list | tuple):
        yield from (found for part in value for found in texts_in(part))


def for_shell(words: Sequence[str]) -> str:
    """Return a command as it is pasted into a POSIX shell.

    >>> print(for_shell(["bvae", "-m", "beta=choice(1, 4)"]))
    bvae -m 'beta=choice(1, 4)'
    """
    return shlex.join(words)
