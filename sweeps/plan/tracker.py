"""Where runs are tracked: as typed, else as W&B's environment variables say, else by default."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bvae.exceptions import ConfigError
from bvae.trial import TrackerSettings
from sweeps.plan.compose import Composition
from sweeps.study.manifest import Manifest

VARIABLES = {"mode": "WANDB_MODE", "entity": "WANDB_ENTITY", "project": "WANDB_PROJECT"}
DEFAULTS = {"mode": "offline", "project": "bvae-sweeps"}
MODES = {
    "offline": "offline",
    "dryrun": "offline",
    "online": "online",
    "run": "online",
    "disabled": "disabled",
}
"""What WANDB_MODE may be, old words too."""


def commit_of(folder: Path) -> dict[str, str | None]:
    """Return the commit that a folder is at, and where it comes from, as tracker settings."""
    return {"git_commit": _git(folder, "rev-parse", "HEAD"), "git_remote": _remote(folder)}


def filled_in(found: Composition, commit: Mapping[str, str | None]) -> Composition:
    """Return a composition whose tracker settings are complete.

    A tracker that is disabled is none.

    Raises:
        ConfigError: WANDB_MODE says what it cannot.
    """
    tracker = dict(found.values["tracker"])
    if tracker["name"] == "none":
        tracker["mode"] = DEFAULTS["mode"]
    for key, variable in VARIABLES.items():
        if tracker.get(key) is None:
            tracker[key] = _said(variable) or DEFAULTS.get(key)
    if tracker["mode"] == "disabled":
        tracker |= {"name": "none", "mode": DEFAULTS["mode"]}
    return replace(found, values=found.values | {"tracker": tracker | dict(commit)})


def placed(known: Manifest, new: Manifest, *, typed: Mapping[str, bool]) -> Manifest:
    """Return a new manifest whose runs go where those of the study do, unless that was typed."""
    then = {key: getattr(known.tracker, key) for key in ("entity", "project") if not typed[key]}
    kept = {key: value for key, value in then.items() if value is not None}
    compositions: dict[str, dict[str, Any]] = {
        choice: values | {"tracker": values["tracker"] | kept}
        for choice, values in new.compositions.items()
    }
    return replace(new, compositions=compositions)


def notes(settings: TrackerSettings) -> Iterator[str]:
    """Yield what the environment says that does not count, or that switches tracking off."""
    if settings.name == "none":
        if os.environ.get(VARIABLES["mode"]) == "disabled":
            yield "WANDB_MODE=disabled: nothing is tracked"
        return
    for key, variable in VARIABLES.items():
        said, value = _said(variable), getattr(settings, key)
        if said not in (None, value):
            yield f"tracker.{key}={value}, whatever {variable}={said} says"


def _said(variable: str) -> str | None:
    said = os.environ.get(variable) or None
    if variable != VARIABLES["mode"] or said is None:
        return said
    if said not in MODES:
        raise ConfigError(f"{variable}: expected one of {', '.join(MODES)}, but got {said!r}")
    return MODES[said]


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says of a folder; None if it says nothing, or W&B is not to know."""
    if os.environ.get("WANDB_DISABLE_GIT", "").lower() in ("1", "true"):
        return None
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _remote(folder: Path) -> str | None:
    """Return where the folder's commits come from, without user and password."""
    url = _git(folder, "config", "--get", "remote.origin.url")
    if url is None or "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
