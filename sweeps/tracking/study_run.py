"""The study as a run of its own beside those of its trials: table, charts, best β, verdict."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bvae import tracking
from bvae.files import with_tilde
from bvae.trial import TrackerSettings
from sweeps.analysis.curve import COLUMNS
from sweeps.analysis.summary import Summary
from sweeps.analysis.table import score_names
from sweeps.analysis.verdict import Judgement
from sweeps.study.manifest import Manifest
from sweeps.study.run_names import report_identity
from sweeps.study.study import Study
from sweeps.tracking.offline_files import fragments

if TYPE_CHECKING:
    from pandas import DataFrame

FAILURES_TOLD = 10
"""Lines on failed trials in a message."""


def track_report(
    read: Summary, page: Path, *, settings: TrackerSettings | None = None
) -> str | None:
    """Log how a study stands, unless it has been since its last result; a lone trial has no run.

    Args:
        read: the study as it stands on disk.
        page: its report, which the run tells the path of.
        settings: how it is tracked; as its trials are unless given.

    Returns:
        Why it could not be, or not online; None if all is well.
    """
    study = read.study
    settings = settings or study.manifest.tracker
    done = study.counts["complete"]
    if settings.name == "none" or len(study.trials) < 2 or not (done or settings.alert):
        return None
    if not _has_news(study):
        return None
    tracker = tracking.start(
        settings,
        folder=study.folder.root,
        identity=report_identity(study.manifest),
        config=_config(study.manifest),
    )
    if done:
        _log_report(tracker, read, page)
    if settings.log_model == "best":
        _log_model(tracker, read)
    if settings.alert:
        tracker.alert(*_alert(study), is_failure=bool(study.counts["failed"]))
    tracker.finish()
    return tracker.lost


def _log_report(tracker: tracking.Tracker, read: Summary, page: Path) -> None:
    study, done = read.study, read.study.counts["complete"]
    is_scored = read.objective in score_names(study)
    table = read.curve if is_scored else read.curve[read.curve["score"] != read.objective]
    tracker.log_table("curve", list(table.columns), list(_rows(table)), step=done)
    columns = ["line", "log10_beta", "beta", "latent_dim", "mean", "low", "high", "n"]
    lines = table[table["score"] == study.manifest.objective]
    tracker.log_table("objective_curve", columns, list(_lines(lines, columns)), step=done)
    for key, picture in (_charts(read) if is_scored else {}).items():
        tracker.log_picture(key, picture, step=done)
    answers = dict(_answers(read)) if is_scored else {}
    counts = {f"trials/{name}": number for name, number in study.counts.items()}
    tracker.summarise(answers | counts | {"report": with_tilde(str(page))})


def _log_model(tracker: tracking.Tracker, read: Summary) -> None:
    """Keep the weights of the best trial, which nothing changes any more, and what they are of."""
    best = None if read.overall is None else read.best_trial(read.overall)
    folder = None if best is None else read.study.folder.trial(best.slug)
    if best is None or folder is None or folder.weights is None:
        return
    tracker.log_model(
        re.sub(r"[^\w.-]", "-", f"{read.study.name}-model"),
        [folder.weights, folder.config],
        root=read.study.folder.root,
        metadata={**read.study.trial(best.slug).values, "trial": best.slug},
    )


def _alert(study: Study) -> tuple[str, str]:
    """Return the title and the text of the message on how a study has ended."""
    counts = study.counts
    said = [f"{counts['complete']} of {counts['expected']} trials complete"]
    said += [f"{counts[state]} {state}" for state in ("failed", "pruned") if counts[state]]
    said += [f"{study.left} left"] if study.left else []
    how = "with failures" if counts["failed"] else "stopped" if study.left else "complete"
    return f"{study.name}: {how}", "\n".join([", ".join(said), *study.failures[:FAILURES_TOLD]])


def _has_news(study: Study) -> bool:
    """Whether a result is younger than what the run was last told."""
    run_id = report_identity(study.manifest).run_id
    told = [one.path for one in fragments(study.folder.wandb) if one.run_id == run_id]
    results = [study.folder.trial(slug).result for slug in study.results]
    told_at = max((path.stat().st_mtime_ns for path in told), default=0)
    return any(path.stat().st_mtime_ns > told_at for path in results)


def _config(manifest: Manifest) -> dict[str, Any]:
    names = ("protocol", "objective", "lattice", "image_size", "command", "axes")
    named = {name: {"name": getattr(manifest, name)} for name in ("data", "model")}
    own = {name: getattr(manifest, name) for name in names}
    return named | own | {"trials": len(manifest.trials)}


def _rows(table: "DataFrame") -> Iterator[list[object]]:
    """Yield the rows as plain values, missing ones as None."""
    for row in table.astype(object).itertuples(index=False):
        yield [None if isinstance(x, float) and math.isnan(x) else x for x in row]


def _lines(table: "DataFrame", columns: Sequence[str]) -> Iterator[list[object]]:
    """Yield the rows of one score for a chart with a line for each latent size, and each facet."""
    axes = list(table.columns[len(COLUMNS) :])
    names = table[["latent_dim", *axes]].astype(str).agg(" ".join, axis=1)
    added = table.assign(line=names, log10_beta=np.log10(table["beta"].astype(float)))
    yield from _rows(added[list(columns)])


def _charts(read: Summary) -> dict[str, Path]:
    """Draw the curve and the heat map of the objective."""
    from sweeps.report.drawings import draw_curve, draw_heat_map  # vl-convert

    folder = read.study.folder
    return {
        "charts/curve": draw_curve(read, folder.chart("curve")),
        "charts/heat_map": draw_heat_map(read, folder.chart("heat_map")),
    }


def _answers(read: Summary) -> Iterator[tuple[str, float | str]]:
    """Yield what the report says of every latent size: best β, its score and interval, verdict."""
    for one in read.judgements(read.objective):
        where = "/".join(["best", *(f"{key}={value}" for key, value in one.axes)])
        yield from _answer(one, f"{where}/m{one.latent_dim:02d}")
    latents = read.latents(read.objective)
    yield "best/latents/text", latents.text
    if latents.smallest is not None:
        yield "best/latents/smallest", latents.smallest


def _answer(one: Judgement, where: str) -> Iterator[tuple[str, float | str]]:
    yield f"{where}/verdict", str(one.verdict)
    yield f"{where}/text", one.text
    if one.fall is not None:
        yield f"{where}/fall", str(one.fall)
    if one.best is not None:
        yield f"{where}/beta", one.best.beta
        for name in ("mean", "low", "high"):
            value = getattr(one.best, name)
            if math.isfinite(value):
                yield f"{where}/{name}", value
