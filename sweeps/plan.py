"""From a typed command to a study: everything that happens before anything expensive starts."""

import hashlib
import itertools
import json
import os
import shlex
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bvae import config, preflight
from bvae.config import COORDINATES, Config
from bvae.exceptions import ConfigError
from bvae.files import shortened, with_tilde, write_atomically
from bvae.trial import now
from bvae.versions import code_version, sources, versions
from sweeps.overrides import Overrides, split
from sweeps.points import Point, grid, in_order
from sweeps.study import STEPS, Manifest, Study, StudyFolder, combination, load_study

Compose = Callable[[Sequence[str]], DictConfig]
"""Composes the configuration of a list of overrides, Hydra's own part included."""


@dataclass(frozen=True)
class Plan:
    """A study about to be run, and what there is to say about it."""

    folder: StudyFolder
    manifest: Manifest
    configs: tuple[Config, ...]
    asked: tuple[Point, ...]
    notes: tuple[str, ...]

    def write(self) -> Study:
        """Put the study on disk; call while no other command can.

        Raises:
            ConfigError: if its folder cannot be written, or the study was begun otherwise since.
        """
        known, manifest = None, self.manifest
        if self.folder.manifest.exists():
            known = Manifest.read(self.folder.manifest)
            manifest = extended(known, manifest, longer=self.configs[0].extend)
        try:
            if manifest != known:  # who reads it again when it is new need not
                write_manifest(self.folder, manifest)
        except OSError as error:
            raise ConfigError(
                f"{self.folder.root}: cannot be written ({error.strerror}); give another runs_dir=…"
            ) from error
        return load_study(self.folder.root)


@dataclass(frozen=True)
class Terms:
    """How often a point may fail or its worker die, what runs trials, prunes and keeps them."""

    max_attempts: int = 3
    max_deaths: int = 10
    trial: str = "bvae.train.run_trial"
    pruner: str | None = None
    storage: str | None = None


@dataclass(frozen=True)
class Composition:
    """The configuration of one choice of swept config groups, without Hydra's part."""

    values: dict[str, Any]
    choices: dict[str, str]

    def name(self, groups: Sequence[str]) -> str:
        """Name the choice among these groups; the manifest finds it under this name."""
        return combination({group: self.choices[group] for group in groups})


def plan(
    arguments: Sequence[str],
    *,
    params: Mapping[str, str],
    compose: Compose,
    terms: Terms | None = None,
) -> Plan:
    """Plan the study a command asks for, and check all of it; nothing is written.

    Raises:
        ConfigError: naming all mistakes, or what differs from the study of the same name.
    """
    terms = terms or Terms()
    typed = split(arguments, params=params)
    typed = replace(typed, axes=shortened(typed.axes))
    compositions = list(_compositions(typed, compose))
    compositions = [
        _settled(found, parsed, typed)
        for found, parsed in zip(compositions, _checked(compositions), strict=True)
    ]
    first = compositions[0]
    configs = _checked(compositions)
    folder = StudyFolder(_root(configs[0], typed, first))
    known = Manifest.read(folder.manifest) if folder.manifest.exists() else None
    values = _values(typed, first, known.axes if known else [])
    points, repeated = grid(values)
    axes = [key for key in values if key not in COORDINATES]
    groups = [axis for axis in axes if axis in config.groups()]
    facts = preflight.facts(configs[0])
    if terms.pruner and facts.lattice is None:
        raise ConfigError(
            "hydra.sweeper.pruner: judges by MIG, which needs factors, and "
            f"{configs[0].data.name} has none; leave it out"
        )
    manifest = Manifest(
        study_id=uuid.uuid4().hex,
        name=folder.name,
        axes=axes,
        points=[point.values for point in points],
        base=config.identity(first.values, axes=axes),
        groups=groups,
        configurations={found.name(groups): found.values for found in compositions},
        objective=facts.objective,
        protocol=configs[0].protocol,
        lattice=facts.lattice,
        data=_joined("data", values, configs[0].data.name),
        model=_joined("model", values, configs[0].model.name),
        image_size=facts.image_size,
        threads=configs[0].threads,
        command=_command(),
        created_at=now(),
        code_version=code_version(),
        sources=sources(),
        versions=versions(),
        trial=terms.trial,
        max_attempts=terms.max_attempts,
        max_deaths=terms.max_deaths,
        pruner=terms.pruner,
        storage=terms.storage,
    )
    _check_cells(manifest, points)
    notes = [f"repeated values dropped from {line}" for line in repeated]
    if known is not None:
        fresh, manifest = manifest, extended(known, manifest, longer=configs[0].extend)
        _check_sources(known, fresh, Study(folder, manifest))
        if known.base.get(STEPS) != manifest.base.get(STEPS):
            notes.append(
                f"models of {known.base[STEPS]} steps are trained on to {manifest.base[STEPS]}"
            )
    _check_writable(folder.root)
    return Plan(folder, manifest, configs, tuple(points), tuple(notes))


def _compositions(typed: Overrides, compose: Compose) -> Iterator[Composition]:
    """Compose once for each choice of the swept groups: a composition costs about 0.1 s."""
    groups = {key: typed.axes[key] for key in typed.axes if key in config.groups()}
    for names in itertools.product(*groups.values()):
        choice = [f"{key}={name}" for key, name in zip(groups, names, strict=True)]
        composed = compose([*typed.fixed, *choice])
        choices = composed.hydra.runtime.choices
        task = OmegaConf.create({key: composed[key] for key in composed if key != "hydra"})
        plain: dict[str, Any] = OmegaConf.to_container(task, resolve=True)  # type: ignore[assignment]
        for path in typed.axes.get("data.path", [])[:1]:  # which has no value to fall back on
            plain["data"]["path"] = path
        yield Composition(plain, {key: choices[key] for key in config.groups()})


def _settled(found: Composition, parsed: Config, typed: Overrides) -> Composition:
    """Return the composition with what is left to the data: the objective, and which images.

    The path is made absolute: workers may start in other folders.
    """
    facts = preflight.facts(parsed)
    data = dict(found.values["data"])
    if "data.path" not in typed.axes and data.get("path"):
        data["path"] = str(Path(data["path"]).expanduser().absolute())
        data |= {"content": facts.content} if facts.content else {}
    values = found.values | {"objective": facts.objective, "data": data}
    return replace(found, values=shortened(values))


def _checked(compositions: Iterable[Composition]) -> tuple[Config, ...]:
    configs = tuple(config.parse(found.values) for found in compositions)
    mistakes = [mistake for parsed in configs for mistake in preflight.mistakes(parsed)]
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))
    return configs


def _check_cells(manifest: Manifest, points: Sequence[Point]) -> None:
    """Check what further swept values amount to together; one by one they were checked as typed."""
    cells = {tuple(point.values[axis] for axis in manifest.axes): point for point in points}
    parsed = [config.parse(manifest.configuration(point)) for point in cells.values()]
    mistakes = [mistake for one in parsed for mistake in preflight.mistakes(one)]
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def _check_sources(known: Manifest, new: Manifest, study: Study) -> None:
    """Refuse to go on with other sources of `bvae/`; a study with nothing left may be looked at."""
    if known.code_version == new.code_version:
        return
    if study.counts["running"] + study.counts["pending"] == 0:
        return
    paths = sorted({*known.sources, *new.sources})
    changed = [path for path in paths if known.sources.get(path) != new.sources.get(path)]
    raise ConfigError(
        f"the study {known.name} was made with other sources of bvae/, so its numbers could not "
        "be compared with new ones:\n"
        + "\n".join(f"  {path}: {_change(path, known, new)}" for path in changed)
        + "\ngive the new study a name of its own (study=…), or put the old sources back"
    )


def _change(path: str, known: Manifest, new: Manifest) -> str:
    if path not in known.sources:
        return "new"
    return "changed" if path in new.sources else "gone"


def _values(
    typed: Overrides, first: Composition, known_axes: Sequence[str]
) -> dict[str, list[object]]:
    """Return the values of every axis: typed ones, else the one value that was composed."""
    composed = config.flatten(first.values) | first.choices
    further = [key for key in typed.axes if key not in COORDINATES]
    keys = [*COORDINATES, *sorted({*further, *known_axes})]
    return {key: typed.axes.get(key, [composed[key]]) for key in keys}


def _root(parsed: Config, typed: Overrides, first: Composition) -> Path:
    further = [key for key in typed.axes if key not in COORDINATES]
    base = config.identity(first.values, axes=further)
    digest = hashlib.sha256(json.dumps([base, sorted(further)]).encode()).hexdigest()[:8]
    data = _joined("data", typed.axes, parsed.data.name)
    model = _joined("model", typed.axes, parsed.model.name)
    name = parsed.study or f"{data}-{model}-{digest}"
    if name in (".", "..") or "/" in name or "\0" in name:
        raise ConfigError(f"study: expected the name of a folder, but got {name!r}")
    return Path(parsed.runs_dir).expanduser().resolve() / name


def _joined(group: str, values: Mapping[str, Sequence[object]], otherwise: str) -> str:
    return "+".join(str(name) for name in values.get(group, [otherwise]))


def extended(known: Manifest, new: Manifest, *, longer: bool = False) -> Manifest:
    """Return the study on disk with the points of both; a smaller grid never shrinks it.

    It stays a study of the sources of `bvae/` it was begun with, whoever looks at it later.

    Args:
        known: on disk.
        new: as typed now.
        longer: whether more steps are taken by training on, not as another study.

    Raises:
        ConfigError: if the two do not share their base configuration.
    """
    if longer and _trains_longer(known, new):
        known = replace(
            known,
            base=known.base | {STEPS: new.base[STEPS]},
            configurations={
                choice: _with_steps(values, new.base[STEPS])
                for choice, values in known.configurations.items()
            },
        )
    different = list(differences(known, new))
    if different:
        raise ConfigError(
            f"the study {known.name} was made with another configuration:\n"
            + "\n".join(f"  {line}" for line in different)
            + "\ngive the new one a name of its own (study=…), or type the old values"
            + (", or train its models on (extend=true)" if _trains_longer(known, new) else "")
        )
    points = dict.fromkeys(Point.of(values) for values in [*known.points, *new.points])
    return replace(
        new,
        study_id=known.study_id,
        created_at=known.created_at,
        code_version=known.code_version,
        sources=known.sources,
        points=[point.values for point in in_order(points)],
        configurations=known.configurations | new.configurations,
    )


def _trains_longer(known: Manifest, new: Manifest) -> bool:
    return STEPS in known.base and new.base.get(STEPS, 0) > known.base[STEPS]


def _with_steps(values: Mapping[str, Any], steps: int) -> dict[str, Any]:
    return {**values, "trainer": values["trainer"] | {"max_steps": steps}}


def differences(known: Manifest, new: Manifest) -> Iterator[str]:
    """Say how two manifests of one name differ, a line for each key."""
    if known.storage != new.storage:
        yield f"hydra.sweeper.storage: {known.storage} in the study, {new.storage} now"
    for axis in sorted({*known.axes} ^ {*new.axes}):
        old, now_ = ("swept" if axis in m.axes else m.base.get(axis) for m in (known, new))
        yield f"{axis}: {old} in the study, {now_} now"
    for key in sorted({*known.base, *new.base}):
        old, now_ = known.base.get(key), new.base.get(key)
        swept = any(key == axis or key.startswith(axis + ".") for axis in {*known.axes, *new.axes})
        if old != now_ and not swept:
            yield f"{key}: {old} in the study, {now_} now"


def write_manifest(folder: StudyFolder, manifest: Manifest) -> None:
    """Write what the points share for people to read, then the manifest, which is what counts."""
    write_atomically(folder.base, OmegaConf.to_yaml(nested(manifest.base)))
    manifest.write(folder.manifest)


def nested(flat: Mapping[str, Any]) -> DictConfig:
    """Return dotted keys as the tree they were composed as."""
    tree = OmegaConf.create()
    for key, value in flat.items():
        OmegaConf.update(tree, key, value, force_add=True)
    return tree


def _check_writable(root: Path) -> None:
    existing = next(path for path in [root, *root.parents] if path.exists())
    if not existing.is_dir():
        raise ConfigError(f"runs_dir: {existing} is a file; give a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"runs_dir: {existing} cannot be written; give another runs_dir=…")


def _command() -> str:
    program = Path(sys.argv[0]).name
    shown = "python -m bvae" if program == "__main__.py" else program
    return shlex.join([*shown.split(), *map(_as_typed, sys.argv[1:])])


def _as_typed(argument: str) -> str:
    """Write the home as `~`, in quotes: Hydra takes it for no value without them."""
    key, equals, value = argument.partition("=")
    short = with_tilde(value)
    plain = equals and short != value and not set(short) & set("\"',[]{}()")
    return f'{key}="{short}"' if plain else with_tilde(argument)
