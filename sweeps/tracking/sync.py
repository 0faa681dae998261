"""Uploads to W&B what it does not have yet, the files of a run one after the other.

wandb's own `sync` (0.31) does the uploading. Left alone, it ends at the first file it cannot read,
takes a failed upload for a finished one, sends rows again when it is typed again after a failure,
and exits with 0 whatever happens.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from bvae import tracking
from bvae.environ import environ
from bvae.exceptions import ConfigError
from bvae.files import write_atomically
from sweeps.labels import shown
from sweeps.study.locks import is_locked
from sweeps.study.run_names import identity, report_identity
from sweeps.study.study import Study
from sweeps.tracking import offline_files
from sweeps.tracking.offline_files import HEADER_BYTES, Fragment

AT_ONCE = 5
"""Files uploaded at the same time; starting wandb takes a second."""

UPLOAD_WITHIN_S = 600.0
"""How long that may take; wandb tries for as long as its server does not answer."""


class Outcome(Enum):
    """What became of a file, in the words of the summary."""

    UPLOADED = "uploaded"
    EMPTY = "empty, set aside"
    UNREADABLE = "unreadable, set aside"
    FAILED = "failed"
    RUNNING = "still being written"


class Handled(NamedTuple):
    """A file, what became of it, and why if there is more to say."""

    fragment: Fragment
    outcome: Outcome
    reason: str = ""


RUNNING = (Outcome.RUNNING,)
WAITING = (Outcome.FAILED, "waits for what came before it in its run")


def upload_all(study: Study, left: Sequence[Fragment]) -> Iterator[Handled]:
    """Upload files; those of one run in the order they were begun, up to the first that fails."""
    busy = being_written(study)
    stopped: set[str] = set()
    for batch in batches(left, AT_ONCE):
        waiting = [one for one in batch if one.run_id in busy | stopped]
        for fragment in waiting:
            yield Handled(fragment, *(WAITING if fragment.run_id in stopped else RUNNING))
        for done in _upload([one for one in batch if one not in waiting], study):
            if done.outcome is Outcome.FAILED:
                stopped.add(done.fragment.run_id)
            yield done


def batches(left: Sequence[Fragment], size: int) -> Iterator[Sequence[Fragment]]:
    """Yield files to upload at once: no two of a run, each after all that come before it."""
    seen: Counter[str] = Counter()
    rounds: dict[int, list[Fragment]] = {}
    for fragment in left:
        rounds.setdefault(seen[fragment.run_id], []).append(fragment)
        seen[fragment.run_id] += 1
    for alike in rounds.values():
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def summary(handled: Sequence[Handled], *, already: int) -> str:
    """Say in one line how many files came to what."""
    counts = [(sum(done.outcome is kind for done in handled), kind.value) for kind in Outcome]
    counts.append((already, "there already"))
    said = [f"{number} {words}" for number, words in counts if number]
    return (
        ", ".join(said) or "no runs to upload; with --all those of trials that have none are made"
    )


def names_of(study: Study) -> dict[str, str]:
    """Return what people read for each run id."""
    known = [identity(study.manifest, trial) for trial in study.trials]
    return {one.run_id: one.name for one in [*known, report_identity(study.manifest)]}


def being_written(study: Study) -> set[str]:
    """Return the ids of runs that somebody may be writing to now."""
    busy = {
        identity(study.manifest, trial).run_id
        for trial in study.trials
        if study.states[trial.slug] == "running"
    }
    if is_locked(study.folder.orchestrator):
        busy.add(report_identity(study.manifest).run_id)
    return busy


def rows_uploaded(run_id: str, study: Study) -> int:
    """Return how many rows of a run are where those of the study go."""
    settings = study.manifest.tracker
    entity = tracking.entity_of(study.folder.root, settings)
    return tracking.rows_uploaded(run_id, entity=entity, project=settings.project)


class _Prepared(NamedTuple):
    """A file to upload, and what wandb is given for it."""

    fragment: Fragment
    path: Path
    is_torn: bool


def _upload(batch: Sequence[Fragment], study: Study) -> Iterator[Handled]:
    prepared: list[_Prepared] = []
    for fragment in batch:
        try:
            found = _prepare(fragment, study)
        except (OSError, ConfigError) as problem:
            yield Handled(fragment, Outcome.FAILED, str(problem))
            continue
        if isinstance(found, Handled):
            yield found
        else:
            prepared.append(found)
    errors = _wandb_sync([one.path for one in prepared], study) if prepared else {}
    for one in prepared:
        yield _ended(one, errors.get(one.path))


def _prepare(fragment: Fragment, study: Study) -> _Prepared | Handled:
    """Set aside a file that holds nothing; else say what of it is to be uploaded."""
    data = fragment.path.read_bytes()
    content = offline_files.read(data)
    if not content.records:
        return _set_aside(fragment, study, is_empty=len(data) <= HEADER_BYTES)
    begun = fragment.starting_step()
    rest = content
    if begun is not None:
        rest = content.without_rows(rows_uploaded(fragment.run_id, study) - begun)
    fragment.note_starting_step()
    fragment.remove_rest()  # of an upload that was killed
    path = fragment.path
    if not rest.is_whole:
        path = fragment.rest
        write_atomically(path, offline_files.written(data[:HEADER_BYTES], rest.records))
    return _Prepared(fragment, path, is_torn=not content.is_whole)


def _set_aside(fragment: Fragment, study: Study, *, is_empty: bool) -> Handled:
    """Move the folder of a file that holds no record to where nobody tries to read it."""
    target = study.folder.wandb_unreadable / fragment.path.parent.name
    target.parent.mkdir(exist_ok=True)
    fragment.path.parent.rename(target)
    outcome = Outcome.EMPTY if is_empty else Outcome.UNREADABLE
    return Handled(fragment, outcome, f"now {shown(target)}")


def _ended(one: _Prepared, error: str | None) -> Handled:
    """Keep what the upload has noted, and mark the file only if all of it is there."""
    one.fragment.note_starting_step()
    one.fragment.remove_rest()
    if error is not None:
        one.fragment.synced.unlink(missing_ok=True)
        return Handled(one.fragment, Outcome.FAILED, error)
    one.fragment.synced.touch()
    return Handled(one.fragment, Outcome.UPLOADED, "but for its torn end" if one.is_torn else "")


def _wandb_sync(paths: Sequence[Path], study: Study) -> dict[Path, str]:
    """Run wandb's own command on some files; return what went wrong with which."""
    settings, root = study.manifest.tracker, study.folder.root
    place = ["--entity", tracking.entity_of(root, settings), "--project", str(settings.project)]
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", *place, *map(str, paths)]
    logs = study.folder.wandb_logs  # else the command writes them where it is typed
    logs.mkdir(exist_ok=True)
    told = {"WANDB_DIR": str(logs), "WANDB_MODE": None, "WANDB_SILENT": None}
    with environ(tracking.contained(root) | told):
        try:
            done = subprocess.run(  # in the folder that the files of artifacts are noted from
                command,
                cwd=root,
                capture_output=True,
                text=True,
                check=False,
                timeout=UPLOAD_WITHIN_S,
            )
        except subprocess.TimeoutExpired:
            return dict.fromkeys(paths, f"not done within {UPLOAD_WITHIN_S:g} s")
    return errors_of(paths, done.stderr)


def errors_of(paths: Sequence[Path], said: str) -> dict[Path, str]:
    """Return what wandb's command has said went wrong, by file.

    It names a run or its folder; where it names none, all are in doubt. A file without wandb's
    mark was not uploaded, whatever was said.
    """
    lines = [line.removeprefix("wandb: ") for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR ") for line in lines if line.startswith("ERROR")]
    named = {path: Fragment(path).run_id.removesuffix(".rest") for path in paths}
    found = {}
    for path, run_id in named.items():
        if not Fragment(path).synced.exists():
            found[path] = next(reversed(lines), "wandb sync said nothing")
        for error in errors:
            if run_id in error or not any(other in error for other in named.values()):
                found[path] = error
    return found
