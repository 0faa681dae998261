"""Commands for the reader to paste: train one trial again, or add configurations to a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.study.manifest import Manifest
from sweeps.study.quoting import for_hydra, for_shell, unescaped
from sweeps.study.study import Study
from sweeps.study.trials import Trial, Value, canonical, grids_of

ONCE = (
    "hydra.sweeper.params",
    "hydra.sweeper.params.",
    "hydra.sweeper.dry_run",
    "hydra.sweeper.max_minutes",
    "hydra.sweeper.n_trials",
    "hydra.sweeper.on_end",
    "hydra.sweeper.sampler",
    "hydra.sweeper.sampler.",
    "hydra/sweeper/sampler",
    "extend",
    "accept_sources",
)
"""How the trials of a study were chosen, and what holds for one command only."""

HOW = ("hydra.", "hydra/", "experiment")
"""Keys that say with which launcher, how many workers, and the like."""

HELD_OUT = {"folder", "npz", "own"}
"""Data of which a share is held out today unless another is typed."""

PATH = "data.path"
PRUNER = "hydra.sweeper.pruner"
UNTIL = "hydra.sweeper.until"

GRID = ["hydra.sweeper.n_trials=null", "hydra.sweeper.sampler=null"]
"""Values that make a grid of what a study's experiment makes a search."""


def reproduce(study: Study, trial: Trial) -> str:
    """Return the command that trains one trial of a study again, as a study of its own beside it.

    The study's command loses `-m`, the sweep's settings and every swept key; the trial's values
    take their place.
    """
    manifest = study.manifest
    values = {key: [value] for key, value in trial.coordinates}
    values |= _then(manifest) | _place(study, f"{study.folder.name}-again")
    dropped = ("hydra.", "hydra/", "extend", "accept_sources", *values)
    return typed_anywhere(study, [*_without(manifest.arguments, dropped), *_overrides(values)])


def extend(study: Study, values: Mapping[str, Sequence[Value]]) -> str:
    """Return the study's command for other values of its swept keys."""
    return typed_anywhere(study, _multirun(study, values, dropped=ONCE))


def with_seeds(study: Study, seeds: Sequence[int]) -> str:
    """Return what trains every configuration of a study with these seeds.

    The study's last command may have named a part of its configurations: it takes a command for
    each of the grids that they make up together.
    """
    typed = {key for _, key in _with_keys(study.manifest.arguments)}
    rising = sorted(study.trials, key=lambda one: (one.values["beta"], one.values["latent_dim"]))
    grids = grids_of(trial.configuration for trial in rising)
    if len(grids) == 1:
        grids = [{key: values for key, values in grids[0].items() if key in typed}]
    return " && ".join(extend(study, {**grid, "seed": seeds}) for grid in grids)


def sweep(study: Study, values: Mapping[str, Sequence[Value]]) -> list[str]:
    """Return what to type after `bvae` for these other trials only, all trained to the end."""
    wanted = {**_then(study.manifest), **values}
    return _multirun(study, wanted, dropped=(*ONCE, PRUNER, UNTIL))


def resuming(manifest: Manifest) -> list[str]:
    """Return of what was typed after `bvae` what says how trials are run, not which."""
    return [
        word
        for word, key in _with_keys(manifest.arguments)
        if key not in ONCE and (word.startswith("-") or key.startswith(HOW))
    ]


def sweeps(name: str, *folders: Path) -> str:
    """Return a command of `sweeps` about these studies' folders, as it is typed in any folder.

    >>> sweeps("report", Path("/home/me/runs/my study"))
    "sweeps report '/home/me/runs/my study'"
    """
    return for_shell(["sweeps", name, *map(str, folders)])


def typed_anywhere(study: Study, arguments: Sequence[str]) -> str:
    """Return the command with these arguments; own parts are found only where it was typed."""
    command = for_shell(["bvae", *arguments])
    parts = study.manifest.parts_folder
    return command if parts is None else f"(cd {for_shell([parts])} && {command})"


def _place(study: Study, name: str) -> dict[str, list[Value]]:
    """Return the keys that say where a study is, and where its images are, whoever types it."""
    place: dict[str, list[Value]] = {"study": [name], "runs_dir": [str(study.folder.root.parent)]}
    composed = study.manifest.compositions.values()
    paths = {str((one.get("data") or {}).get("path") or "") for one in composed}
    if len(paths) == 1 and PATH not in study.manifest.axes and any(paths):
        place[PATH] = [unescaped(path) for path in paths]
    return place


def _then(manifest: Manifest) -> dict[str, list[Value]]:
    """What another study must be told to be like one that was begun before these keys existed."""
    then = dict(manifest.defaults_then)
    if not HELD_OUT & {*manifest.data.split("+")}:
        then.pop("data.holdout", None)
    return {key: [canonical(value)] for key, value in then.items()}


def _multirun(
    study: Study, values: Mapping[str, Sequence[Value]], *, dropped: Sequence[str]
) -> list[str]:
    manifest = study.manifest
    place = _place(study, study.folder.name)
    written = _overrides({**values, **{key: place[key] for key in place if key not in values}})
    written += GRID if manifest.search else []
    keys = [line.partition("=")[0] for line in written]
    return ["-m", *_without(manifest.arguments, (*dropped, *keys)), *written]


def _without(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Drop `-m`, and overrides of these keys; one that ends in . or / stands for all below it."""
    below = tuple(key for key in keys if key.endswith((".", "/")))
    dropped = ("-m", "--multirun", *keys)
    return [
        word
        for word, key in _with_keys(arguments)
        if key not in dropped and not key.startswith(below)
    ]


def _with_keys(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Return what was typed, each word with the key it sets."""
    return [(word, word.lstrip("+~").partition("=")[0]) for word in arguments]


def _overrides(values: Mapping[str, Sequence[Value]]) -> list[str]:
    return [f"{key}={','.join(map(for_hydra, given))}" for key, given in values.items()]
