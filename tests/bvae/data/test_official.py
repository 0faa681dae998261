"""Checksums of a downloaded file."""

import hashlib
from pathlib import Path

import pytest

from bvae.data import official
from bvae.exceptions import DataError

URL = "https://example.org/data.bin"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of three letters."""
    path = tmp_path / "data.bin"
    path.write_bytes(b"abc")
    return path


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),  # RFC 1321, A.5
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),  # FIPS 180
    ],
)
def test_published_checksums(algorithm: str, expected: str, path: Path) -> None:
    """They are those of the standards."""
    assert expected == official.checksum(path, algorithm=algorithm, url=URL)
    official.check(path, expected, algorithm=algorithm, url=URL)


def test_a_file_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file takes a while: a process computes its checksum once."""
    first = official.checksum(path, algorithm="md5", url=URL)
    monkeypatch.setattr(hashlib, "file_digest", None)

    assert first == official.checksum(path, algorithm="md5", url=URL)


def test_another_file(path: Path) -> None:
    """It is refused with both checksums, and with where to get the right one."""
    with pytest.raises(DataError, match=rf"with MD5 00ff, but got 9001.*; download {URL} again"):
        official.check(path, "00ff", algorithm="md5", url=URL)


def test_no_file(tmp_path: Path) -> None:
    """It is said where there is one."""
    with pytest.raises(DataError, match=f"cannot read .*No such file.*; download it from {URL}"):
        official.checksum(tmp_path / "gone", algorithm="md5", url=URL)
