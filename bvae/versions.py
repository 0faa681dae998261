"""What numbers may depend on besides the configuration: this code, and the packages under it."""

import functools
import hashlib
import importlib.metadata
import platform
from pathlib import Path

PACKAGES = ("bvae-sweeps", "torch", "pytorch-lightning", "numpy", "scikit-learn")


@functools.cache
def code_version() -> str:
    """Return a hash of the sources of `bvae/`, 12 hexadecimal digits."""
    package = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages numbers depend on."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "code": code_version()} | found
