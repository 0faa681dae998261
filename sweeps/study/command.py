"""Commands for the reader to paste: train one trial again, or add configurations to a study."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.study.manifest import Manifest, command_line
from sweeps.study.trials import Trial, as_typed, text

ONCE = (
    "hydra.sweeper.params",
    "hydra.sweeper.params.",
    "hydra.sweeper.dry_run",
    "hydra.sweeper.max_minutes",
    "hydra.sweeper.n_trials",
    "hydra.sweeper.sampler",
    "hydra.sweeper.sampler.",
    "hydra/sweeper/sampler",
    "extend",
    "accept_sources",
)
"""How the trials of a study were chosen, and what holds for one command only."""

HOW = ("hydra.", "hydra/", "experiment")
"""Keys that say with which launcher, how many workers, and the like."""

PRUNER = "hydra.sweeper.pruner"
UNTIL = "hydra.sweeper.until"

GRID = {"hydra.sweeper.n_trials": ["null"], "hydra.sweeper.sampler": ["null"]}
"""Values that make a grid of what a study's experiment makes a search."""


def reproduce(manifest: Manifest, trial: Trial) -> str:
    """Return the command that trains one trial of a study again, as a study of its own.

    The study's command loses `-m`, the sweep's settings and every swept key; the trial's values
    take their place. Quoted for a POSIX shell.
    """
    values = {key: [text(value)] for key, value in trial.coordinates}
    values |= {"study": [f"{manifest.name}-again"]} | _then(manifest)
    dropped = ("hydra.", "hydra/", "extend", "accept_sources", *values)
    return command_line([*_without(manifest.arguments, dropped), *_overrides(values)])


def extend(manifest: Manifest, values: Mapping[str, Sequence[str]]) -> str:
    """Return the study's command for other values of its swept keys."""
    return command_line(_multirun(manifest, values, dropped=ONCE))


def sweep(manifest: Manifest, values: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what to type after `bvae` for these other trials only, all trained to the end."""
    return _multirun(manifest, {**_then(manifest), **values}, dropped=(*ONCE, PRUNER, UNTIL))


def resuming(manifest: Manifest) -> list[str]:
    """Return of what was typed after `bvae` what says how trials are run, not which."""
    typed = [(word, word.lstrip("+~").partition("=")[0]) for word in manifest.arguments]
    return [
        word
        for word, key in typed
        if key not in ONCE and (word.startswith("-") or key.startswith(HOW))
    ]


def quoted(study: Path) -> str:
    """Return a study's folder as it is typed where studies are kept, quoted for a POSIX shell.

    >>> quoted(Path("/home/me/runs/my study"))
    "'runs/my study'"
    """
    return shlex.quote(f"{study.parent.name}/{study.name}")


def sweeps(name: str, *folders: Path) -> str:
    """Return a command of `sweeps` about these studies' folders, as it is typed in any folder.

    >>> sweeps("report", Path("/home/me/runs/my study"))
    "sweeps report '/home/me/runs/my study'"
    """
    return shlex.join(["sweeps", name, *map(str, folders)])


def _then(manifest: Manifest) -> dict[str, list[str]]:
    """What another study must be told to be like one that was begun before these keys existed."""
    return {key: [text(value)] for key, value in manifest.defaults_then.items()}


def _multirun(
    manifest: Manifest, values: Mapping[str, Sequence[str]], *, dropped: Sequence[str]
) -> list[str]:
    values = {**values, **(GRID if manifest.search else {})}
    return ["-m", *_without(manifest.arguments, (*dropped, *values)), *_overrides(values)]


def _without(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Drop `-m`, and overrides of these keys; one that ends in . or / stands for all below it."""
    below = tuple(key for key in keys if key.endswith((".", "/")))
    typed = [(word, word.lstrip("+~").partition("=")[0]) for word in arguments]
    dropped = ("-m", "--multirun", *keys)
    return [word for word, key in typed if key not in dropped and not key.startswith(below)]


def _overrides(values: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{key}={','.join(map(as_typed, given))}" for key, given in values.items()]
