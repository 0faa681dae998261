"""Where the study of a command is, or is to be: its folder, and the name it finds it by."""

import glob
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import MISSING

from bvae import config
from bvae.config import Config
from bvae.exceptions import ConfigError
from bvae.files import expanded
from sweeps.plan.compose import Composition, without
from sweeps.plan.overrides import Overrides
from sweeps.study.folder import StudyFolder
from sweeps.study.manifest import VALUES_THEN, Manifest
from sweeps.study.trials import NAME_MAX

OWN = ("folder", "npz")
"""Kinds of data that say nothing of what the images show."""

LONGEST_NAME, LONGEST_PATH = 200, 3500
"""Bytes of a study's name, which others are made of, and of its folder's path."""

LONGEST = 40
"""Characters of the data's name in that of a study."""


def find(
    parsed: Config, typed: Overrides, first: Composition
) -> tuple[StudyFolder, Manifest | None]:
    """Return the study's folder, and the study if it is there.

    It may have been named before a key existed that has another default today.

    Raises:
        ConfigError: there can be no such folder.
    """
    then = without(first, [key for key in VALUES_THEN if not typed.has(key)])
    for named in (then, first):
        folder = _folder(parsed, typed, named)
        known = Manifest.read(folder.manifest) if folder.manifest.exists() else None
        if known is not None and (named is first or known.values_then):
            return folder, known
    return folder, None


def check_writable(root: Path) -> None:
    """Check that a study's folder can be made, or written.

    Raises:
        ConfigError: it cannot.
    """
    existing = next(path for path in [root, *root.parents] if path.exists())
    if not existing.is_dir():
        raise ConfigError(f"runs_dir: {existing} is a file; give a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"runs_dir: {existing} cannot be written; give another runs_dir=…")


def joined(group: str, values: Mapping[str, Sequence[object]], otherwise: str) -> str:
    """Return the names that are swept of a config group, or the one there is."""
    return "+".join(str(name) for name in values.get(group, [otherwise]))


def _folder(parsed: Config, typed: Overrides, first: Composition) -> StudyFolder:
    """Return where the study is, or is to be.

    Without a name of its own it is found by the digest that its name ends in: the images may have
    been moved since, and studies of `data=folder` were once called `folder-…`, whatever it was.
    """
    if parsed.runs_dir.startswith("~") and expanded(parsed.runs_dir) == Path(parsed.runs_dir):
        raise ConfigError(
            f"runs_dir: no folder can be {parsed.runs_dir}: there is no such account; "
            f"write ./{parsed.runs_dir} for a folder of that name"
        )
    try:
        runs = _checked_length(expanded(parsed.runs_dir).resolve())
    except (OSError, RuntimeError) as error:  # `~nobody`, a link to itself
        raise ConfigError(f"runs_dir: no folder can be {parsed.runs_dir}: {error}") from error
    if parsed.study:
        if parsed.study in (".", "..") or "/" in parsed.study or "\0" in parsed.study:
            raise ConfigError(f"study: expected the name of a folder, but got {parsed.study!r}")
        return _named(runs / parsed.study)
    base = config.identity(first.values, axes=typed.further)
    # a key is no part of the name where its value is that of the time before it existed
    then = {**VALUES_THEN, "data.bins": None}
    base = {key: value for key, value in base.items() if then.get(key, MISSING) != value}
    named = [base, sorted(typed.further), *_below(typed)]
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:8]
    model = joined("model", typed.axes, parsed.model.name)
    found = sorted(runs.glob(f"*-{glob.escape(model)}-{digest}/{StudyFolder(runs).manifest.name}"))
    new = runs / f"{_name_of_data(parsed, typed)}-{model}-{digest}"
    return _named(found[0].parent if found else new)


def _name_of_data(parsed: Config, typed: Overrides) -> str:
    """Return what people call the data: their own images by the folder's or the file's name."""
    kind = joined("data", typed.axes, parsed.data.name)
    if kind not in OWN or parsed.data.path is None or "data.path" in typed.axes:
        return kind
    path = expanded(parsed.data.path).resolve()
    name = path.stem if kind == "npz" else path.name
    return re.sub(r"[^\w.]+", "-", name).strip("-.")[:LONGEST] or kind


def _below(typed: Overrides) -> list[str]:
    """Return what is typed below swept groups: it changes numbers, but is not in the base."""
    swept = tuple(f"{key}." for key in typed.axes if key in typed.groups)
    return sorted(line for line in typed.fixed if line.lstrip("+").startswith(swept))


def _checked_length(path: Path) -> Path:
    """Return a path if a file system can have it, with a study's files below it.

    Raises:
        ConfigError: it is too long.
    """
    longest = max(len(os.fsencode(part)) for part in path.parts)
    if longest > NAME_MAX or len(os.fsencode(path)) > LONGEST_PATH:
        raise ConfigError(f"runs_dir, study: too long for a file system: {path}")
    return path


def _named(root: Path) -> StudyFolder:
    """Return the folder of a study, if files that are named after it can be.

    Raises:
        ConfigError: they cannot: a new study would be trained to its end and have no report.
    """
    if len(os.fsencode(_checked_length(root).name)) > LONGEST_NAME and not root.exists():
        raise ConfigError(f"study: expected a name of at most {LONGEST_NAME} bytes")
    return StudyFolder(root)
