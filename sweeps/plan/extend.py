"""A study on disk, and a command that asks for more of it: what is joined, and what is refused."""

import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bvae import config
from bvae.config import Config
from bvae.exceptions import ConfigError
from bvae.versions import code_version
from sweeps.labels import counted
from sweeps.plan.compose import Composition, with_paths_of, without
from sweeps.plan.overrides import Overrides
from sweeps.study.command import extend
from sweeps.study.folder import StudyFolder
from sweeps.study.manifest import STEPS, Manifest, SearchSettings
from sweeps.study.results import is_short
from sweeps.study.study import Study
from sweeps.study.trials import Trial, in_order

SWEEPING = ("arguments", "pruner", "max_attempts", "max_deaths", "search", "until")
"""What a manifest says of how its study is swept."""

OTHER_IMAGES = (
    "data.content: the images are others than those the study was begun with: some were added, "
    "removed, renamed or changed"
)


def extended(
    known: Manifest, new: Manifest, *, longer: bool = False, sweeps: bool = True, images: str = ""
) -> Manifest:
    """Return the study on disk with the trials of both; a smaller grid never shrinks it.

    It stays a study of the sources it was begun with, and of those that were accepted since.

    Args:
        known: on disk.
        new: as typed now.
        longer: whether more steps are taken by training on, not as another study.
        sweeps: whether the new one says how the study is swept, or only adds trials to it.
        images: what of a folder is taken and left out now.

    Raises:
        ConfigError: if the two do not share their base configuration.
    """
    if longer and _trains_longer(known, new):
        known = replace(
            known,
            base=known.base | {STEPS: new.base[STEPS]},
            compositions={
                choice: _with_steps(values, new.base[STEPS])
                for choice, values in known.compositions.items()
            },
        )
    different = list(differences(known, new))
    if different:
        raise ConfigError(
            f"the study {known.name} was made with another configuration:\n"
            + "\n".join(f"  {line}" for line in different)
            + (f"\nimages now, in {images}" if images and OTHER_IMAGES in different else "")
            + "\ngive the new one a name of its own (study=…), or type the old values"
            + (", or train its models on (extend=true)" if _trains_longer(known, new) else "")
        )
    trials = dict.fromkeys(Trial.of(values) for values in [*known.trials, *new.trials])
    if not sweeps:
        new = replace(new, **{name: getattr(known, name) for name in SWEEPING})
    return replace(
        new,
        study_id=known.study_id,
        created_at=known.created_at,
        code_version=known.code_version,
        sources=known.sources,
        accepted=list(dict.fromkeys([*known.accepted, *new.accepted])),
        trials=[trial.values for trial in in_order(trials)],
        compositions=known.compositions | new.compositions,
        search=_joint_search(known.search, new.search),
        until=new.until or known.until,
        looks=known.looks,
    )


def _joint_search(
    known: SearchSettings | None, new: SearchSettings | None
) -> SearchSettings | None:
    """Return where to search from now on: as typed last, for the larger number of trainings."""
    if known is None or new is None:
        return new or known
    return replace(new, n_trials=max(known.n_trials, new.n_trials))


def _trains_longer(known: Manifest, new: Manifest) -> bool:
    return known.steps is not None and (new.steps or 0) > known.steps


def _with_steps(values: Mapping[str, Any], steps: int) -> dict[str, Any]:
    return {**values, "trainer": values["trainer"] | {"max_steps": steps}}


def differences(known: Manifest, new: Manifest) -> Iterator[str]:
    """Say how two manifests of one name differ, a line for each key."""
    if known.storage != new.storage:
        yield f"hydra.sweeper.storage: {known.storage} in the study, {new.storage} now"
    for axis in sorted({*known.axes} ^ {*new.axes}):
        old, now_ = ("swept" if axis in m.axes else m.settings.get(axis) for m in (known, new))
        yield f"{axis}: {old} in the study, {now_} now"
    swept = {*known.axes, *new.axes}
    lines = list(_different(known.settings, new.settings, swept))
    for choice in known.compositions.keys() & new.compositions.keys():
        # with what is below swept groups, which the base does not have
        old, now_ = (
            one.values_then
            | config.identity(one.compositions[choice], axes=swept - {*known.groups})
            for one in (known, new)
        )
        lines += _different(old, now_, swept - {*known.groups})
    yield from sorted({*lines})


def _different(
    known: Mapping[str, Any], new: Mapping[str, Any], swept: Collection[str]
) -> Iterator[str]:
    for key in sorted({*known, *new}):
        old, now_ = known.get(key), new.get(key)
        if old == now_ or any(key == axis or key.startswith(axis + ".") for axis in swept):
            continue
        if key != "data.content":
            yield f"{key}: {old} in the study, {now_} now"
        elif old and now_:
            yield OTHER_IMAGES


def as_begun(
    known: Manifest, typed: Overrides, compositions: Sequence[Composition]
) -> tuple[Overrides, list[Composition], list[str]]:
    """Return what was typed and composed as the study has it, and what to say of it.

    It goes on without keys that it was begun without, unless another value of one was typed, and
    with paths as it has them.
    """
    composed = config.flatten(compositions[0].values)
    then = {
        key: value
        for key, value in known.defaults_then.items()
        if not (composed.get(key, value) != value and typed.has(key))
    }
    notes = [
        f"{key}={value} as when {known.name} was begun"
        for key, value in then.items()
        if composed.get(key, value) != value
    ]
    axes = with_paths_of(known, typed.axes)
    return replace(typed, axes=axes), [without(found, then) for found in compositions], notes


def continued(
    known: Manifest,
    new: Manifest,
    parsed: Config,
    folder: StudyFolder,
    *,
    sweeps: bool,
    images: str,
) -> tuple[Manifest, list[str]]:
    """Return the manifest of a study that is there, with what is new, and what has changed.

    Raises:
        ConfigError: as for `extended`.
    """
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


def check_sources(known: Manifest, now: Mapping[str, str], study: Study) -> None:
    """Refuse to continue with other sources than the study's; a finished one may be read.

    Args:
        known: of the study.
        now: the hash of each source as it is now, by its path.
        study: on disk.

    Raises:
        ConfigError: naming the files that differ, and what to do.
    """
    if known.accepts(code_version(now)) or study.left == 0:
        return
    paths = sorted({*known.sources, *now})
    changed = [path for path in paths if known.sources.get(path) != now.get(path)]
    typed = ["accept_sources", *(["extend"] if "extend=true" in known.arguments else [])]
    command = extend(study, {key: [True] for key in typed})
    raise ConfigError(
        f"the study {known.name} was made with other sources, so its numbers could not be "
        "compared with new ones:\n"
        + "\n".join(f"  {path}: {_change(path, known, now)}" for path in changed)
        + "\ngive the new study a name of its own (study=…), put the old sources back, or continue "
        f"with these, which each new result will say: {command}"
    )


def _change(path: str, known: Manifest, now: Mapping[str, str]) -> str:
    if path not in known.sources:
        return "new"
    return "changed" if path in now else "gone"
