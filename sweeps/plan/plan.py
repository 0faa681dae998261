"""From a typed command to a study: everything that happens before anything expensive starts."""

import contextlib
import glob
import hashlib
import itertools
import json
import math
import os
import re
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from bvae import checks, config, needs
from bvae.config import Config
from bvae.data import own
from bvae.exceptions import ConfigError
from bvae.files import expanded, write_atomically
from bvae.machine import Machine
from bvae.metrics.scores import UDR_NAMES
from bvae.part_sources import all_sources, forget_changed, has_parts, import_from, targets
from bvae.trial import COORDINATES, now
from bvae.versions import code_version, versions
from sweeps.labels import counted
from sweeps.plan import tracker
from sweeps.plan.compose import (
    Compose,
    Composition,
    absolute,
    as_begun,
    compositions_of,
    settled,
    sweeps_images,
    with_content,
    without,
    without_content,
)
from sweeps.plan.extend import check_sources, extended
from sweeps.plan.overrides import MOST, Groups, Overrides, depends, split, without_plus
from sweeps.plan.settings import SweepSettings
from sweeps.search.search import N_TRIALS, Search
from sweeps.search.space import PLACES, Choices
from sweeps.study.folder import StudyFolder
from sweeps.study.locks import locked
from sweeps.study.manifest import RUN_TRIAL, STEPS, VALUES_THEN, Manifest
from sweeps.study.quoting import is_unresolved
from sweeps.study.results import is_short
from sweeps.study.study import Study, open_study
from sweeps.study.trials import NAME_MAX, Trial, grid

OWN = ("folder", "npz")
"""Kinds of data that say nothing of what the images show."""

LONGEST_NAME, LONGEST_PATH = 200, 3500
"""Bytes of a study's name, which others are made of, and of its folder's path."""

_TAKEN_THEN = (
    "hidden folders, studies and links are taken as when {} was begun, before they were left out"
)

LONGEST = 40
"""Characters of the data's name in that of a study."""


@dataclass(frozen=True)
class Plan:
    """A study about to be run, and what there is to say about it.

    Attributes:
        configs: one for each choice of values beside β, latent size and seed.
        largest: the same with the most latents of any trial.
        asked: the trials of this command; the manifest may have more.
        sweeps: whether the command says how the study is swept; one of a single trial does not.
    """

    folder: StudyFolder
    manifest: Manifest
    configs: tuple[Config, ...]
    asked: tuple[Trial, ...]
    notes: tuple[str, ...]
    sweeps: bool = True
    largest: tuple[Config, ...] = ()

    def write(self) -> Study:
        """Put the study on disk, or add to it what another command may run at the moment.

        Raises:
            ConfigError: if its folder cannot be written, or the study was begun otherwise since.
        """
        with _one_writer(self.folder):
            known, manifest = None, self.manifest
            if self.folder.manifest.exists():
                known = Manifest.read(self.folder.manifest)
                manifest = extended(
                    known, manifest, longer=self.configs[0].extend, sweeps=self.sweeps
                )
            try:
                if manifest != known:
                    write_manifest(self.folder, manifest)
            except OSError as error:
                raise ConfigError(
                    f"{self.folder.root}: cannot be written ({error.strerror}); "
                    "give another runs_dir=…"
                ) from error
            return open_study(self.folder.root)


@contextlib.contextmanager
def _one_writer(folder: StudyFolder) -> Iterator[None]:
    """Hold the study's lock: workers of a search, and other commands, add to its manifest.

    Of several that are begun at once one makes the study; the others wait, and add to it.
    """
    if not folder.manifest.exists():
        with locked(folder.guard):
            if not folder.manifest.exists():
                yield
                return
    from sweeps.queue.attempts import store_of  # Optuna, which a new study's plan need not load

    with store_of(open_study(folder.root)).exclusive():
        yield


def plan(
    arguments: Sequence[str],
    *,
    command: Sequence[str],
    params: Mapping[str, str],
    compose: Compose,
    groups: Groups | None = None,
    settings: SweepSettings | None = None,
    sweeps: bool = True,
    machine: Machine | None = None,
) -> Plan:
    """Plan the study a command asks for, and check all of it; nothing is written.

    Args:
        arguments: overrides of keys outside `hydra`.
        command: all that was typed after `bvae`, for the manifest.
        params: overrides that the arguments beat.
        compose: returns the configuration for some overrides.
        groups: the names of every config group; those of our own files unless given.
        settings: the keys below `hydra.sweeper`.
        sweeps: whether the command says how the study is swept; one of a single trial does not.
        machine: this one, if trials are to run on it.

    Raises:
        ConfigError: naming all mistakes, or what differs from the study of the same name.
    """
    settings = settings or SweepSettings()
    import_from(str(Path.cwd()))
    typed = split(arguments, params=params, groups=groups or config.groups())
    typed = replace(typed, axes=absolute(typed.axes))
    compositions = _compositions(typed, compose, settings, machine)
    first = compositions[0]
    parsed = config.parse(first.first(typed))
    folder, known = _known(parsed, typed, first)
    if known is not None:
        typed = replace(typed, axes=as_begun(typed.axes, known))
    older, told = ([], []) if known is None else _older(known, typed, first)
    if known is not None and (begun := [_as_begun(found, known, typed) for found in compositions]):
        told += [_TAKEN_THEN.format(known.name)] if begun != compositions else []
        compositions, first = begun, begun[0]
        parsed = config.parse(first.first(typed))
    if older:
        compositions = [without(found, older) for found in compositions]
        first = compositions[0]
        parsed = config.parse(first.first(typed))
    values = _values(typed, first, known.axes if known else [])
    if sweeps_images(values):  # else they are checked to be those of the study
        compositions = [without_content(found) for found in compositions]
    search = _search(typed, values, settings)
    if search is None and math.prod(map(len, values.values())) > MOST:
        raise ConfigError(
            f"{math.prod(map(len, values.values()))} trials: a grid may have {MOST}; "
            "give fewer values, or search, as in beta=interval(0.5,64) hydra.sweeper.n_trials=50"
        )
    trials, repeated = grid(values) if search is None else (search.start(), [])
    facts = checks.derived_settings(parsed)
    _check_together(settings, search, facts, parsed)
    manifest = new = _manifest(
        folder.name,
        parsed,
        facts,
        compositions,
        values,
        trials,
        command=command,
        settings=settings,
        search=search,
    )
    configs = _check_configurations(manifest, trials, search)
    latents = [int(str(trial.values["latent_dim"])) for trial in trials]
    if search is not None:
        latents += [int(str(M)) for M in search.space["latent_dim"].spread(PLACES)]
    largest = tuple(replace(one, latent_dim=max(latents)) for one in configs)
    if machine is not None:
        _refuse_here(largest, machine, is_new=known is None)
    notes = [*_left_out(compositions, typed), *told]
    notes += [f"repeated values dropped from {line}" for line in repeated]
    notes += facts.notes
    notes += _hints(manifest, search) if sweeps else []
    if known is not None:
        is_typed = {key: _is_typed(f"tracker.{key}", typed) for key in ("entity", "project")}
        new = manifest = tracker.placed(known, manifest, typed=is_typed)
        manifest, changes = _continued(
            known, manifest, parsed, folder, sweeps=sweeps, images=facts.images
        )
        notes += changes
        check_sources(manifest, new.sources, Study(folder, manifest))
    notes += tracker.notes(manifest.tracker)
    _check_writable(folder.root)
    return Plan(folder, manifest, configs, tuple(trials), tuple(notes), sweeps, largest)


def unfinished(study: Study) -> Plan:
    """Plan to finish a study as it is on disk, after checking that it still can be.

    Raises:
        ConfigError: its sources have changed, or it cannot be trained here.
    """
    manifest = study.manifest
    import_from(manifest.parts_folder)
    check_sources(manifest, all_sources(manifest.compositions, manifest.parts_folder), study)
    ended = ("complete", "failed", "pruned")
    left = [trial for trial in study.trials if study.states[trial.slug] not in ended]
    keys = manifest.axes
    choices = {tuple(one.values[key] for key in keys): one for one in left or study.trials[:1]}
    configs = tuple(config.parse(manifest.config_of(trial)) for trial in choices.values())
    if left:
        _refuse(configs)
    return Plan(study.folder, manifest, configs, study.trials, (), sweeps=False)


def _known(
    parsed: Config, typed: Overrides, first: Composition
) -> tuple[StudyFolder, Manifest | None]:
    """Return the study's folder, and the study if it is there.

    It may have been named before a key existed that has another default today, or before hidden
    folders were left out.
    """
    content = checks.content_then(parsed) if "content" in first.values["data"] else None
    for found in [first] if content is None else [first, with_content(first, content)]:
        then = without(found, [key for key in VALUES_THEN if not _is_typed(key, typed)])
        for named in (then, found):
            folder = _folder(parsed, typed, named)
            known = Manifest.read(folder.manifest) if folder.manifest.exists() else None
            if known is not None and (named is found or known.values_then):
                return folder, known
    return _folder(parsed, typed, first), None


def _as_begun(found: Composition, known: Manifest, typed: Overrides) -> Composition:
    """Return the composition with the images that a study begun before had of its folder."""
    content = found.values["data"].get("content")
    begun = {one["data"].get("content") for one in known.compositions.values()} - {None}
    if content is None or content in begun:
        return found
    then = checks.content_then(config.parse(found.first(typed)))
    return with_content(found, then) if then in begun and then else found


def _older(known: Manifest, typed: Overrides, first: Composition) -> tuple[list[str], list[str]]:
    """Return the keys that a study was begun and goes on without, and what to say of it."""
    composed, keys, notes = config.flatten(first.values), [], []
    for key, value in known.defaults_then.items():
        is_other = composed.get(key, value) != value
        if not (is_other and _is_typed(key, typed)):
            keys.append(key)
            notes += [f"{key}={value} as when {known.name} was begun"] if is_other else []
    return keys, notes


def _is_typed(key: str, typed: Overrides) -> bool:
    lines = [line.lstrip("+~").partition("=")[0] for line in typed.fixed]
    return key in lines or key in typed.further


def _compositions(
    typed: Overrides, compose: Compose, settings: SweepSettings, machine: Machine | None
) -> list[Composition]:
    """Compose each choice of config groups once, and check it with its first values."""
    commit = tracker.commit_of(Path.cwd())
    composed = [tracker.filled_in(found, commit) for found in compositions_of(typed, compose)]
    if forget_changed([found.values for found in composed], str(Path.cwd())):
        own.forget()
    configs = [config.parse(found.first(typed)) for found in composed]
    _refuse(configs, [*settings.trial_mistakes()], machine)
    return [settled(found, parsed, typed) for found, parsed in zip(composed, configs, strict=True)]


def _left_out(compositions: Sequence[Composition], typed: Overrides) -> Iterator[str]:
    """Yield what was typed below a swept group and is not for all of its choices."""
    for line in dict.fromkeys(line for found in compositions for line in found.left_out):
        group = line.lstrip("+~").partition(".")[0]
        names = [found.choices[group] for found in compositions if line in found.left_out]
        yield f"{without_plus(line)}: not for {group}={','.join(dict.fromkeys(names))}"


def _continued(
    known: Manifest,
    new: Manifest,
    parsed: Config,
    folder: StudyFolder,
    *,
    sweeps: bool,
    images: str,
) -> tuple[Manifest, list[str]]:
    """Return the manifest of a study that is there, with what is new, and what has changed."""
    notes = []
    manifest = extended(known, new, longer=parsed.extend, sweeps=sweeps, images=images)
    if parsed.accept_sources and not known.accepts(new.code_version):
        manifest = replace(manifest, accepted=[*manifest.accepted, new.code_version])
        notes.append(f"sources have changed since {known.name} was begun; accepted")
    if known.base.get(STEPS) != manifest.base.get(STEPS):
        notes.append(f"trials of {known.base[STEPS]} steps are continued to {manifest.base[STEPS]}")
        notes += _begun_anew(Study(folder, manifest))
    return manifest, notes


def _begun_anew(study: Study) -> Iterator[str]:
    """Say how many trials cannot be continued: a checkpoint is a zip file, unless it was cut."""
    short = [slug for slug, result in study.results.items() if is_short(result, study.manifest)]
    lost = [slug for slug in short if not zipfile.is_zipfile(study.folder.trial(slug).last)]
    if lost:
        yield (
            f"{counted(len(lost), 'trial')} of them, {lost[0]} say, are trained from the start: "
            "checkpoints/last.ckpt is not there, or damaged"
        )


def _hints(manifest: Manifest, search: Search | None) -> Iterator[str]:
    """Yield what a user may not know of what was typed."""
    if search is not None:
        sampler = str(search.sampler["_target_"]).rpartition(".")[2]
        yield f"a search of {search.n_trials} trainings (hydra.sweeper.n_trials) by {sampler}"
    seeds = {trial["seed"] for trial in manifest.trials}
    if manifest.objective in UDR_NAMES and len(seeds) == 1:
        yield (
            f"{manifest.objective} compares seeds, and there is one: no β will be best; "
            "type seed=0,1,2"
        )


def _manifest(
    name: str,
    parsed: Config,
    facts: checks.DerivedSettings,
    compositions: Sequence[Composition],
    values: Mapping[str, Sequence[object]],
    trials: Sequence[Trial],
    *,
    command: Sequence[str],
    settings: SweepSettings,
    search: Search | None,
) -> Manifest:
    """Return what is planned as a new study."""
    axes = [key for key in values if key not in COORDINATES]
    groups = [axis for axis in axes if axis in compositions[0].choices]
    composed = {found.name(groups): found.values for found in compositions}
    has_own = any(targets([*composed.values()])) or settings.trial != RUN_TRIAL
    folder = str(Path.cwd()) if has_own else None
    found_sources = all_sources(composed, folder)
    return Manifest(
        study_id=uuid.uuid4().hex,
        name=name,
        axes=axes,
        trials=[trial.values for trial in trials],
        base=config.identity(compositions[0].values, axes=axes),
        groups=groups,
        compositions=composed,
        objective=facts.objective,
        protocol=parsed.protocol,
        lattice=facts.lattice,
        data=_joined("data", values, parsed.data.name),
        model=_joined("model", values, parsed.model.name),
        image_size=facts.image_size,
        threads=parsed.threads,
        arguments=list(command),
        created_at=now(),
        code_version=code_version(found_sources),
        sources=found_sources,
        versions=versions(),
        trial=settings.trial,
        max_attempts=settings.max_attempts,
        max_deaths=settings.max_deaths,
        pruner=settings.pruner,
        storage=settings.storage,
        search=None if search is None else search.written(),
        until=settings.until,
        parts_folder=folder,
    )


def _refuse(
    configs: Sequence[Config], found: Sequence[str] = (), machine: Machine | None = None
) -> None:
    """Raise all that is wrong with these, once each, and with it what this machine cannot do."""
    mistakes = [*found, *(wrong for parsed in configs for wrong in checks.mistakes(parsed))]
    if mistakes and machine is not None:
        mistakes += [
            wrong for parsed in configs for wrong in needs.device_mistakes(parsed, machine)
        ]
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def _refuse_here(configs: Sequence[Config], machine: Machine, *, is_new: bool) -> None:
    """Raise what this machine cannot do; of a study that is there, only what it never could.

    Others may have begun it on more processors, or by an older version: those numbers go on.
    """
    mistakes = [
        mistake
        for parsed in configs
        for mistake in checks.machine_mistakes(parsed, machine)
        if is_new or not mistake.startswith(needs.KNOWN_TO_WORK)
    ]
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def _try_parts(configs: Iterable[Config]) -> None:
    """Take one batch through the parts of those configurations that are not the default ones.

    Raises:
        ConfigError: naming what is wrong with them.
    """
    with_parts = [parsed for parsed in configs if has_parts(parsed)]
    if not with_parts:
        return
    from bvae import first_pass  # torch, which plain configurations are planned without

    mistakes = [mistake for parsed in with_parts for mistake in first_pass.mistakes(parsed)]
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def _search(
    typed: Overrides, values: Mapping[str, Sequence[object]], settings: SweepSettings
) -> Search | None:
    """Return the search that is asked for: by an interval, a sampler, or a number of trials."""
    if settings.until or not (typed.intervals or settings.sampler or settings.n_trials):
        return None
    from sweeps.search import samplers  # Optuna, which a grid's plan need not load

    space = {key: typed.intervals.get(key) or Choices.of(values[key]) for key in values}
    del space["seed"]
    search = Search(
        space=space,
        seeds=tuple(dict.fromkeys(int(str(seed)) for seed in values["seed"])),
        sampler=samplers.named(settings.sampler or "tpe"),
        n_trials=settings.n_trials or N_TRIALS,
    )
    return replace(search, n_trials=int(min(search.n_trials, search.n_all)))


def _check_together(
    settings: SweepSettings, search: Search | None, facts: checks.DerivedSettings, parsed: Config
) -> None:
    """Check that what finds and prunes trials has a score to go by."""
    mistakes = []
    if settings.pruner and facts.lattice is None:
        mistakes.append(
            f"hydra.sweeper.pruner: judges by MIG, which needs factors, and {parsed.data.name} has "
            "none; "
            "leave it out"
        )
    if settings.pruner and search is not None:
        mistakes.append(
            "hydra.sweeper.pruner: holds the configurations of a grid against each other; "
            "leave it out of a search"
        )
    if settings.until and facts.objective in UDR_NAMES:
        mistakes.append(
            f"hydra.sweeper.until: objective={facts.objective} compares pairs of seeds, which "
            "depend on each other; choose the number of seeds, as in seed=range(6)"
        )
    if parsed.checkpoint.keep_trials and facts.objective in UDR_NAMES:
        mistakes.append(
            f"checkpoint.keep_trials: objective={facts.objective} is of pairs of seeds, so no "
            "trial is better than another; leave it out, and use `sweeps clean`"
        )
    if search is not None and facts.objective in UDR_NAMES:
        mistakes.append(
            f"objective={facts.objective}: compares seeds, so a search cannot go by it; "
            "sweep a grid, as in beta=1,4,16 latent_dim=5,10 seed=0,1,2"
        )
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _check_configurations(
    manifest: Manifest, trials: Sequence[Trial], search: Search | None
) -> tuple[Config, ...]:
    """Check what further swept values amount to together; one by one they were checked as typed.

    So are β, latent sizes and seeds that other keys depend on, and latent sizes of own parts. Of a
    search these are the values it
    may choose, of intervals some from end to end.
    """
    texts = str(list(_dependent(manifest).values()))
    has_own = any(targets([*manifest.compositions.values()]))
    wanted = {key for key in COORDINATES if key in texts} | ({"latent_dim"} if has_own else set())
    keys = [*(key for key in COORDINATES if key in wanted), *manifest.axes]
    configurations = {tuple(trial.values[key] for key in keys): trial for trial in trials}
    if search is not None:
        chosen = [
            search.seeds if key == "seed" else search.space[key].spread(PLACES) for key in keys
        ]
        configurations = {
            configuration: Trial.of(
                {**trials[0].values, **dict(zip(keys, configuration, strict=True))}
            )
            for configuration in itertools.product(*chosen)
        }
    parsed = tuple(config.parse(manifest.config_of(trial)) for trial in configurations.values())
    _refuse(parsed)
    _try_parts(parsed)
    return parsed


def _dependent(manifest: Manifest) -> dict[str, object]:
    """Return the keys that depend on swept ones, and how, in any of the compositions."""
    return {
        key: text
        for composed in manifest.compositions.values()
        for key, text in config.flatten(composed).items()
        if is_unresolved(text)
    }


def _values(
    typed: Overrides, first: Composition, known_axes: Sequence[str]
) -> dict[str, list[object]]:
    """Return the values of every axis: typed ones, else the one value that was composed."""
    composed = config.flatten(first.values) | first.choices
    keys = [*COORDINATES, *sorted({*typed.further, *known_axes})]
    composed |= {key: interval.middle for key, interval in typed.intervals.items()}
    values = {key: typed.axes.get(key, [composed.get(key)]) for key in keys}
    for key in keys:
        if key not in typed.axes and key not in composed:
            raise ConfigError(f"{key}: swept in this study, but without a value now; write its own")
        if key not in typed.axes and is_unresolved(values[key]):
            raise ConfigError(depends(key, values[key][0]))
    return values


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
    model = _joined("model", typed.axes, parsed.model.name)
    found = sorted(runs.glob(f"*-{glob.escape(model)}-{digest}/{StudyFolder(runs).manifest.name}"))
    new = runs / f"{_name_of_data(parsed, typed)}-{model}-{digest}"
    return _named(found[0].parent if found else new)


def _name_of_data(parsed: Config, typed: Overrides) -> str:
    """Return what people call the data: their own images by the folder's or the file's name."""
    kind = _joined("data", typed.axes, parsed.data.name)
    if kind not in OWN or parsed.data.path is None or "data.path" in typed.axes:
        return kind
    path = expanded(parsed.data.path).resolve()
    name = path.stem if kind == "npz" else path.name
    return re.sub(r"[^\w.]+", "-", name).strip("-.")[:LONGEST] or kind


def _below(typed: Overrides) -> list[str]:
    """Return what is typed below swept groups: it changes numbers, but is not in the base."""
    swept = tuple(f"{key}." for key in typed.axes if key in typed.groups)
    return sorted(line for line in typed.fixed if line.lstrip("+").startswith(swept))


def _joined(group: str, values: Mapping[str, Sequence[object]], otherwise: str) -> str:
    return "+".join(str(name) for name in values.get(group, [otherwise]))


def write_manifest(folder: StudyFolder, manifest: Manifest) -> None:
    """Write what the trials share for people to read, then the manifest, which is what counts."""
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
