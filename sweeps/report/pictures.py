"""Pictures of a trial: where they are, and as text that a page can hold."""

import base64
from dataclasses import dataclass
from pathlib import Path

FILES = {
    "reconstructions": "reconstructions.png",
    "traversal": "traversal.png",
    "animation": "traversal.gif",
}
TYPES = {".png": "image/png", ".gif": "image/gif"}


@dataclass(frozen=True)
class Pictures:
    """A trial's pictures as `data:` addresses; None where there is no such file."""

    reconstructions: str | None
    traversal: str | None
    animation: str | None

    @property
    def known(self) -> dict[str, str]:
        """The addresses by kind, of those there are."""
        return {kind: address for kind in FILES if (address := getattr(self, kind))}


def pictures_of(trial: Path) -> Pictures:
    """Read the pictures of a trial folder."""
    return Pictures(**{kind: embed(trial / "media" / name) for kind, name in FILES.items()})


def embed(path: Path) -> str | None:
    """Return an image file as a `data:` address, None if it is not there."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(data).decode()}"
