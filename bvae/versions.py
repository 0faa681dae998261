"""What numbers may depend on besides the configuration: this code, and the packages under it.

Of this code those sources count that make the images, the model, its training and its scores: a
change there may change a number. Pictures, tracking, checks, files, the configuration's schema and
the command line cannot, so a study is continued whatever happens to them.
"""

import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path

PACKAGES = (
    "bvae-sweeps",
    "torch",
    "pytorch-lightning",
    "numpy",
    "scikit-learn",
    "scipy",
    "lightgbm",  # the DCI score
    "pillow",  # own images, resized
)

PACKAGES_THAT_COUNT = ("data", "losses", "metrics")

MODULES_THAT_COUNT = (
    *("losses", "networks", "model", "train", "callbacks"),
    *("weights", "evaluate", "codes"),
)
"""`losses` was a module once, which older studies name. `callbacks` saves and resumes a training,
and chooses the weights that are kept as the best."""


@functools.cache
def sources() -> dict[str, str]:
    """Return a hash of each source file that counts, 12 hexadecimal digits, by its path."""
    package = Path(__file__).resolve().parent
    paths = {path.relative_to(package.parent).as_posix(): path for path in package.rglob("*.py")}
    return {name: digest(path.read_bytes()) for name, path in sorted(paths.items()) if counts(name)}


def counts(path: str) -> bool:
    """Whether a source can change numbers: one of ours that does, and each one of own parts.

    >>> [counts(f"bvae/{path}") for path in ("losses.py", "metrics/mig.py", "metrics/__main__.py")]
    [True, True, False]
    """
    if not path.startswith("bvae/"):
        return True
    _, *folders, file = path.split("/")
    if folders:
        return folders[0] in PACKAGES_THAT_COUNT and file != "__main__.py"
    return file.removesuffix(".py") in MODULES_THAT_COUNT


def code_version(of: Mapping[str, str] | None = None) -> str:
    """Return a hash of the sources that count, 12 hexadecimal digits: of these, or of others."""
    return digest(json.dumps(sources() if of is None else dict(of)).encode())


def digest(content: bytes) -> str:
    """Return a hash of a source, 12 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:12]


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages numbers depend on."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "code": code_version()} | found
