"""Pictures of a trial: where they are, and as text that a page can hold."""

import base64
from pathlib import Path

from bvae.trial import TrialFolder

TYPES = {".png": "image/png", ".gif": "image/gif"}


def pictures_of(trial: Path) -> dict[str, str]:
    """Return the pictures in a trial folder as `data:` addresses, by kind."""
    media = TrialFolder(trial).media
    paths = {
        "reconstructions": media.reconstructions,
        "traversal": media.traversal,
        "animation": media.traversal_gif,
    }
    found = {kind: embed(path) for kind, path in paths.items()}
    return {kind: address for kind, address in found.items() if address is not None}


def embed(path: Path) -> str | None:
    """Return an image file as a `data:` address, None if it is not there."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(data).decode()}"
