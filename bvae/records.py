"""Whether what a file holds is of the types that its record says; nobody knows who wrote it."""

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

IN_WORDS: dict[Any, str] = {
    str: "a text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    Sequence: "a list",
    dict: "an object",
    Mapping: "an object",
    NoneType: "null",
    Any: "a value",
}

LONGEST = 40
"""Characters of a wrong value that are shown."""


def mistake(kind: type, content: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first field that is of another type, None if all are right.

    Numbers in a mapping may be null: a score that could not be computed.
    """
    hints = _hints(kind)
    for entry in fields(kind):
        if entry.name in content and not fits(content[entry.name], hints[entry.name]):
            return f"{entry.name}: {expected(in_words(hints[entry.name]), content[entry.name])}"
    return None


def expected(words: str, value: object) -> str:
    """Say what was expected, and what came.

    >>> expected("a list", None)
    'expected a list, but got null'
    """
    got = json.dumps(value, default=str, ensure_ascii=False)
    return f"expected {words}, but got {got if len(got) <= LONGEST else got[:LONGEST] + '…'}"


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def fits(value: object, hint: Any) -> bool:
    """Whether a value read from JSON is of a type, and so is all in it.

    >>> fits([1, 2], list[int]), fits({"mig": "0.3"}, dict[str, float]), fits(1, bool)
    (True, False, False)
    """
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if kind is Literal:
        return value in parts
    if kind in (list, Sequence):
        is_list = isinstance(value, list | tuple)
        return is_list and all(fits(one, parts[0]) for one in value)  # type: ignore[attr-defined]
    if kind in (dict, Mapping):
        if not isinstance(value, Mapping):
            return False
        rest = parts[1] | None if parts[1] is float else parts[1]
        return all(isinstance(key, str) and fits(one, rest) for key, one in value.items())
    if kind in (int, float):
        if kind is float and isinstance(value, float):
            return True
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return kind is int or abs(value) <= sys.float_info.max
    return kind is Any or isinstance(value, kind)


def in_words(hint: Any) -> str:
    """Say which type is expected.

    >>> in_words(list[str]), in_words(float | None)
    ('a list of texts', 'a number or null')
    """
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(map(in_words, parts))
    if kind is Literal:
        return "one of " + ", ".join(map(str, parts))
    words = IN_WORDS.get(kind, "an object")
    inner = IN_WORDS.get(get_origin(parts[-1]) or parts[-1]) if parts else None
    return f"{words} of {inner.split()[-1]}s" if inner and parts[-1] is not Any else words
