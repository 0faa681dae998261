"""What numbers may depend on besides the configuration: this code, and the packages under it."""

import functools
import hashlib
import importlib.metadata
import json
import platform
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


@functools.cache
def sources() -> dict[str, str]:
    """Return a hash of each source file of `bvae/`, 12 hexadecimal digits, by its path."""
    package = Path(__file__).resolve().parent
    return {
        path.relative_to(package.parent).as_posix(): _digest(path.read_bytes())
        for path in sorted(package.rglob("*.py"))
    }


def code_version() -> str:
    """Return a hash of the sources of `bvae/`, 12 hexadecimal digits."""
    return _digest(json.dumps(sources()).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages numbers depend on."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "code": code_version()} | found
