"""The configuration of one run: a dataclass for each part, and every check that needs no training.

`conf/` holds the values, this module what they may be. Hydra composes; `parse` turns the composed
mapping into a `Config` and reports all mistakes at once.
"""

import difflib
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bvae.exceptions import ConfigError
from bvae.image_shape import CHANNELS
from bvae.trial import COORDINATES, TrackerSettings

Schema = TypeVar("Schema")

TARGET = "_target_"
"""The key of a part that has the dotted name of a class or function."""

Part = dict[str, Any]
"""A part by its `_target_`, a dotted name, and its arguments; `bvae.parts` builds it."""


@dataclass
class DataConfig:
    """Which images, what their pixels are given z, and which part of their lattice is scored.

    `holdout` is the share of the images that is kept out of training (`bvae.data.holdout`).
    `resolution` and `channels` are those of the user's own images, `bins` the classes of what is
    measured in them; their `content` is written here when a study is planned, so that no later
    trial is trained with other images.
    """

    name: str = MISSING
    path: str | None = MISSING
    score_every: list[int] | None = MISSING
    holdout: float = 0.0
    likelihood: str = "bernoulli"
    variance: float | None = None
    resolution: int | None = None
    channels: int | None = None
    bins: int | None = None
    content: str | None = None
    source: Part | None = None


@dataclass
class ModelConfig:
    """Which encoder and decoder: ours by name, or own ones."""

    name: str = MISSING
    encoder: Part | None = None
    decoder: Part | None = None


@dataclass
class TrainerConfig:
    """How long and where to train, and how often to validate."""

    max_steps: int = MISSING
    batch_size: int = MISSING
    accelerator: str = MISSING
    precision: str = MISSING
    log_every_n_steps: int = MISSING
    val_every_n_steps: int = MISSING


@dataclass
class CheckpointConfig:
    """Which weights stay after a trial, and how much work a kill may cost."""

    keep: str = MISSING
    interval_s: float = MISSING
    keep_trials: int | None = None


BETA_VAE: Part = {
    "name": "beta_vae",
    "_target_": "bvae.losses.BetaVAELoss",
    "schedule": "constant",
    "schedule_steps": 1000,
    "cycles": 4,
}
"""The loss unless another is chosen, and of every study begun before there were others."""

NETWORKS = ("conv", "higgins", "mlp")
"""Our encoders and decoders, by name."""

OPTIMIZERS = {"adam": "torch.optim.Adam", "adagrad": "torch.optim.Adagrad"}
"""Those that need no `_target_`."""


@dataclass
class Config:
    """One β-VAE: which images, how it is trained, and how it is scored."""

    beta: float = MISSING
    latent_dim: int = MISSING
    seed: int = MISSING
    study: str | None = MISSING
    runs_dir: str = MISSING
    objective: str | None = MISSING
    protocol: str = MISSING
    threads: int = MISSING
    extend: bool = MISSING
    accept_sources: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: Part = field(default_factory=lambda: dict(BETA_VAE))
    optimizer: Part = field(default_factory=dict)
    scores: dict[str, Part] = field(default_factory=dict)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)


TEXTS = ("study", "runs_dir", "data.path", "tracker.entity", "tracker.project", "tracker.notes")
"""Keys of names and paths, which are what was typed."""

FREE = ("loss", "optimizer", "model.encoder", "model.decoder", "data.source", "scores")
"""Keys below which there may be any: the arguments of parts."""

TYPES_OF_FREE: Mapping[str, type] = {"optimizer.name": str, "optimizer.lr": float}
"""The keys that are always there below these."""

LIKELIHOODS = ("bernoulli", "gaussian")
"""What pixels may be given z; `bvae.losses` says which fits which images."""

NOT_IDENTITY = (
    "study",
    "runs_dir",
    "objective",
    "extend",
    "accept_sources",
    "data.path",  # the content of what is there counts
    "tracker",
    "checkpoint.interval_s",
    "checkpoint.keep_trials",
    "trainer.accelerator",
    "trainer.log_every_n_steps",
)
"""Keys (and all below them) that are no part of what a trial is asked for.

They cannot change its numbers, but for the accelerator: devices round differently, and each result
says which one it is of.
"""


def directory() -> Path:
    """Return the one configuration directory: the clone's `conf/`, else the wheel's copy."""
    package = Path(__file__).resolve().parent
    clone = package.parent / "conf"
    return clone if (clone / "config.yaml").is_file() else package / "conf"


def groups() -> dict[str, list[str]]:
    """Return the choices of every configuration group, from the files of `directory()`."""
    root = directory()
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(root.iterdir())
        if folder.is_dir() and folder.name != "hydra"
    }


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words and as a test."""

    expected: str
    holds: Callable[[Any], bool]


def _at_least(low: int) -> Rule:
    return Rule(f"an integer of at least {low}", lambda value: value >= low)


def _one_of(values: Iterable[str | int]) -> Rule:
    allowed = tuple(values)
    return Rule("one of " + ", ".join(map(str, allowed)), lambda value: value in allowed)


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _or_null(rule: Rule) -> Rule:
    return Rule(f"{rule.expected}, or null", lambda value: value is None or rule.holds(value))


POSITIVE = Rule("a finite number above 0", _positive)

HIGHEST_BETA = 1e30
"""Losses are of 32 bits: times a KL of some thousand nats, a higher β would be infinite."""

RULES: Mapping[str, Rule] = {
    "beta": Rule(
        f"{POSITIVE.expected}, at most {HIGHEST_BETA:g}",
        lambda value: _positive(value) and value <= HIGHEST_BETA,
    ),
    "latent_dim": _at_least(1),
    "seed": Rule("an integer from 0 to 2**31 - 1", lambda value: 0 <= value < 2**31),
    "threads": _at_least(1),
    "data.holdout": Rule("a share from 0 to 0.5", lambda value: 0 <= value <= 0.5),
    "data.likelihood": _one_of(LIKELIHOODS),
    "data.variance": _or_null(POSITIVE),
    "data.resolution": _or_null(_at_least(8)),
    "data.channels": _or_null(_one_of(CHANNELS)),
    "data.bins": _or_null(_at_least(2)),
    "optimizer.lr": POSITIVE,
    "trainer.max_steps": _at_least(1),
    "trainer.batch_size": _at_least(1),
    "trainer.accelerator": _one_of(["auto", "cpu", "gpu", "cuda", "mps"]),
    "trainer.precision": _one_of(["32-true", "bf16-mixed", "16-mixed"]),
    "trainer.log_every_n_steps": _at_least(1),
    "trainer.val_every_n_steps": _at_least(1),
    "checkpoint.keep": _one_of(["last", "best", "none"]),
    "checkpoint.interval_s": POSITIVE,
    "checkpoint.keep_trials": _or_null(_at_least(1)),
    "tracker.name": _one_of(["wandb", "none"]),
    "tracker.mode": _or_null(_one_of(["offline", "online", "disabled"])),
    "tracker.tags": Rule(
        "a list of texts of 1 to 64 characters, as in [pilot,lab]",
        lambda value: all(1 <= len(tag) <= 64 for tag in value),
    ),
    "tracker.log_model": _one_of(["best", "none"]),
}


def keys(schema: type = Config, *, prefix: str = "") -> list[str]:
    """Return every key of the configuration, dotted, leaves and the parts that hold them.

    >>> [key for key in keys() if key.startswith("checkpoint")]
    ['checkpoint', 'checkpoint.keep', 'checkpoint.interval_s', 'checkpoint.keep_trials']
    """
    found: list[str] = []
    hints = get_type_hints(schema)
    for entry in fields(schema):
        found.append(prefix + entry.name)
        if is_dataclass(hints[entry.name]):
            found += keys(hints[entry.name], prefix=f"{prefix}{entry.name}.")
    return found if prefix else [*found, *TYPES_OF_FREE]


def is_free(key: str) -> bool:
    """Whether a key is an argument of a part.

    >>> is_free("loss.c_max"), is_free("loss"), is_free("trainer.max_steps")
    (True, False, False)
    """
    return key.startswith(tuple(f"{part}." for part in FREE))


def needed(schema: type = Config, *, prefix: str = "") -> list[str]:
    """Return every key, dotted, that a configuration must give a value for.

    >>> needed(CheckpointConfig)
    ['keep', 'interval_s']
    """
    found: list[str] = []
    hints = get_type_hints(schema)
    for entry in fields(schema):
        if is_dataclass(hints[entry.name]):
            found += needed(hints[entry.name], prefix=f"{prefix}{entry.name}.")
        elif entry.default == MISSING:
            found.append(prefix + entry.name)
    return found if prefix or schema is not Config else [*found, *TYPES_OF_FREE]


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Say which allowed name was probably meant, or list them all.

    >>> nearest("betta", ["beta", "seed"])
    'did you mean beta?'
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else "known: " + ", ".join(names)


@functools.cache
def _scratch() -> DictConfig:
    """Return a schema to try values on, one for all: making one takes 5 ms."""
    schema: DictConfig = OmegaConf.structured(Config)
    return schema


def typed(key: str, value: object) -> Any:
    """Return a value as the key's type has it: 1.0 for '1', where it is a β.

    Raises:
        OmegaConfBaseException, ValueError: it is not of that type.
    """
    if is_free(key):
        return _typed_free(key, value)
    if key in FREE and isinstance(value, dict):
        return value
    if key in TEXTS and isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and _expected(key).startswith("an integer"):
        value = int(value)  # 1e3 steps
    schema = _scratch()
    OmegaConf.update(schema, key, value, merge=True)
    found = OmegaConf.select(schema, key)
    return OmegaConf.to_container(found) if OmegaConf.is_config(found) else found


def _typed_free(key: str, value: object) -> Any:
    """Return an argument of a part as it is, but those that are always there by their type."""
    kind = TYPES_OF_FREE.get(key)
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        return float(value)
    if kind is not None and not isinstance(value, kind):
        raise ValueError(value)
    return value


def checked(key: str, value: object) -> Any:
    """Return a value as the key's type has it, if the key may have it.

    Raises:
        ConfigError: it may not.
    """
    rule = RULES.get(key)
    try:
        found = typed(key, value)
    except (OmegaConfBaseException, ValueError):
        wanted, instead = _expected(key), ""
        if isinstance(value, float) and value.is_integer() and "an integer" in wanted:
            instead = f"; write {int(value)}"
        raise ConfigError(f"{key}: expected {wanted}, but got {value!r}{instead}") from None
    if rule is not None and not rule.holds(found):
        raise ConfigError(f"{key}: expected {rule.expected}, but got {value!r}")
    return found


def value_mistake(key: str, value: object) -> str | None:
    """Return what is wrong with one value of one key, or None."""
    try:
        checked(key, value)
    except ConfigError as error:
        return str(error)
    return None


def _expected(key: str) -> str:
    if key in RULES:
        return RULES[key].expected
    if key in FREE:
        part = f"{key}.my_score" if key == "scores" else key
        return f"a class or function, as in {part}._target_=my_module.name"
    hint: Any = TYPES_OF_FREE.get(key, Config)
    for name in key.split(".") if hint is Config else ():
        hint = get_type_hints(hint)[name]
    words = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}
    return words.get(hint, str(hint))


def parse(composed: DictConfig | Mapping[str, Any]) -> Config:
    """Turn a composed mapping into a checked `Config`.

    Raises:
        ConfigError: naming every key that is unknown, missing, of the wrong type or out of range.
    """
    values = flatten(composed)
    known = set(keys())
    unknown = [key for key in values if key not in known and not is_free(key)]
    mistakes = [f"{key}: no such key; {nearest(key, known)}" for key in unknown]
    found: dict[str, Any] = {}
    for key in values.keys() - unknown:
        try:
            found[key] = checked(key, values[key])
        except ConfigError as error:
            mistakes.append(str(error))
    given = set(values)
    leaves = needed()
    mistakes += [f"{key}: a value is needed; give {key}=…" for key in leaves if key not in given]
    if mistakes:
        raise ConfigError("\n".join(sorted(mistakes)))
    return _built(Config, found)


def _built(schema: type[Schema], values: Mapping[str, Any], *, prefix: str = "") -> Schema:
    """Return the dataclass with these dotted values: merging with OmegaConf takes 10 ms a trial."""
    given: dict[str, Any] = {}
    hints = get_type_hints(schema)
    for name in hints:
        if is_dataclass(hints[name]):
            given[name] = _built(hints[name], values, prefix=f"{prefix}{name}.")
        elif prefix + name in FREE and (part := _below(f"{prefix}{name}.", values)):
            given[name] = part
        elif prefix + name in values:
            given[name] = values[prefix + name]
    return schema(**given)


def _below(prefix: str, values: Mapping[str, Any]) -> Part:
    """Return the values of the dotted keys below a part as the tree they were."""
    tree: Part = {}
    for key in values:
        if key.startswith(prefix):
            *parents, leaf = key.removeprefix(prefix).split(".")
            place = tree
            for name in parents:
                place = place.setdefault(name, {})
            place[leaf] = values[key]
    return tree


def flatten(composed: DictConfig | Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    """Return dotted leaf keys and their values; values still missing (`???`) are left out."""
    plain: Any = composed
    if isinstance(composed, DictConfig):
        plain = OmegaConf.to_container(composed, resolve=True)
    leaves: dict[str, Any] = {}
    for key, value in plain.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, prefix=f"{prefix}{key}.")
        elif value != MISSING:
            leaves[f"{prefix}{key}"] = value
    return leaves


def identity(composed: Mapping[str, Any], *, axes: Iterable[str] = ()) -> dict[str, Any]:
    """Return the flat base configuration: what can change numbers, and no swept key.

    Args:
        composed: the resolved configuration.
        axes: swept keys beside β, latent size and seed; a swept group drops all below it.
    """
    dropped = (*NOT_IDENTITY, *COORDINATES, *axes)
    values = flatten(composed)
    if values.get("checkpoint.keep") in ("last", "none"):  # which score the last weights
        dropped = (*dropped, "checkpoint.keep")
    return {
        key: value
        for key, value in sorted(values.items())
        if not any(key == name or key.startswith(name + ".") for name in dropped)
    }
