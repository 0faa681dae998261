"""Trials of a study: a configuration with a seed, its readable name, and the order to run in."""

import functools
import hashlib
import itertools
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bvae.trial import COORDINATES

Value = bool | int | float | str | tuple[object, ...] | None

MAX_SLUG = 120
"""Longer slugs end in a hash: a file name may have 255 bytes, with room for a suffix."""

NAME_MAX = 255
"""Bytes of a file's name."""


def canonical(value: object) -> Value:
    """Return the one form of a value, so that 4, 4.0 and 4e0 are one trial.

    Floats are rounded to 12 significant digits (`range(0.1, 0.4, 0.1)` yields 0.30000000000000004).

    >>> canonical(4.0), canonical(0.1 + 0.2), canonical("mlp"), canonical([1, 2.0])
    (4, 0.3, 'mlp', (1, 2))
    """
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        rounded = float(f"{value:.12g}")
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(value, list | tuple):
        return tuple(canonical(item) for item in value)
    return str(value)


def axis_value(kept: object) -> Value:
    """Return the value of an axis from a table: there None beside numbers has become NaN.

    >>> axis_value(float("nan")), axis_value(32.0)
    (None, 32)
    """
    plain = kept.item() if hasattr(kept, "item") else kept  # of a NumPy scalar
    return None if plain != plain else canonical(plain)


def text(value: Value) -> str:
    """Write a canonical value as it is typed on the command line.

    >>> text(0.25), text(True), text(None), text((1, 2))
    ('0.25', 'true', 'null', '[1,2]')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return json.dumps(value, separators=(",", ":"))
    return f"{value:.12g}" if isinstance(value, int | float) else value


@dataclass(frozen=True)
class Trial:
    """One training: a value for β, latent size, seed and every further swept key, in that order."""

    coordinates: tuple[tuple[str, Value], ...]

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "Trial":
        """Return the trial with these values, canonical and in order."""
        rest = sorted(set(values) - set(COORDINATES))
        names = [*COORDINATES, *rest]
        return cls(tuple((name, canonical(values[name])) for name in names))

    @property
    def values(self) -> dict[str, Value]:
        """The coordinates as a dictionary, in order."""
        return dict(self.coordinates)

    @property
    def configuration(self) -> tuple[tuple[str, Value], ...]:
        """All coordinates but the seed."""
        return tuple(pair for pair in self.coordinates if pair[0] != "seed")

    @property
    def overrides(self) -> str:
        """The coordinates as they are typed on the command line."""
        return " ".join(f"{key}={text(value)}" for key, value in self.coordinates)

    @functools.cached_property
    def slug(self) -> str:
        """The readable name of the trial's folder.

        >>> Trial.of({"seed": 0, "latent_dim": 10, "beta": 4.0, "model": "mlp"}).slug
        'beta=4,latent_dim=10,seed=0,model=mlp'
        """
        readable = ",".join(f"{key}={text(value)}" for key, value in self.coordinates)
        safe = re.sub(r"[^\w=,.+-]", "_", readable)
        is_short = len(readable) <= MAX_SLUG and len(os.fsencode(readable)) <= NAME_MAX
        if safe == readable and is_short:
            return readable
        digest = hashlib.sha256(readable.encode()).hexdigest()[:12]
        begin = safe[: MAX_SLUG - 13]
        while len(os.fsencode(begin)) > NAME_MAX - 13:
            begin = begin[:-1]
        return f"{begin}-{digest}"


Configuration = tuple[tuple[str, Value], ...]
"""All coordinates of a trial but the seed."""


def configurations_of(trials: Iterable[Trial]) -> dict[Configuration, list[str]]:
    """Return the slugs of the trials of every configuration."""
    configurations: dict[Configuration, list[str]] = defaultdict(list)
    for trial in trials:
        configurations[trial.configuration].append(trial.slug)
    return dict(configurations)


Grid = dict[str, tuple[Value, ...]]
"""Values of every key but the seed; their combinations are configurations."""


def grids_of(configurations: Iterable[Configuration]) -> list[Grid]:
    """Return few grids that are these configurations together, and no others.

    >>> grids_of((("beta", beta), ("latent_dim", M)) for M in (5, 10) for beta in (1, 4))
    [{'beta': (1, 4), 'latent_dim': (5, 10)}]
    """
    grids: list[Grid] = [
        {key: (value,) for key, value in one} for one in dict.fromkeys(configurations)
    ]
    for axis in grids[0] if grids else ():
        joined: dict[tuple[object, ...], Grid] = {}
        for one in grids:
            others = tuple(values for key, values in one.items() if key != axis)
            first = joined.setdefault(others, one)
            if first is not one:
                first[axis] += one[axis]
        grids = list(joined.values())
    return grids


def grid(axes: Mapping[str, Sequence[object]]) -> tuple[list[Trial], list[str]]:
    """Return every combination of the axes' values, in the order to run, and the values repeated.

    Seed by seed, β by bisection, so that a study stopped at any moment has a coarse curve for
    every latent size.
    """
    repeated: list[str] = []
    unique: dict[str, list[Value]] = {}
    for key, values in axes.items():
        seen = list(dict.fromkeys(canonical(value) for value in values))
        unique[key] = seen
        if len(seen) < len(values):
            repeated.append(f"{key}={','.join(text(canonical(value)) for value in values)}")
    combinations = itertools.product(*unique.values())
    trials = [Trial.of(dict(zip(unique, values, strict=True))) for values in combinations]
    return in_order(trials), repeated


def in_order(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials seed by seed, β by bisection, other coordinates as they came."""
    listed = list(trials)
    betas = {trial.values["beta"] for trial in listed}
    rank = {beta: order for order, beta in enumerate(bisection(betas))}
    seeds = list(dict.fromkeys(trial.values["seed"] for trial in listed))
    return sorted(listed, key=lambda p: (seeds.index(p.values["seed"]), rank[p.values["beta"]]))


def bisection(values: Iterable[Value]) -> list[Value]:
    """Return both ends first, then the middles of what is left, halving again and again.

    >>> bisection([1, 2, 4, 8, 16])
    [1, 16, 4, 2, 8]
    """
    ordered = sorted(values, key=lambda value: float(str(value)))
    if len(ordered) <= 2:
        return ordered
    order = [0, len(ordered) - 1]
    gaps = [(0, len(ordered) - 1)]
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if middle in (low, high):
            continue
        order.append(middle)
        gaps += [(low, middle), (middle, high)]
    return [ordered[index] for index in order]
