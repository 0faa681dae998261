"""What is checked and derived before a trial starts: mistakes no single key shows, and its data."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, prod
from pathlib import Path
from typing import Any

from bvae import contrast, needs, tracking
from bvae.config import NETWORKS, OPTIMIZERS, TARGET, Config, groups, nearest
from bvae.data import holdout, own
from bvae.data.datasets import (
    DRAWN,
    FOLDERS,
    NAMES,
    Description,
    ImageDataset,
    describe,
    open_dataset,
)
from bvae.data.labels import CODED_IMAGES, MOST_ROWS, FactorTable, scored
from bvae.data.lattice import FactorLattice
from bvae.exceptions import ConfigError, DataError
from bvae.files import expanded
from bvae.image_shape import RESOLUTIONS
from bvae.machine import Machine
from bvae.metrics.draws import FROM_TABLE
from bvae.metrics.protocols import PROTOCOLS
from bvae.metrics.scores import ACTIVE, SAMPLED, UDR, UDR_NAMES, score_named

OF_ONE_FACTOR = ("mig", "sap", "explicitness")
"""Scores that need no second factor."""

GIVEN = {"beta": "beta", "latent_dim": "latent_dim", "variance": "data.variance"}
"""Arguments that parts are given by the study, and the keys that say what they are."""

MOST_CLASSES = 1024
"""Scores need two rows for each class, also of the 2048 of a validation."""


@dataclass(frozen=True)
class DerivedSettings:
    """What follows from a configuration and its data.

    Attributes:
        image_size: N input values an image.
        lattice: name of the scored lattice or table, None for images without factors.
        objective: the score that is maximised.
        content: SHA-256 of the user's own images, None for a data set known by its name.
        images: what of a folder is taken and left out, empty if there is nothing to say.
        notes: what a user should know of images, of labels that are no full lattice, of schedules.
    """

    image_size: int
    lattice: str | None
    objective: str
    content: str | None
    images: str = ""
    notes: tuple[str, ...] = ()


def derived_settings(config: Config) -> DerivedSettings:
    """Return what follows from a checked configuration."""
    data = described(config)
    labels = data.labels
    if labels is not None:
        labels = scored(labels, config.data.score_every).labels
    objective = config.objective or ("mig" if labels else UDR)
    return DerivedSettings(
        image_size=prod(data.image_shape),
        lattice=labels.name if labels else None,
        objective=objective,
        content=data.content,
        images=f"{config.data.path}: {data.told}" if data.told else "",
        notes=(
            *([f"{config.data.path}: {data.told}"] if data.told else []),
            *(_table_notes(labels, data) if isinstance(labels, FactorTable) else ()),
            *_schedule_notes(config),
        ),
    )


def _table_notes(table: FactorTable, data: Description) -> Iterator[str]:
    yield f"factors: {table.name}, {FROM_TABLE}"
    if len(table) < data.number:
        yield f"{len(table)} of {data.number} images are scored, the same ones for all trials"
    for name, why in table.left_out.items():
        yield f"factor {name}: left out of the scores: it has {why}"


def _schedule_notes(config: Config) -> Iterator[str]:
    """Say if what the loss raises step by step is still rising when training ends."""
    steps = config.trainer.max_steps
    for name in ("schedule_steps", "c_steps"):
        wanted = config.loss.get(name, 0)
        if config.loss.get("schedule") != "constant" and wanted > steps:
            yield f"loss.{name}={wanted}: training ends before that, after {steps} steps"


def described(config: Config) -> Description:
    """Return what the configured data set holds.

    Raises:
        ConfigError: its path is missing.
        DataError: the user's images are not what they must be.
    """
    which = _which(config)
    try:
        found = describe(**which)
    except DataError as error:
        if config.data.source is None:
            raise
        raise DataError(str(error).replace(str(which["path"]), "data.source")) from error
    return replace(found, name=config.data.name)


def _which(config: Config) -> dict[str, Any]:
    """Return which images are meant, as `bvae.data.datasets` takes it."""
    data, path = config.data, _path(config)
    name = data.name
    if data.source is not None:
        name, path = "npz", own.archive(data.source, content=data.content)
    sizes = {"resolution": data.resolution, "channels": data.channels, "bins": data.bins}
    return {"name": name, "path": path, **sizes}


def _path(config: Config) -> Path | None:
    return expanded(config.data.path) if config.data.path else None


def mistakes(config: Config) -> list[str]:
    """Return what is wrong with a configuration each of whose values is allowed."""
    found = [
        *_name_mistakes(config),
        *_part_mistakes(config),
        *_path_mistakes(config),
        *_pixel_mistakes(config),
        *_checkpoint_mistakes(config),
        *_tracker_mistakes(config),
    ]
    try:
        data = described(config)
    except (ConfigError, DataError) as error:
        told = str(error) if config.data.source is not None else f"data.path: {error}"
        return [*_protocol_mistakes(config), *(found or [told])]
    return [*_score_mistakes(config, data), *_data_mistakes(config, data), *found]


def scored_rows(config: Config, data: Description) -> int:
    """Return how many images are coded and scored."""
    if data.labels is None:
        return min(CODED_IMAGES, data.number)
    return len(scored(data.labels, config.data.score_every).rows)


def machine_mistakes(config: Config, machine: Machine) -> list[str]:
    """Return what a checked configuration asks for that this machine does not have."""
    data = described(config)
    rows = scored_rows(config, data)
    return [*needs.mistakes(config, machine, data.image_shape, n_scored=rows)]


def worker_bytes(config: Config) -> float:
    """Return about how many bytes a worker needs for a checked configuration."""
    data = described(config)
    rows = scored_rows(config, data)
    return needs.PROCESS_BYTES + needs.trial_bytes(config, data.image_shape, n_scored=rows)


def _name_mistakes(config: Config) -> Iterator[str]:
    """Yield names that are none of ours, where no own part stands for them."""
    parts = (config.model.encoder, config.model.decoder)
    if None in parts and config.model.name not in NETWORKS:
        yield (
            f"model.name: expected one of {', '.join(NETWORKS)}, but got {config.model.name!r}; "
            "for your own give model=own, model.encoder._target_=… and model.decoder._target_=…"
        )
    if config.data.source is None and config.data.name == "own":
        yield "data.source: expected a class or function; give data.source._target_=my_images.load"
    elif config.data.source is None and config.data.name not in NAMES:
        yield (
            f"data.name: expected one of {', '.join(NAMES)}, but got {config.data.name!r}; "
            "for your own give data=own data.source._target_=…"
        )
    optimizer = config.optimizer.get("name")
    if TARGET not in config.optimizer and optimizer not in OPTIMIZERS:
        yield (
            f"optimizer.name: expected one of {', '.join(OPTIMIZERS)}, but got {optimizer!r}; for "
            "another give optimizer=own optimizer._target_=torch.optim.…"
        )


def _part_mistakes(config: Config) -> Iterator[str]:
    """Yield own parts under a name of ours, and values that would stand for those of the study."""
    model, loss, optimizer = config.model, config.loss, config.optimizer
    networks = {
        f"model.{name}": part
        for name, part in (("encoder", model.encoder), ("decoder", model.decoder))
        if part is not None
    }
    own = {
        "data": config.data.source is not None and config.data.name in NAMES,
        "model": len(networks) == 2 and model.name in NETWORKS,
        "loss": not str(loss.get(TARGET)).startswith("bvae.losses.")
        and loss.get("name") in {*groups()["loss"]} - {"own"},
        "optimizer": TARGET in optimizer and optimizer.get("name") in OPTIMIZERS,
    }
    for group in (group for group, is_own in own.items() if is_own):
        yield f"{group}: ours by its name, but a _target_ is given; write {group}=own for your own"
    for key, part in networks.items():
        if TARGET not in part:
            yield f"{key}: {', '.join(part)}: of an own one, which needs {key}._target_"
    for key, part in {"loss": loss, **networks}.items():
        for name in GIVEN.keys() & part.keys():
            yield f"{key}.{name}: is given to each part; leave it out, and write {GIVEN[name]}=…"


def _protocol_mistakes(config: Config) -> Iterator[str]:
    if config.protocol not in PROTOCOLS:
        yield f"protocol={config.protocol}: no such protocol; {nearest(config.protocol, PROTOCOLS)}"


def _score_mistakes(config: Config, data: Description) -> Iterator[str]:
    if config.protocol not in PROTOCOLS:
        yield from _protocol_mistakes(config)
        return
    of_protocol = PROTOCOLS[config.protocol].score_names
    names = (*of_protocol, *config.scores, *UDR_NAMES)
    for name in config.scores:
        if name in (*of_protocol, *UDR_NAMES) or not name.isidentifier():
            yield f"scores.{name}: expected a name unlike those of other scores, as in my_score"
    if config.scores and data.labels is None:
        yield f"scores: are of codes and factors, which {data.name} has none of; leave them out"
    if config.objective is None or score_named(config.objective).per_configuration:
        pass
    elif config.objective not in names:
        yield (
            f"objective={config.objective}: not a score of protocol {config.protocol}; "
            f"{nearest(config.objective, names)}"
        )
    elif data.labels is None:
        yield (
            f"objective={config.objective}: needs factors, which {data.name} has none of; "
            f"give objective={UDR}, which compares the seeds of a configuration"
        )
    elif isinstance(data.labels, FactorTable):
        yield from _table_mistakes(config, data.labels)
    if config.checkpoint.keep == "best" and data.labels is None:
        yield (
            "checkpoint.keep=best: keeps the weights of the highest MIG, which needs factors; "
            "give last"
        )


def _table_mistakes(config: Config, table: FactorTable) -> Iterator[str]:
    stem = str(config.objective).removesuffix(SAMPLED).removesuffix(ACTIVE)
    if stem not in (*OF_ONE_FACTOR, *config.scores) and len(table.names) - len(table.left_out) < 2:
        yield (
            f"objective={config.objective}: tells factors apart, and only one can be scored; "
            "give objective=mig"
        )


def _size_mistakes(config: Config, data: Description) -> Iterator[str]:
    """Yield that our networks cannot be built for images of this size; own ones may be."""
    _, height, width = data.image_shape
    is_ours = config.model.encoder is None or config.model.decoder is None
    if is_ours and (height != width or height not in RESOLUTIONS):
        sizes = ", ".join(map(str, RESOLUTIONS))
        yield (
            f"data.resolution: the networks {config.model.name} take squares of {sizes} pixels, "
            f"but the images have {height}x{width}; give one of these to have them resized, or "
            "networks of your own (model=own)"
        )


def _data_mistakes(config: Config, data: Description) -> Iterator[str]:
    yield from _size_mistakes(config, data)
    if config.trainer.batch_size > data.number:
        yield (
            f"trainer.batch_size: expected at most the {data.number} images of {data.name}, "
            f"but got {config.trainer.batch_size}"
        )
    if isinstance(data.labels, FactorLattice):
        yield from _lattice_mistakes(data.labels, config.data.score_every)
    elif data.labels is not None and config.data.score_every is not None:
        yield (
            "data.score_every: takes classes out of a full lattice, and the factors of "
            f"{data.name} are none; leave it out (up to {MOST_ROWS} images are scored)"
        )
    if config.data.content not in (None, data.content):
        place = "data.source" if config.data.path is None else f"data.path: {config.data.path}"
        yield (
            f"{place} does not hold the images the study was begun with; put them back, or begin "
            f"another study{_told(data)}"
        )


def _told(data: Description) -> str:
    return f" (now {data.told})" if data.told else ""


def _lattice_mistakes(lattice: FactorLattice, every: list[int] | None) -> Iterator[str]:
    sizes = lattice.sizes
    steps = [1] * len(sizes) if every is None else every
    if len(steps) != len(sizes) or min(steps) < 1:
        yield f"data.score_every: expected a step for each factor, {lattice.name}, but got {every}"
        return
    scored = [ceil(size / step) for size, step in zip(sizes, steps, strict=True)]
    if min(scored) < 2 or max(scored) > MOST_CLASSES:
        yield (
            f"data.score_every: expected 2 to {MOST_CLASSES} classes of each factor to be scored, "
            f"but got {'x'.join(map(str, scored))} of {lattice.name}; give other steps"
        )


def _path_mistakes(config: Config) -> Iterator[str]:
    name, path = config.data.name, _path(config)
    if config.data.source is not None:
        if path is not None:
            yield f"data.path: {name} comes from data.source and reads no file; leave it out"
    elif path is None:
        if name in NAMES and name not in DRAWN:
            yield f"data.path: {name} is read from a file or folder; give path=…"
    elif name in DRAWN:
        yield f"data.path: {name} is drawn and reads no file; leave it out"
    elif name in FOLDERS and not path.is_dir():
        yield f"data.path: no such folder: {path}"
    elif name not in FOLDERS and not path.is_file():
        yield f"data.path: no such file: {path}"


def _pixel_mistakes(config: Config) -> Iterator[str]:
    data = config.data
    if data.likelihood == "gaussian" and data.variance is None:
        yield "data.variance: gaussian pixels need one; give data.variance=0.1"
    if data.likelihood == "bernoulli" and data.variance is not None:
        yield "data.variance: bernoulli pixels have none; give data.variance=null"


def _checkpoint_mistakes(config: Config) -> Iterator[str]:
    if config.checkpoint.keep_trials is not None and config.checkpoint.keep == "none":
        yield "checkpoint.keep_trials: checkpoint.keep=none keeps no weights; leave one of them out"


def _tracker_mistakes(config: Config) -> Iterator[str]:
    project = config.tracker.project or ""
    if config.tracker.name == "wandb" and (len(project) > 128 or {*project} & {*r"/\#?%:"}):
        yield (
            r"tracker.project: W&B takes up to 128 characters and none of / \ # ? % :, but got "
            f"{project}"
        )
    entity = config.tracker.entity or ""
    if config.tracker.name == "wandb" and {*entity} & {*r"/\#?%: "}:
        yield (
            "tracker.entity: expected the name of a user or team on W&B, without blanks and "
            rf"/ \ # ? % :, but got {entity}"
        )
    if config.tracker.log_model == "best" and config.checkpoint.keep == "none":
        yield "tracker.log_model=best: there are no weights to keep; give checkpoint.keep=last"
    if config.tracker.name == "wandb" and config.tracker.mode == "online":
        try:
            tracking.check_login()
        except ConfigError as error:
            yield str(error)


def prepare(config: Config) -> ImageDataset:
    """Open the data, after building what is not in the cache yet; say which images are held out.

    Raises:
        ConfigError: fewer images than a batch takes are left to train on.
        DataError: if the data are not what they should be, or the cache cannot be written.
    """
    data = config.data
    found = described(config)  # before a store is built of other images
    if data.content not in (None, found.content):
        place = data.path or "data.source"
        raise DataError(
            f"the images in {place} have changed since the study was begun; put them back, or "
            f"begin another study{_told(found)}"
        )
    dataset = replace(open_dataset(**_which(config)), name=data.name)
    held_out = holdout.held_out(dataset.store, data.holdout)
    number = len(dataset) - len(held_out)
    if number < config.trainer.batch_size:
        contrast.note(
            dataset.store, data.path or "data.source"
        )  # images alike are held out at once
        which = (
            f"that data.holdout={data.holdout:g} leaves" if len(held_out) else "that can be read"
        )
        raise ConfigError(
            f"trainer.batch_size: expected at most the {number} images {which}, "
            f"but got {config.trainer.batch_size}"
        )
    return replace(dataset, held_out=held_out)
