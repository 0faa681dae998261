"""What the engine costs a trial, when trials cost nothing: time, memory, resume, leases.

Run: make bench ONLY=engine

The first rows are of one command as it is typed, in a process of its own: Hydra's expansion, all
checks, two workers of the default launcher, the report. Only the trials are stand-ins.
"""

import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from hydra import compose, initialize_config_dir

from bvae import checks, config
from bvae.assignment import Assignment
from bvae.trial import TrialResult, now
from sweeps import load_study
from sweeps.plan.plan import Plan, plan
from sweeps.plan.settings import SweepSettings, register
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import WorkerRegistry
from tests.doubles import postgres

REPOSITORY = Path(__file__).parents[1]
GRID = ("beta=range(1,51)", "latent_dim=range(2,12)", "seed=range(10)")
POINTS = 5000
LEASED_GRID = ("beta=range(1,101)", "latent_dim=range(2,12)", "seed=range(10)")
LEASERS = 8
SAMPLE_S = 0.5


class Row(NamedTuple):
    """One line of the table."""

    name: str
    value: str
    bound: str


class Sample(NamedTuple):
    """Trials begun, and resident memory (MB) of the command's own process, at one moment."""

    begun: int
    rss_mb: float


class Run(NamedTuple):
    """A command that has ended: seconds by the clock and of the processors, and its samples."""

    wall_s: float
    cpu_s: float
    samples: list[Sample]


def no_op(task: Assignment) -> TrialResult:
    """Complete at once."""
    return TrialResult(
        point=dict(task.point),
        state="complete",
        attempt=task.attempt,
        threads=task.config.threads,
        started_at=now(),
        device="cpu",
        scores={"mig": 0.1},
        losses={"recon": 40.0, "kl": 5.0, "loss": 45.0},
        active_latents=2,
    )


def command(runs: Path) -> list[str]:
    """The sweep as it is typed."""
    trial = f"hydra.sweeper.trial={__name__}.no_op"
    where = [f"runs_dir={runs}", "study=scale", "tracker=none", "trainer.accelerator=cpu"]
    typed = [*GRID, *where, trial, "hydra.sweeper.n_workers=2"]
    return [sys.executable, "-m", "bvae", "-m", *typed]


def run(typed: Sequence[str], trials: Path) -> Run:
    """Run a command that must succeed, and look at it again and again."""
    samples = []
    cpu_s, start = _cpu_s(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(typed, cwd=REPOSITORY, stdout=said, stderr=said)
        while process.poll() is None:
            samples.append(Sample(_entries(trials), _rss_mb(process.pid)))
            time.sleep(SAMPLE_S)
        said.seek(0)
        if process.returncode:
            raise RuntimeError(said.read())
    return Run(time.perf_counter() - start, _cpu_s() - cpu_s, samples)


def _cpu_s() -> float:
    """Of the processes that this one has waited for, and of those they have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _entries(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0


def _rss_mb(pid: int) -> float:
    """Resident memory; 0 of a process that has just ended."""
    try:
        return psutil.Process(pid).memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def whole_study(runs: Path) -> Iterator[Row]:
    """A study from its first trial to its report, and what it costs to look at it afterwards."""
    _prepare()
    root = runs / "scale"
    whole = run(command(runs), root / "trials")
    study = load_study(root)
    if study.counts["complete"] != POINTS:
        raise RuntimeError(f"expected {POINTS} complete trials, but got {study.counts}")
    yield Row(f"a trial of {POINTS}, two workers", _ms(whole.wall_s), "<= 20 ms")
    yield Row("processor time of a trial", _ms(whole.cpu_s), "")
    yield from memory(whole.samples)
    again = run(command(runs), root / "trials")
    yield Row("the same command again", f"{again.wall_s:.1f} s", "<= 5 s")
    status = run([sys.executable, "-m", "sweeps", "status", str(root)], root / "trials")
    yield Row("sweeps status", f"{status.wall_s:.1f} s", "")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds / POINTS:.1f} ms"


def memory(samples: Sequence[Sample]) -> Iterator[Row]:
    """Memory while trials are run; the report loads libraries of its own, and comes after."""
    early = next(sample.rss_mb for sample in samples if sample.begun >= POINTS // 5)
    late = [sample.rss_mb for sample in samples if sample.begun < POINTS][-1]
    most = max(sample.rss_mb for sample in samples)
    yield Row("memory at the last trial / at 20 %", f"{late / early:.2f} ({late:.0f} MB)", "<= 1.1")
    yield Row("memory at most, with the report", f"{most:.0f} MB", "")


def _prepare() -> None:
    """Build the data and load the libraries once, so that neither is timed."""
    register()
    with initialize_config_dir(str(config.directory()), version_base="1.3"):
        checks.prepare(config.parse(compose("config", ["trainer.accelerator=cpu"])))


def planned(runs: Path, storage: str | None) -> Plan:
    """The plan of a study to be leased."""
    register()
    typed = [*LEASED_GRID, f"runs_dir={runs}", "study=leased"]
    with initialize_config_dir(str(config.directory()), version_base="1.3"):
        return plan(
            typed,
            params={},
            compose=lambda given: compose("config", list(given), return_hydra_config=True),
            settings=SweepSettings(storage=storage),
        )


def lease_all(root: Path, number: int, ready: Barrier, leased: Any) -> None:
    """Lease until nothing waits; report what was leased, and how long it took."""
    queue = Queue(load_study(root))
    ready.wait()
    start = time.perf_counter()
    slugs = []
    while (lease := queue.lease(f"worker-{number}")) is not None:
        slugs.append(lease.trial.slug)
    leased.put((slugs, time.perf_counter() - start))


def leases(runs: Path, storage: str | None = None) -> Iterator[Row]:
    """Many processes lease from one queue, as fast as they can."""
    kept = "journal" if storage is None else "PostgreSQL"
    study = planned(runs, storage).write()
    start = time.perf_counter()
    Queue(study).reconcile(WorkerRegistry(study.folder.workers))
    queued_s = time.perf_counter() - start
    context = multiprocessing.get_context("spawn")
    ready, leased = context.Barrier(LEASERS), context.Queue()
    processes = [
        context.Process(target=lease_all, args=(study.folder.root, number, ready, leased))
        for number in range(LEASERS)
    ]
    for process in processes:
        process.start()
    found = [leased.get() for _ in processes]
    for process in processes:
        process.join()
    slugs = [slug for part, _ in found for slug in part]
    twice = len(slugs) - len(set(slugs))
    rate = len(slugs) / max(seconds for _, seconds in found)
    n_trials = len(study.trials)
    yield Row(f"{kept}: queueing {n_trials} trials", f"{n_trials / queued_s:.0f} /s", "")
    yield Row(f"{kept}: leases of {LEASERS} processes", f"{rate:.0f} /s", ">= 100 /s")
    yield Row(
        f"{kept}: trials leased twice, missed", f"{twice}, {n_trials - len(set(slugs))}", "0, 0"
    )


def rows() -> list[Row]:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        return [*whole_study(runs), *leases(runs), *leases_of_a_database(runs / "database")]


def leases_of_a_database(runs: Path) -> Iterator[Row]:
    """The same with a real PostgreSQL, where one can be started."""
    reason = postgres.missing()
    if reason:
        yield Row("PostgreSQL", reason, "")
        return
    with tempfile.TemporaryDirectory(prefix="bvae-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with postgres.running(Path(folder) / "postgres") as url:
            yield from leases(runs, url)
