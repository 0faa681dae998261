"""What each subcommand of `sweeps` does; every function returns an exit code."""

import argparse
import json
import signal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bvae.exceptions import BvaeError, ConfigError
from bvae.metrics.scores import UDR_NAMES
from sweeps.study.folder import shown
from sweeps.study.heartbeat import living_workers, new_worker_name
from sweeps.study.locks import is_locked
from sweeps.study.study import Study, load_study
from sweeps.study.trials import canonical, text
from sweeps.workers.exit_codes import Exit
from sweeps.workers.live_table import duration
from sweeps.workers.progress import Progress

# Modules that are slow to import are imported where they are needed: `status` takes half a second.


def status(typed: argparse.Namespace) -> int:
    """Print counts, what runs, what failed and why."""
    study = load_study(typed.study)
    if typed.json:
        print(json.dumps(study.counts))
        return 0
    console = Console(highlight=False)
    counts = study.counts
    parts = [f"{counts[name]} {name}" for name in counts if name != "expected" and counts[name]]
    head = f"{study.name}: {counts['expected']} trials: {', '.join(parts)}"
    console.print(head, markup=False, soft_wrap=True)
    for worker in living_workers(study.folder.workers):
        at = f"{worker.slug}  step {worker.step} of {worker.total}" if worker.slug else "idle"
        console.print(f"  {worker.name}: {at}", markup=False)
    for line in study.failures:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if study.left:
        console.print(_remaining(study), markup=False, soft_wrap=True)
    return 0


def _remaining(study: Study) -> str:
    if not is_locked(study.folder.orchestrator):
        return f"not running; go on with: {study.manifest.command}"
    progress = Progress(study)
    progress.refresh()
    left_s = progress.snapshot().eta_s
    return "running" if left_s is None else f"about {duration(left_s)} left"


def best(typed: argparse.Namespace) -> int:
    """Print the best β of each latent size, how sure that is, and how to get the best model."""
    from sweeps.commands import best
    from sweeps.commands.conclude import best_line
    from sweeps.scoring.udr import refresh

    study = load_study(typed.study)
    score = typed.score or study.manifest.objective
    if score in UDR_NAMES:
        study = refresh(study)
    is_known = score in study.score_names
    if not is_known and score != study.manifest.objective:
        known = ", ".join(study.score_names) or "none yet"
        raise ConfigError(f"--score {score}: no such score in this study; it has {known}")
    if not is_known and not typed.json:
        print(best_line(study))
        return 0
    found = best.best(study, score=score)
    print(json.dumps(best.plain(found)) if typed.json else "\n".join(best.in_lines(found)))
    return 0


def report(typed: argparse.Namespace) -> int:
    """Write the report and the table of trials as the study stands now, or compare two studies."""
    from sweeps.commands.conclude import write_table
    from sweeps.report.comparison import write_comparison
    from sweeps.report.page import write_report
    from sweeps.scoring.udr import refresh

    study = refresh(load_study(typed.study))
    if typed.other is not None:
        print(shown(write_comparison(study, refresh(load_study(typed.other)))))
        return 0
    write_table(study)
    print(shown(write_report(study, embed_all=typed.embed_all)))
    return 0


def confirm(typed: argparse.Namespace) -> int:
    """Train the best β and its neighbours on fresh seeds, and say whether they agree."""
    from sweeps.commands.confirm import confirm

    return confirm(load_study(typed.study), dry_run=typed.dry_run)


def logs(typed: argparse.Namespace) -> int:
    """Print a trial's log, and its error if it has failed."""
    study = load_study(typed.study)
    slug = study.slug_of(typed.trial)
    log = study.folder.trial(slug).log
    print(log.read_text(encoding="utf-8") if log.exists() else "(no log yet)")
    result = study.result(slug)
    if result is not None and result.error:
        print(result.error)
    return 0


def stop(typed: argparse.Namespace) -> int:
    """Write the stop file that every worker checks for."""
    study = load_study(typed.study)
    study.folder.stop.write_text("`sweeps stop`")
    print(
        f"{len(living_workers(study.folder.workers))} worker(s) will save what they train and stop"
    )
    return 0


def worker(typed: argparse.Namespace) -> int:
    """Take trials of a study in this process, beside whoever else does."""
    from sweeps.workers.logs import log_to
    from sweeps.workers.stopping import EXIT_WITHIN_S, StopRequest, stopping_on
    from sweeps.workers.worker import Worker

    study = load_study(typed.study)
    folder, name = study.folder, new_worker_name()
    if not is_locked(folder.orchestrator):
        folder.stop.unlink(missing_ok=True)  # of a command that has ended
    print(f"{name} works on {study.name}; Ctrl-C saves the running trial and stops", flush=True)
    stop_request = StopRequest(folder)
    with (
        log_to(folder.worker_log(name)),
        stopping_on(stop_request, signal.SIGINT, signal.SIGTERM, within_s=EXIT_WITHIN_S),
    ):
        Worker(study, name=name, detached=True, stop_request=stop_request).work()
    return Exit.INTERRUPTED if stop_request.is_signalled else Exit.COMPLETE


def dashboard(typed: argparse.Namespace) -> int:
    """Serve the study's dashboard until Ctrl-C."""
    from sweeps.commands.dashboard import LOOPBACK, serving

    with serving(load_study(typed.study), port=typed.port) as server:
        print(f"http://{LOOPBACK}:{server.server_port}/dashboard/  (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return Exit.COMPLETE


def workspace(typed: argparse.Namespace) -> int:
    """Build a workspace and say what is in it; push it if asked to."""
    from sweeps.tracking.workspace import build, outline, push

    studies = [load_study(folder) for folder in (typed.study, typed.other) if folder is not None]
    for line in outline(build(studies)):
        print(line)
    print(push(studies) if typed.push else "valid; --push writes it to W&B")
    return Exit.COMPLETE


def retry(typed: argparse.Namespace) -> int:
    """Queue failed trials again; the next run of the command takes them up."""
    from sweeps.queue.queue import Queue

    study = load_study(typed.study)
    wanted = dict(_condition(study, where) for where in typed.where)
    slugs = [
        trial.slug
        for trial in study.trials
        if study.states[trial.slug] == "failed"
        and all(text(trial.values[key]) == value for key, value in wanted.items())
    ]
    queued = Queue(study).retry(slugs)
    go_on = f"; go on with: {study.manifest.command}" if queued else ""
    print(f"{len(queued)} failed trial(s) queued again{go_on}")
    return 0


def _condition(study: Study, where: str) -> tuple[str, str]:
    """Return a key and the value wanted, as a trial writes it: 4.0 is 4."""
    key, equals, value = where.partition("=")
    known = study.trials[0].values
    if not equals or key not in known:
        raise ConfigError(f"--where {where}: expected KEY=VALUE with a key of {', '.join(known)}")
    try:
        return key, text(canonical(float(value)))
    except ValueError:
        return key, value


def list_studies(typed: argparse.Namespace) -> int:
    """List the studies of a folder with their counts."""
    if not Path(typed.runs).is_dir():
        raise ConfigError(f"{typed.runs}: no such folder; give one that holds studies, as in runs")
    manifests = sorted(Path(typed.runs).glob("*/manifest.json"))
    if not manifests:
        print(f"no study in {typed.runs}")
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("study", "complete", "failed", "left", "created"):
        table.add_column(heading, justify="left" if heading in ("study", "created") else "right")
    for path in manifests:
        table.add_row(*_in_brief(path.parent))
    Console(highlight=False).print(table, markup=False)
    return 0


def _in_brief(folder: Path) -> list[str]:
    """Return the cells of a study's row; one that cannot be read says so."""
    try:
        study = load_study(folder)
        counts = study.counts
    except BvaeError as error:
        return [folder.name, "", "", "", str(error)]
    complete = f"{counts['complete']}/{counts['expected']}"
    return [study.name, complete, str(counts["failed"]), str(study.left), study.manifest.created_at]
