"""Scores of stored codes, computed anew or by another protocol: one job a trial, over all cores."""

import multiprocessing
import os
import signal
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bvae.environ import environ
from bvae.exceptions import BvaeError, DataError
from bvae.part_sources import import_from
from sweeps.study.study import Study

if TYPE_CHECKING:
    from bvae.codes import Codes


@dataclass(frozen=True)
class Job:
    """What one process scores at a time; it must pickle.

    Attributes:
        slug: of the trial.
        codes: its codes.npz.
        lattice: that the codes must be of; None: of any.
        protocol: to score them by.
        seed: of everything random.
        own: the study's own scores, as `bvae.codes.score` takes them.
        only: names of the protocol's scores to compute; None: all.
    """

    slug: str
    codes: Path
    lattice: str | None
    protocol: str
    seed: int
    own: Mapping[str, Any]
    only: tuple[str, ...] | None = None


class Computed(NamedTuple):
    """Scores by name and their circumstances, or the mistake in the codes that have none."""

    scores: Mapping[str, float]
    details: Mapping[str, Any]
    mistake: str | None = None


def jobs_of(study: Study, *, protocol: str) -> list[Job]:
    """Return a job for every complete trial, by the seed its own scores were computed with."""
    is_swept = {"data", "data.score_every", "data.bins"} & {*study.manifest.axes}
    return [
        Job(
            slug=slug,
            codes=study.folder.trial(slug).codes,
            lattice=None if is_swept else study.manifest.lattice,
            protocol=protocol,
            seed=int(result.scoring.get("seed", result.point["seed"])),
            own=study.manifest.config_of(study.trial(slug)).get("scores") or {},
        )
        for slug, result in study.results.items()
        if study.states[slug] == "complete"
    ]


def read_codes(path: Path) -> "Codes":
    """Return the codes of a trial.

    Raises:
        DataError: there are none that can be read.
    """
    from bvae.codes import Codes

    try:
        if not zipfile.is_zipfile(path):  # of which NumPy would leave the file open
            raise EOFError("there is none" if not path.exists() else "it is damaged")
        return Codes.read(path)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected the codes of a complete trial, but they cannot be read ({error}); "
            "remove the trial's result.json, and it is trained again"
        ) from error


def compute(job: Job) -> Computed:
    """Score the codes of one trial."""
    from bvae.codes import score  # scikit-learn and LightGBM: a second

    try:
        codes = read_codes(job.codes)
    except (OSError, DataError) as error:
        return Computed({}, {}, str(error).removeprefix(f"{job.codes}: "))
    if codes.labels is None:
        why = "codes of images without factors, which have no scores; look at UDR instead"
        return Computed({}, {}, why)
    if job.lattice not in (None, codes.labels.name):
        why = f"codes of the lattice {codes.labels.name}, but the study's is {job.lattice}"
        return Computed({}, {}, why)
    scored = score(codes, protocol=job.protocol, seed=job.seed, own=job.own, only=job.only)
    return Computed(scored.values, scored.details)


def computed(
    jobs: Sequence[Job], *, parts_folder: str | None, n_processes: int
) -> Iterator[tuple[Job, Computed]]:
    """Yield what comes of each job as soon as it is there; they begin in their order.

    Raises:
        BvaeError: a process was killed.
    """
    n_processes = min(n_processes, len(jobs))
    if n_processes < 2:
        import_from(parts_folder)
        yield from ((job, compute(job)) for job in jobs)
        return
    # else Python looks first where one types, be there a `types.py`
    with environ({"PYTHONSAFEPATH": "1"}):
        pool = ProcessPoolExecutor(
            n_processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(parts_folder,),
        )
        waiting = {pool.submit(compute, job): job for job in jobs}
    with pool:
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise BvaeError(
                "a process that scores codes was killed, for lack of memory perhaps; what is "
                "scored is kept: type the same command to continue"
            ) from error
        finally:  # after an interruption nobody waits for what has begun
            for future in waiting:
                future.cancel()
            for process in multiprocessing.active_children():
                process.terminate()


def _begin(parts_folder: str | None) -> None:
    """Prepare a process: the terminal's signals are for its parent, without which it ends."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import_from(parts_folder)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
