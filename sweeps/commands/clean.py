"""`sweeps clean`: remove what is large and not needed for any answer.

Results, codes, histories and logs stay, and so does all of a trial that has not ended, and what
W&B does not have yet. Nothing is followed through a link.
"""

import argparse
import shutil
from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path

from bvae.files import bytes_in
from bvae.trial import TrialFolder
from sweeps.commands.arguments import add_study
from sweeps.labels import size
from sweeps.queue.attempts import store_of
from sweeps.study.study import Study, open_study
from sweeps.tracking.offline_files import fragments
from sweeps.tracking.sync import being_written
from sweeps.workers.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps clean` takes."""
    add_study(parser)
    parser.add_argument("--dry-run", action="store_true", help="print sizes, remove nothing")


def run(typed: argparse.Namespace) -> int:
    """Remove it, or only say how large it is."""
    study = open_study(typed.study)
    with store_of(study).exclusive():  # no trial is leased or continued meanwhile
        study = open_study(study.folder.root)
        removed = {
            name: [path for path in found if _is_within(path, study.folder.root)]
            for name, found in (
                ("weights", _weights(study)),
                ("pictures drawn in training", _previews(study)),
                ("W&B files that are uploaded", _uploaded(study)),
            )
        }
        sizes = {name: sum(map(bytes_in, paths)) for name, paths in removed.items()}
        whole = bytes_in(study.folder.root)
        for path in () if typed.dry_run else chain.from_iterable(removed.values()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, n_bytes in sizes.items():
        print(f"{size(n_bytes):>8}  {name}")
    done = "would be removed" if typed.dry_run else "removed"
    print(f"{size(sum(sizes.values())):>8}  {done}, of {size(whole)}")
    return Exit.COMPLETE


def _is_within(path: Path, root: Path) -> bool:
    """Whether a path is no link, and no link leads to it out of the study."""
    return not path.is_symlink() and path.resolve().is_relative_to(root)


def _ended(study: Study) -> Iterator[TrialFolder]:
    for slug, state in study.states.items():
        if state in ("complete", "pruned", "failed"):
            yield study.folder.trial(slug)


def _weights(study: Study) -> Iterator[Path]:
    for folder in _ended(study):
        yield from (path for path in (folder.last, folder.best) if path.exists())


def _previews(study: Study) -> Iterator[Path]:
    for folder in _ended(study):
        yield from (path for path in folder.media.root.glob("step-*") if path.is_dir())


def _uploaded(study: Study) -> Iterator[Path]:
    """Yield the folders of runs of which W&B has every file."""
    found = sorted(fragments(study.folder.wandb), key=lambda one: one.run_id)
    busy = being_written(study)
    for run_id, group in groupby(found, key=lambda one: one.run_id):
        files = [*group]
        if run_id not in busy and all(one.synced.exists() for one in files):
            yield from (one.path.parent for one in files)
