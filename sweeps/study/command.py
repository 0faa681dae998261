"""Commands for the reader to paste: train one trial again, or add cells to a study."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.study.manifest import Manifest
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

PRUNER = "hydra.sweeper.pruner"

GRID = {"hydra.sweeper.n_trials": ["null"], "hydra.sweeper.sampler": ["null"]}


def as_grid(manifest: Manifest) -> dict[str, list[str]]:
    """Return the values that make a grid of what the study's experiment makes a search."""
    return GRID if manifest.search else {}


def reproduce(trial: Trial, *, command: str, study: str) -> str:
    """Return the command that trains one trial of a study again, as a study of its own.

    The study's command loses `-m`, the sweep's settings and every swept key; the trial's values
    take their place. Quoted for a POSIX shell.

    >>> trial = Trial.of({"beta": 4, "latent_dim": 10, "seed": 0})
    >>> reproduce(trial, command="bvae -m experiment=quick beta=1,4", study="quick")
    'bvae experiment=quick beta=4 latent_dim=10 seed=0 study=quick-again'
    """
    values = {key: [text(value)] for key, value in trial.coordinates}
    values |= {"study": [f"{study}-again"]}
    kept = _without(
        without_multirun(_words(command)), ("hydra.", "hydra/", "extend", "accept_sources", *values)
    )
    return shlex.join([*kept, *_overrides(values)])


def extend(command: str, *, values: Mapping[str, Sequence[str]]) -> str:
    """Return the study's command for other values of its swept keys.

    >>> extend("bvae -m experiment=quick", values={"beta": ["128"], "seed": ["0", "1"]})
    'bvae -m experiment=quick beta=128 seed=0,1'
    """
    return _multirun(_without(_words(command), (*ONCE, *values)), values)


def sweep(command: str, *, values: Mapping[str, Sequence[str]]) -> str:
    """Return the study's command for other trials, all trained to the end, under another name.

    >>> sweep("bvae -m experiment=quick", values={"beta": ["8", "16"], "study": ["again"]})
    'bvae -m experiment=quick beta=8,16 study=again'
    """
    return _multirun(_without(_words(command), (*ONCE, PRUNER, *values)), values)


def _multirun(words: Sequence[str], values: Mapping[str, Sequence[str]]) -> str:
    kept = without_multirun(words)
    at = kept.index("bvae") + 1 if "bvae" in kept else 1
    return shlex.join([*kept[:at], "-m", *kept[at:], *_overrides(values)])


def quoted(study: Path) -> str:
    """Return a study's folder as it is typed where studies are kept, quoted for a POSIX shell.

    >>> quoted(Path("/home/me/runs/my study"))
    "'runs/my study'"
    """
    return shlex.quote(f"{study.parent.name}/{study.name}")


def words(command: str) -> list[str]:
    """Return what is typed after the program.

    >>> words("python -m bvae -m beta=1,4"), words("bvae -m beta=1,4")
    (['-m', 'beta=1,4'], ['-m', 'beta=1,4'])
    """
    typed = _words(command)
    return typed[typed.index("bvae") + 1 :] if "bvae" in typed else typed[1:]


def without_multirun(words: Sequence[str]) -> list[str]:
    """Drop `-m` or `--multirun`, but not the `-m` of `python -m bvae`."""
    return [
        word
        for word, after in zip(words, [*words[1:], ""], strict=True)
        if word != "--multirun" and (word != "-m" or after == "bvae")
    ]


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote without its partner: a person wrote it down
        return command.split()


def _without(words: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Drop overrides of these keys; one with a dot or slash at its end stands for all below it."""
    below = tuple(key for key in keys if key.endswith((".", "/")))
    typed = [(word, word.lstrip("+~").partition("=")[0]) for word in words]
    return [word for word, key in typed if key not in keys and not key.startswith(below)]


def _overrides(values: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{key}={','.join(map(as_typed, given))}" for key, given in values.items()]
