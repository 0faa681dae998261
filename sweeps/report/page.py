"""Writes a study's report: one HTML page that needs no network and opens from a file."""

from pathlib import Path

from bvae.files import write_atomically
from sweeps.analysis.budget import budget
from sweeps.analysis.confirmation import confirmation
from sweeps.analysis.curve import write_curve
from sweeps.analysis.summary import Summary, summarize
from sweeps.labels import score_label
from sweeps.report.answer import best_answer, best_model, gallery, in_words, score_answers
from sweeps.report.claims import latent_claims, score_claims
from sweeps.report.drawings import charted, curves, heat_maps, tradeoffs
from sweeps.report.header import header
from sweeps.report.latents import latent_views
from sweeps.report.pictures import pictures_of
from sweeps.report.tables import columns, csv_address, failures, trial_rows
from sweeps.report.templates import template
from sweeps.report.viewer import viewer_data
from sweeps.study.command import quoted
from sweeps.study.study import Study


def write_report(study: Study, *, command: str | None = None, embed_all: bool = False) -> Path:
    """Write `report/index.html` and `report/curve.csv` of a study, finished or not.

    Args:
        study: as it stands on disk.
        command: what the reader types to run or go on with the study; the manifest's by default.
        embed_all: put the pictures of every trial into the page, not only those of the best.

    Returns:
        The path of the page.
    """
    read = summarize(study)
    path = study.folder.page
    page = render(read, command=command or study.manifest.command, embed_all=embed_all)
    write_curve(study.folder.curve, read.curve)
    write_atomically(path, page)
    return path


def render(read: Summary, *, command: str, embed_all: bool = False) -> str:
    """Return the page as text."""
    scores = charted(read)
    answers = score_answers(read, scores=scores, command=command)
    return template("page.html").render(
        title=read.study.name,
        header=header(read, command=command),
        objective=read.objective,
        objective_label=score_label(read.objective),
        scores=[(name, score_label(name)) for name in scores],
        chosen=scores[0] if scores else "",
        so_far=read.in_progress,
        best=in_words(read, read.overall) if read.overall else None,
        model=best_model(read, read.overall, command=command) if read.overall else None,
        confirmation=confirmation(read.study),
        answers=answers,
        why=best_answer(read, answers),
        budget=budget(read, command=command),
        curves=curves(read),
        floor=bool(read.floors),
        heat_maps=heat_maps(read) if len(read.cells) > 1 else [],
        tradeoffs=tradeoffs(read) if len(read.cells) > 1 else [],
        latents=latent_views(read),
        gallery=gallery(read, command=command),
        claims=score_claims(read, scores=scores),
        latent_claims=latent_claims(read),
        columns=columns(read),
        rows=trial_rows(read),
        failures=failures(read),
        address=quoted(read.study.folder.root),
        csv=csv_address(read),
        viewer=viewer_data(read),
        pictures=_all_pictures(read) if embed_all else {},
    )


def _all_pictures(read: Summary) -> dict[str, dict[str, str]]:
    found = {
        trial.slug: pictures_of(read.study.trial_folder(trial.slug)).known for trial in read.trials
    }
    return {slug: pictures for slug, pictures in found.items() if pictures}
