"""`python -m bvae.data`: build a store, print its checksum, or verify the official file."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bvae.data import dsprites_npz
from bvae.data.datasets import NAMES, open_dataset
from bvae.exceptions import BvaeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 where `verify` found a difference, or 2 for an error."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "verify":
            return _verify(options.npz)
        if options.command == "build":
            return _build(options.name, options.path)
        return _sha256(options.name, options.path)
    except BvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bvae.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="count the images of an npz that differ from ours")
    verify.add_argument("npz", type=Path, help="the official dSprites file")
    for command, purpose in (
        ("build", "build the store of a data set, where it is missing"),
        ("sha256", "print the SHA-256 of the packed images of a data set"),
    ):
        subparser = commands.add_parser(command, help=purpose)
        subparser.add_argument("name", nargs="?", default="dsprites", help=", ".join(NAMES))
        subparser.add_argument("--path", type=Path, help="the file or folder, where one is read")
    return parser


def _verify(npz: Path) -> int:
    md5 = dsprites_npz.md5_of(npz)
    if md5 != dsprites_npz.MD5:
        print(f"warning: not the official file: its MD5 is {md5}", file=sys.stderr)
    result = dsprites_npz.compare(npz)
    print(
        f"{result.images:,} images compared: {result.differing_images:,} differ, "
        f"in {result.differing_pixels:,} pixels"
    )
    return 1 if result.differing_images else 0


def _build(name: str, path: Path | None) -> int:
    dataset = open_dataset(name, path=path)
    print(f"{name}: {len(dataset):,} images, {dataset.store.packed.nbytes:,} bytes")
    return 0


def _sha256(name: str, path: Path | None) -> int:
    store = open_dataset(name, path=path).store
    print(hashlib.sha256(store.packed.data).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
