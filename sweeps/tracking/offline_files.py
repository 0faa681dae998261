"""What W&B runs leave on disk: a file for each attempt at a trial.

A `.wandb` file is a 7-byte header, then records in chunks, in the log format of LevelDB
(https://github.com/google/leveldb/blob/main/doc/log_format.md): blocks of 32 KiB, each chunk with
a CRC-32 of its kind and data, their length, and its kind. A record is a message of
`wandb_internal.proto`, parsed by wandb's own classes. A run that was interrupted and resumed has
several files: its fragments.
"""

import json
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bvae.files import write_atomically

HEADER_BYTES = 7
BLOCK_BYTES = 32 * 1024
CHUNK = struct.Struct("<IHB")
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

FOLDER = re.compile(r"(offline-)?run-(?P<time>\d{8}_\d{6})-(?P<rest>.+)")


@dataclass(frozen=True)
class Fragment:
    """One file of a run, and the notes that stand beside it."""

    path: Path

    @property
    def run_id(self) -> str:
        """The run that this is a part of."""
        return self.path.stem.removeprefix("run-")

    @property
    def order(self) -> tuple[str, int]:
        """When it was begun; wandb numbers those of one run and second."""
        found = FOLDER.fullmatch(self.path.parent.name)
        if found is None:
            return ("", 0)
        number = found["rest"].removeprefix(self.run_id).removeprefix("-")
        return (found["time"], int(number) if number.isdigit() else 0)

    @property
    def synced(self) -> Path:
        """Its presence means that all of it is uploaded; wandb's own mark."""
        return self.path.with_name(f"{self.path.name}.synced")

    @property
    def rest(self) -> Path:
        """What can be read and is not uploaded yet, where that is not the whole file."""
        return self.path.with_name(f"{self.path.stem}.rest.wandb")

    def starting_step(self) -> int | None:
        """Return the rows that the server had before this file; None if it was never uploaded."""
        for path in (_state(self.path), _state(self.rest)):
            try:
                return int(json.loads(path.read_text())["starting_step"])
            except (OSError, ValueError, LookupError):
                continue
        return None

    def note_starting_step(self) -> None:
        """Keep what an upload of the rest has noted, which would else be lost with it."""
        step = self.starting_step()
        if step is not None:
            write_atomically(_state(self.path), json.dumps({"starting_step": step}))

    def remove_rest(self) -> None:
        """Remove what was made for an upload."""
        for path in (self.rest, _state(self.rest), Fragment(self.rest).synced):
            path.unlink(missing_ok=True)


def _state(path: Path) -> Path:
    """Where wandb notes at which step an upload began."""
    return path.with_name(f"{path.name}.syncstate")


def fragments(folder: Path) -> list[Fragment]:
    """Return what W&B runs have left in a folder, in the order they were begun."""
    found = [
        Fragment(path)
        for path in folder.glob("*run-*/run-*.wandb")
        if FOLDER.fullmatch(path.parent.name) and not path.name.endswith(".rest.wandb")
    ]
    return sorted(found, key=lambda fragment: fragment.order)


@dataclass(frozen=True)
class Content:
    """The whole records of a file, and whether that is all of it."""

    records: Sequence[bytes]
    is_whole: bool

    def without_rows(self, number: int) -> "Content":
        """Return all but the first so many rows."""
        if number <= 0:
            return self
        kept, seen = [], 0
        for record in self.records:
            seen += is_row(record)
            if not is_row(record) or seen > number:
                kept.append(record)
        return Content(kept, is_whole=self.is_whole and len(kept) == len(self.records))


def read(data: bytes) -> Content:
    """Read the records of a file up to the first that is torn or damaged."""
    records: list[bytes] = []
    at, parts, end = HEADER_BYTES, [b""], HEADER_BYTES
    while (chunk := _chunk(data, at)) is not None:
        kind, body, at = chunk
        if kind in (FULL, FIRST):
            parts = []
        parts.append(body)
        if kind in (FULL, LAST):
            records.append(b"".join(parts))
            end = at
    return Content(records, is_whole=end == len(data) and len(data) > HEADER_BYTES)


def _chunk(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Return kind, body and end of the chunk at an offset; None where there is no good one."""
    left = BLOCK_BYTES - at % BLOCK_BYTES
    if left < CHUNK.size:
        at += left  # too little of the block is left for a chunk: it is filled with zeros
    if at + CHUNK.size > len(data):
        return None
    checksum, length, kind = CHUNK.unpack_from(data, at)
    body = data[at + CHUNK.size : at + CHUNK.size + length]
    if kind not in (FULL, FIRST, MIDDLE, LAST) or len(body) < length:
        return None
    if zlib.crc32(bytes([kind]) + body) != checksum:
        return None
    return kind, body, at + CHUNK.size + length


def written(header: bytes, records: Sequence[bytes]) -> bytes:
    """Return a file with these records."""
    data = bytearray(header)
    for record in records:
        kind, left = FIRST, record
        while True:
            room = BLOCK_BYTES - len(data) % BLOCK_BYTES
            if room < CHUNK.size:
                data += bytes(room)
                room = BLOCK_BYTES
            body, left = left[: room - CHUNK.size], left[room - CHUNK.size :]
            if not left:
                kind = FULL if kind == FIRST else LAST
            data += CHUNK.pack(zlib.crc32(bytes([kind]) + body), len(body), kind) + body
            if not left:
                break
            kind = MIDDLE
    return bytes(data)


def is_row(record: bytes) -> bool:
    """Whether a record is a row of history."""
    from wandb.proto import wandb_internal_pb2 as messages  # most of a second; only uploads need it

    parsed = messages.Record.FromString(record)  # type: ignore[attr-defined]  # made at run time
    return bool(parsed.WhichOneof("record_type") == "history")
