"""Prints docs/configuration.md: `python docs/keys.py > docs/configuration.md`.

Which keys there are, and what they may be, is in the dataclasses of `bvae/config.py` and
`sweeps/plan/settings.py`; what a key of a trial is by default, and a sentence on it, in the files
of `conf/`. A key that no file has is not typed: the program writes it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple, get_type_hints

from bvae import config
from sweeps.plan.settings import HELP, SweepSettings
from sweeps.study.trials import text

NEEDED = "???"
FEW = 3  # defaults of different choices that are listed
WORDS = {
    int: "an integer",
    float: "a number",
    str: "a text",
    str | None: "a text, or null",
    bool: "true or false",
    list[int] | None: "a list of integers, or null",
}
LINE = re.compile(r"( *)(\w+):(?: ([^#]+?))?(?: # (.*))?")
INTRODUCTION = """# Configuration keys

Each is typed as `key=value`, or written into [a file](extending.md#as-a-file-of-your-own);
`bvae --help` lists them, too. This page is what `python docs/keys.py` prints.
"""


class Default(NamedTuple):
    """A key's value in a file, and what is said of it there."""

    value: str
    sentence: str


def main() -> None:
    """Print the page."""
    print("\n".join(page()))


def page() -> Iterator[str]:
    """Yield the lines of the page."""
    yield INTRODUCTION
    yield "## A trial\n"
    _, of_root = read(config.directory() / "config.yaml")
    known = {key: default for key, default in of_root.items() if not key.startswith("hydra")}
    yield from table(
        ["key", "default", "may be", "what it is"],
        ([code(key), code(at.value), may_be(key), at.sentence] for key, at in known.items()),
    )
    for group in [name for name in config.groups() if name != "experiment"]:
        yield from of_group(group)
    yield "\n## A sweep\n"
    yield "Below `hydra.sweeper`, as in `hydra.sweeper.n_workers=2`; `hydra/launcher` says where"
    yield "workers run ([scaling](scaling.md)).\n"
    yield from table(["key", "default", "what it is"], of_sweeps())


def of_group(group: str) -> Iterator[str]:
    """Yield the section of a group: its choices, and the keys below it."""
    files = {name: read(config.directory() / group / f"{name}.yaml") for name in choices(group)}
    yield f"\n## `{group}`\n"
    yield from table(["choice", "what it is"], ([code(name), files[name][0]] for name in files))
    rows = []
    for key in dict.fromkeys(key for _, found in files.values() for key in found):
        having = {name: found[key] for name, (_, found) in files.items() if key in found}
        values = sorted({at.value for at in having.values()})
        sentences = [
            at.sentence for at in having.values() if at.sentence
        ]  # of `own`, if it has one
        value = " or ".join(map(code, values)) if len(values) <= FEW else "by choice"
        of = "all" if len(having) == len(files) else ", ".join(map(code, having))
        name = f"{group}.{key}"
        if key not in ("name", config.TARGET):
            rows.append([code(name), of, value, may_be(name), "".join(sentences[-1:])])
    if rows:
        yield ""
        yield from table(["key", "of", "default", "may be", "what it is"], rows)


def choices(group: str) -> list[str]:
    """Return a group's choices, `own` last."""
    return sorted(config.groups()[group], key=lambda name: (name == "own", name))


def of_sweeps() -> Iterator[list[str]]:
    """Yield a row for each key of the sweeper."""
    defaults = SweepSettings()
    for entry in fields(SweepSettings):
        if HELP in entry.metadata:
            value = getattr(defaults, entry.name)
            yield [code(entry.name), code(text(value)), entry.metadata[HELP]]


def read(path: Path) -> tuple[str, Mapping[str, Default]]:
    """Return what a file says of itself, and its keys, dotted, with their defaults."""
    head: list[str] = []
    found: dict[str, Default] = {}
    parents: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        if line.lstrip().startswith("# "):
            comment = line.lstrip().removeprefix("# ")
            if not found:
                head.append(comment)
            else:  # the sentence of the key above goes on
                key, last = found.popitem()
                found[key] = last._replace(sentence=f"{last.sentence} {comment}")
        elif matched := LINE.fullmatch(line):
            indent, name, value, comment = matched.groups()
            parents = [*parents[: len(indent) // 2], name]
            if value is not None:
                found[".".join(parents)] = Default(value, comment or "")
    return " ".join(head), found


def may_be(key: str) -> str:
    """Say what a key's value may be; nothing of the arguments of a part."""
    if key in config.RULES:
        return config.RULES[key].expected
    hint = config.TYPES_OF_FREE.get(key, config.Config)
    for name in key.split(".") if hint is config.Config else ():
        hint = get_type_hints(hint).get(name) if hasattr(hint, "__annotations__") else None
    return WORDS.get(hint, "")


def code(value: str) -> str:
    """Return a value as code; one that has to be given says so."""
    return "to be given" if value == NEEDED else f"`{value}`"


def table(heads: list[str], rows: Iterator[list[str]] | list[list[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| " + " | ".join(heads) + " |"
    yield "| " + " | ".join("---" for _ in heads) + " |"
    for row in rows:
        yield "| " + " | ".join(map(escaped, row)) + " |"


def escaped(cell: str) -> str:
    """Return a cell as Markdown that shows it as it is, code left alone."""
    parts = re.split("(`[^`]*`)", cell.replace("|", r"\|"))
    return "".join(part if part[:1] == "`" else re.sub(r"([_*])", r"\\\1", part) for part in parts)


if __name__ == "__main__":
    main()
