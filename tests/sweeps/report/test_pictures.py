"""Pictures as text."""

import base64
from pathlib import Path

from sweeps.report.pictures import embed, pictures_of


def test_file_comes_back_from_its_address(tmp_path: Path) -> None:
    """The address holds the type and the very bytes."""
    (tmp_path / "a.gif").write_bytes(b"GIF89a\x00\xff")
    address = embed(tmp_path / "a.gif")
    assert address is not None
    kind, _, data = address.partition(",")
    assert (kind, base64.b64decode(data)) == ("data:image/gif;base64", b"GIF89a\x00\xff")


def test_absent_pictures_are_left_out(tmp_path: Path) -> None:
    """A trial folder without some pictures has those it has."""
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "traversal.png").write_bytes(b"png")
    assert list(pictures_of(tmp_path)) == ["traversal"]
