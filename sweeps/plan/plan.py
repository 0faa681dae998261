"""From a typed command to a study: everything that happens before anything expensive starts."""

import contextlib
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bvae import config
from bvae.checks import DerivedSettings, derived_settings
from bvae.config import Config
from bvae.data import own
from bvae.exceptions import ConfigError
from bvae.files import write_atomically
from bvae.machine import Machine
from bvae.metrics.scores import UDR_NAMES
from bvae.part_sources import all_sources, forget_changed, import_from, targets
from bvae.trial import COORDINATES, now
from bvae.versions import code_version, versions
from sweeps.plan import tracker
from sweeps.plan.checks import check_together, checked_configurations, refuse, refuse_here
from sweeps.plan.compose import (
    Compose,
    Composition,
    absolute,
    compositions_of,
    settled,
    sweeps_images,
    without_content,
)
from sweeps.plan.extend import as_begun, check_sources, continued, extended
from sweeps.plan.overrides import MOST, Groups, Overrides, depends, split
from sweeps.plan.place import check_writable, find, joined
from sweeps.plan.settings import SweepSettings
from sweeps.plan.words import without_plus
from sweeps.search.search import N_TRIALS, Search
from sweeps.search.space import PLACES, Choices
from sweeps.study.folder import StudyFolder
from sweeps.study.locks import locked
from sweeps.study.manifest import RUN_TRIAL, Manifest
from sweeps.study.quoting import is_unresolved
from sweeps.study.study import Study, open_study
from sweeps.study.trials import Trial, grid

ON_END = "hydra.sweeper.on_end="
"""Not kept: a shell's command may have a password in it, and none is to be planted in a study."""


@dataclass(frozen=True)
class Plan:
    """A study about to be run, and what there is to say about it.

    Attributes:
        configs: one for each choice of values beside β, latent size and seed.
        asked: the trials of this command; the manifest may have more.
        sweeps: whether the command says how the study is swept; one of a single trial does not.
    """

    folder: StudyFolder
    manifest: Manifest
    configs: tuple[Config, ...]
    asked: tuple[Trial, ...]
    notes: tuple[str, ...]
    sweeps: bool = True

    @property
    def largest(self) -> tuple[Config, ...]:
        """The configurations with the most latents that any trial may have."""
        search = self.manifest.search
        return _largest(self.configs, self.asked, None if search is None else Search.read(search))

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
    parsed = config.parse(compositions[0].first(typed))
    folder, known = find(parsed, typed, compositions[0])
    notes = [*_left_out(compositions, typed)]
    if known is not None:
        typed, compositions, told = as_begun(known, typed, compositions)
        parsed = config.parse(compositions[0].first(typed))
        notes += told
    values = _values(typed, compositions[0], known.axes if known else [])
    if sweeps_images(values):  # else they are checked to be those of the study
        compositions = [without_content(found) for found in compositions]
    search = _search(typed, values, settings)
    trials, repeated = _grid(values) if search is None else (search.start(), [])
    facts = derived_settings(parsed)
    check_together(settings, search, facts, parsed)
    manifest = _manifest(
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
    configs = checked_configurations(manifest, trials, search)
    if machine is not None:
        refuse_here(_largest(configs, trials, search), machine, is_new=known is None)
    notes += [f"repeated values dropped from {line}" for line in repeated]
    notes += facts.notes
    notes += _hints(manifest, search) if sweeps else []
    if known is not None:
        is_typed = {key: typed.has(f"tracker.{key}") for key in ("entity", "project")}
        new = tracker.placed(known, manifest, typed=is_typed)
        manifest, changes = continued(
            known, new, parsed, folder, sweeps=sweeps, images=facts.images
        )
        notes += changes
        check_sources(manifest, new.sources, Study(folder, manifest))
    notes += tracker.notes(manifest.tracker)
    check_writable(folder.root)
    return Plan(folder, manifest, configs, tuple(trials), tuple(notes), sweeps)


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
        refuse(configs)
    return Plan(study.folder, manifest, configs, tuple(left) or study.trials, (), sweeps=False)


def _compositions(
    typed: Overrides, compose: Compose, settings: SweepSettings, machine: Machine | None
) -> list[Composition]:
    """Compose each choice of config groups once, and check it with its first values."""
    commit = tracker.commit_of(Path.cwd())
    composed = [tracker.filled_in(found, commit) for found in compositions_of(typed, compose)]
    if forget_changed([found.values for found in composed], str(Path.cwd())):
        own.forget()
    configs = [config.parse(found.first(typed)) for found in composed]
    refuse(configs, [*settings.trial_mistakes()], machine)
    return [settled(found, parsed, typed) for found, parsed in zip(composed, configs, strict=True)]


def _left_out(compositions: Sequence[Composition], typed: Overrides) -> Iterator[str]:
    """Yield what was typed below a swept group and is not for all of its choices."""
    for line in dict.fromkeys(line for found in compositions for line in found.left_out):
        group = line.lstrip("+~").partition(".")[0]
        names = [found.choices[group] for found in compositions if line in found.left_out]
        yield f"{without_plus(line)}: not for {group}={','.join(dict.fromkeys(names))}"


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


def _grid(values: Mapping[str, Sequence[object]]) -> tuple[list[Trial], list[str]]:
    """Return the trials of a grid, and what was repeated.

    Raises:
        ConfigError: there are too many.
    """
    number = math.prod(map(len, values.values()))
    if number > MOST:
        raise ConfigError(
            f"{number} trials: a grid may have {MOST}; give fewer values, or search, as in "
            "beta=interval(0.5,64) hydra.sweeper.n_trials=50"
        )
    return grid(values)


def _largest(
    configs: Sequence[Config], trials: Sequence[Trial], search: Search | None
) -> tuple[Config, ...]:
    """Return the configurations with the most latents that any trial may have."""
    latents = [int(str(trial.values["latent_dim"])) for trial in trials]
    if search is not None:
        latents += [int(str(M)) for M in search.space["latent_dim"].spread(PLACES)]
    return tuple(replace(one, latent_dim=max(latents)) for one in configs)


def _manifest(
    name: str,
    parsed: Config,
    facts: DerivedSettings,
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
        data=joined("data", values, parsed.data.name),
        model=joined("model", values, parsed.model.name),
        image_size=facts.image_size,
        threads=parsed.threads,
        arguments=[word for word in command if not word.lstrip("+").startswith(ON_END)],
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
