"""What can be known of a run before it starts: mistakes no single key shows, and its needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

from bvae import tracking
from bvae.config import Config, nearest
from bvae.data.datasets import Description, ImageDataset, describe, open_dataset
from bvae.exceptions import ConfigError
from bvae.metrics.protocols import PROTOCOLS


@dataclass(frozen=True)
class Facts:
    """What a configuration amounts to: N input values an image, and the scored lattice."""

    image_size: int
    lattice: str | None


def facts(config: Config) -> Facts:
    """Return what is known of a checked configuration."""
    data = describe(config.data.name)
    lattice = data.lattice
    if lattice is not None and config.data.score_every is not None:
        lattice, _ = lattice.every(config.data.score_every)
    return Facts(prod(data.image_shape), lattice.name if lattice else None)


def mistakes(config: Config) -> list[str]:
    """Return what is wrong with a configuration each of whose values is allowed."""
    data = describe(config.data.name)
    found = (_score_mistakes(config), _data_mistakes(config, data), _tracker_mistakes(config))
    return [mistake for mistakes in found for mistake in mistakes]


def _score_mistakes(config: Config) -> Iterator[str]:
    if config.protocol not in PROTOCOLS:
        yield f"protocol={config.protocol}: no such protocol; {nearest(config.protocol, PROTOCOLS)}"
        return
    names = PROTOCOLS[config.protocol].readings
    if config.objective not in names:
        yield (
            f"objective={config.objective}: not a score of protocol {config.protocol}; "
            f"{nearest(config.objective, names)}"
        )


def _data_mistakes(config: Config, data: Description) -> Iterator[str]:
    if config.trainer.batch_size > data.number:
        yield (
            f"trainer.batch_size: expected at most the {data.number} images of {data.name}, "
            f"but got {config.trainer.batch_size}"
        )
    every = config.data.score_every
    if data.lattice is not None and every is not None:
        sizes = data.lattice.sizes
        fits = len(every) == len(sizes) and all(
            1 <= step <= size for step, size in zip(every, sizes, strict=True)
        )
        if not fits:
            yield (
                f"data.score_every: expected a step for each factor, up to {list(sizes)}, "
                f"but got {every}"
            )
    if data.needs_path and not config.data.path:
        yield f"data.path: {data.name} is read from a file; give data.path=…"
    if config.data.path and not Path(config.data.path).expanduser().is_file():
        yield f"data.path: no such file: {config.data.path}"


def _tracker_mistakes(config: Config) -> Iterator[str]:
    if config.tracker.name == "wandb":
        try:
            tracking.check_key(mode=config.tracker.mode)
        except ConfigError as error:
            yield str(error)


def prepare(config: Config) -> ImageDataset:
    """Open the data, after building what is not in the cache yet, with a progress bar.

    Raises:
        DataError: if the data file is not what it should be, or the cache cannot be written.
    """
    path = config.data.path
    return open_dataset(config.data.name, path=Path(path).expanduser() if path else None)
