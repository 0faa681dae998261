"""What each subcommand of `sweeps` does; every function returns an exit code."""

import argparse
import dataclasses
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bvae.exceptions import ConfigError
from bvae.files import write_atomically
from sweeps.curve import Cell, best_cells
from sweeps.display import duration, shown
from sweeps.outcome import described, failures
from sweeps.points import canonical
from sweeps.presence import is_locked, new_worker_name, workers_at
from sweeps.report.page import write_report
from sweeps.study import Study, load_study


def status(typed: argparse.Namespace) -> int:
    """Print counts, what runs, what failed and why."""
    study = load_study(typed.study)
    if typed.json:
        print(json.dumps(study.counts))
        return 0
    console = Console(highlight=False)
    counts = study.counts
    parts = [f"{counts[name]} {name}" for name in counts if name != "expected" and counts[name]]
    console.print(f"[bold]{study.name}[/bold]  {counts['expected']} points: {', '.join(parts)}")
    for worker in workers_at(study.folder.workers):
        at = f"{worker.slug}  step {worker.step} of {worker.total}" if worker.slug else "idle"
        console.print(f"  {worker.name}: {at}", markup=False)
    for line in failures(study):
        console.print(f"  failed {line}", markup=False)
    if counts["running"] + counts["pending"]:
        console.print(_remaining(study), markup=False)
    return 0


def _remaining(study: Study) -> str:
    running = is_locked(study.folder.orchestrator)
    times = [result.wall_time_s for result in study.results.values() if result.state == "complete"]
    busy = max(1, study.counts["running"])
    left = study.counts["running"] + study.counts["pending"]
    eta = sorted(times)[len(times) // 2] * left / busy if times else None
    state = f"about {duration(eta)} left" if running else "not running"
    return f"{state}; go on with: {study.manifest.command}" if not running else state


def best(typed: argparse.Namespace) -> int:
    """Print the best complete cell of each latent size, and of all."""
    study = load_study(typed.study)
    score = typed.score or study.manifest.objective
    if score not in study.score_names:
        known = ", ".join(study.score_names) or "none yet"
        raise ConfigError(f"--score {score}: no such score in this study; it has {known}")
    found = best_cells(study.frame(), score=score, axes=study.manifest.axes)
    if typed.json:
        cells = [_plain(cell) for cell in found.by_line]
        overall = None if found.overall is None else _plain(found.overall)
        print(json.dumps({"score": score, "best": overall, "by_latent_dim": cells}))
        return 0
    for cell in found.by_line:
        print(("* " if cell == found.overall else "  ") + described(cell))
    if not found.by_line:
        print("no cell is complete yet")
    return 0


def _plain(cell: Cell) -> dict[str, object]:
    return dataclasses.asdict(cell) | {"axes": dict(cell.axes)}


def report(typed: argparse.Namespace) -> int:
    """Write the report, and the table of trials, as the study stands now."""
    study = load_study(typed.study)
    write_atomically(study.folder.table, study.frame().to_csv(index=False))
    print(shown(write_report(study)))
    return 0


def logs(typed: argparse.Namespace) -> int:
    """Print a point's log, and its error if it has failed."""
    study = load_study(typed.study)
    matching = [point.slug for point in study.points if typed.point in point.slug]
    exact = [slug for slug in matching if slug == typed.point]
    if len(exact or matching) != 1:
        some = "\n".join(f"  {slug}" for slug in matching[:10])
        raise ConfigError(f"{typed.point}: names {len(matching)} points\n{some}".rstrip())
    slug = (exact or matching)[0]
    log = study.folder.trial(slug).log
    print(log.read_text(encoding="utf-8") if log.exists() else "(no log yet)")
    result = study.result(slug)
    if result is not None and result.error:
        print(result.error)
    return 0


def stop(typed: argparse.Namespace) -> int:
    """Leave the note that every worker looks for."""
    study = load_study(typed.study)
    study.folder.stop.write_text("`sweeps stop`")
    print(f"{len(workers_at(study.folder.workers))} worker(s) will save what they run and leave")
    return 0


def worker(typed: argparse.Namespace) -> int:
    """Take points of a study in this process, beside whoever else does."""
    from sweeps.worker import Worker, log_to  # optuna, which reading commands need not load

    study = load_study(typed.study)
    name = new_worker_name()
    print(f"{name} works on {study.name}; Ctrl-C saves the running point and leaves")
    with log_to(study.folder.logs / f"{name}.log"):
        Worker(study, name=name, trial="bvae.train.run_trial", drains=True).work()
    return 0


def retry(typed: argparse.Namespace) -> int:
    """Queue failed points again; the next run of the command takes them up."""
    from sweeps.ledger import Ledger  # optuna, which reading commands need not load

    study = load_study(typed.study)
    wanted = dict(_condition(study, where) for where in typed.where)
    slugs = [
        point.slug
        for point in study.points
        if study.states[point.slug] == "failed"
        and all(point.values[key] == value for key, value in wanted.items())
    ]
    Ledger(study).retry(slugs)
    print(f"{len(slugs)} failed point(s) queued again; go on with: {study.manifest.command}")
    return 0


def _condition(study: Study, where: str) -> tuple[str, object]:
    key, equals, value = where.partition("=")
    known = study.points[0].values
    if not equals or key not in known:
        raise ConfigError(f"--where {where}: expected KEY=VALUE with a key of {', '.join(known)}")
    try:
        return key, canonical(float(value))
    except ValueError:
        return key, value


def list_studies(typed: argparse.Namespace) -> int:
    """List the studies of a folder with their counts."""
    manifests = sorted(Path(typed.runs).glob("*/manifest.json"))
    if not manifests:
        print(f"no study in {typed.runs}")
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("study", "complete", "failed", "left", "created"):
        table.add_column(heading, justify="left" if heading in ("study", "created") else "right")
    for path in manifests:
        study = load_study(path.parent)
        counts = study.counts
        complete = f"{counts['complete']}/{counts['expected']}"
        left = counts["running"] + counts["pending"]
        created = study.manifest.created_at
        table.add_row(study.name, complete, str(counts["failed"]), str(left), created)
    Console(highlight=False).print(table)
    return 0
