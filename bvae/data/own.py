"""The images of the user's own class or function, kept as the npz file that they could have been.

It gives `images`, [n, H, W] or [n, H, W, C], uint8 or floats in 0..1; and, where they are known,
`factors` [n, K] and `factor_names` [K]: as a mapping, as attributes, or the images alone.
"""

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bvae.data.store import building, cache_dir
from bvae.exceptions import DataError
from bvae.files import replace_atomically

ARRAYS = ("images", "factors", "factor_names")

_EXPECTED = "data.source: expected a mapping with images and, maybe, factors and factor_names"


def archive(part: Mapping[str, Any], *, content: str | None) -> Path:
    """Return the npz file of the images that a part gives; `bvae.data.images_npz` checks it.

    Args:
        part: `_target_` and arguments.
        content: SHA-256 of the file, if it is known: where it is in the cache, nothing is called.

    Raises:
        ConfigError: the part cannot be built.
        DataError: it gives no images.
    """
    known = _place(content) if content else None
    return known if known is not None and known.is_file() else _made(json.dumps(part))


def forget() -> None:
    """Call every function again when its images are next asked for: it may be another one."""
    _made.cache_clear()


@functools.cache
def _made(part: str) -> Path:
    from bvae.parts import build_named  # Hydra

    given = _named(build_named("data.source", json.loads(part)))
    arrays = {name: _array(name, value) for name, value in given.items() if value is not None}
    arrays["images"] = np.ascontiguousarray(arrays["images"])
    # of this process: two may make images of different arguments at a time
    unnamed = cache_dir() / f"own-{os.getpid()}.npz"
    with building(unnamed.parent):  # who builds removes what killed builds have left
        replace_atomically(unnamed, lambda temporary: np.savez(temporary, **arrays))  # type: ignore[arg-type]
    with unnamed.open("rb") as file:
        place = _place(hashlib.file_digest(file, "sha256").hexdigest())
    return unnamed.replace(place)


def _place(content: str) -> Path:
    return cache_dir() / f"own-{content[:16]}.npz"


def _named(given: object) -> dict[str, Any]:
    """Return the arrays by name, however they were given."""
    if isinstance(given, tuple):
        raise DataError(f"{_EXPECTED}, but got a tuple; say which is which")
    if isinstance(given, Mapping):
        found = {name: given.get(name) for name in ARRAYS}
    elif hasattr(given, "images"):
        found = {name: getattr(given, name, None) for name in ARRAYS}
    else:
        found = {"images": given}
    if found["images"] is None:
        got = ", ".join(map(str, given)) if isinstance(given, Mapping) else str(given)
        raise DataError(f"{_EXPECTED}, but got {got}")
    return found


def _array(name: str, value: object) -> NDArray[Any]:
    """Return what was given under a name as an array; names as texts."""
    try:
        array = np.asarray(value)
    except Exception as error:  # of arrays of other packages, or of different shapes
        raise DataError(f"data.source: {name}: no array can be made: {error}") from error
    if name == "factor_names":
        return array.astype(str)
    if array.dtype == object:
        raise DataError(f"data.source: {name}: expected numbers, but got objects; convert them")
    return array
