"""Writes a study's report: one HTML page that needs no network and opens from a file."""

from functools import partial
from pathlib import Path

from bvae.files import write_atomically
from sweeps.analysis.curve import write_curve
from sweeps.analysis.summary import Summary
from sweeps.report.answer import best_answer, gallery, score_answers
from sweeps.report.claims import paper_claims
from sweeps.report.drawings import curves, heat_maps, tradeoffs
from sweeps.report.header import header
from sweeps.report.latents import latent_views
from sweeps.report.pictures import viewer_data
from sweeps.report.tables import failures, trial_table
from sweeps.report.templates import Section, part, template
from sweeps.study.command import quoted

SECTIONS = (
    Section("header", "The study", header),
    Section("answer", "The best configuration", best_answer),
    Section("curves", "Score against β", curves),
    Section("verdicts", "The best β of each latent size", score_answers),
    Section("heat-maps", "β × latent size", heat_maps),
    Section("tradeoffs", "Reconstruction against disentanglement", tradeoffs),
    Section("latents", "What the latents hold", latent_views),
    Section("pictures", "Pictures of the best models", gallery),
    Section("claims", "What the paper claims, on this study", paper_claims),
    Section("failures", "Failed trials", failures),
    Section("trials", "All trials", trial_table),
    Section("viewer", "Pictures of every trial", viewer_data),
)
"""The page from top to bottom; `viewer` is what its script knows."""

EMBEDDED = Section("viewer", "Pictures of every trial", partial(viewer_data, embed_all=True))


def write_report(read: Summary, *, embed_all: bool = False) -> Path:
    """Write `report/index.html` and `report/curve.csv` of a study, finished or not.

    Args:
        read: the study as it stands on disk.
        embed_all: put the pictures of every trial into the page, not only those of the best.

    Returns:
        The path of the page.
    """
    path = read.study.folder.page
    page = render(read, embed_all=embed_all)
    write_curve(read.study.folder.curve, read.curve)
    write_atomically(path, page)
    return path


def render(read: Summary, *, embed_all: bool = False) -> str:
    """Return the page as text; a section that fails is a note, and the others stand."""
    sections = (*SECTIONS[:-1], EMBEDDED) if embed_all else SECTIONS
    shared = {
        "study": read.study,
        "folder": quoted(read.study.folder.root),
        "objective": read.objective,
        "scores": read.charted,
        "so_far": read.in_progress,
        "untrained": bool(read.untrained),
    }
    parts = {one.name: part(one, read, name=read.study.name, shared=shared) for one in sections}
    return template("page.html").render(title=read.study.name, parts=parts)
