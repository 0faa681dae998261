"""Writes a study's report: one HTML page that needs no network and opens from a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bvae.files import write_atomically
from sweeps.analysis.curve import write_curve
from sweeps.analysis.summary import Summary
from sweeps.report.answer import all_scores, best_answer
from sweeps.report.chosen import page_data
from sweeps.report.claims import paper_claims
from sweeps.report.drawings import Drawing, curves, heat_maps, tradeoffs
from sweeps.report.header import header
from sweeps.report.latents import latent_views
from sweeps.report.learning import learning
from sweeps.report.tables import failures, trial_table
from sweeps.report.templates import Section, part, template
from sweeps.report.vega import check_machine
from sweeps.study.command import sweeps


@dataclass(frozen=True)
class Landscape:
    """The charts that stand beside each other below the curve."""

    heat_maps: Sequence[Drawing]
    tradeoffs: Sequence[Drawing]


def landscape(read: Summary) -> Landscape | None:
    """Return heat maps and trade-offs, None where there is one configuration only."""
    maps, offs = heat_maps(read), tradeoffs(read)
    return None if maps is None or offs is None else Landscape(maps, offs)


SECTIONS = (
    Section("state", "The study", header),
    Section("answer", "Answer", best_answer),
    Section("curves", "Score against β", curves),
    Section("chosen", "The chosen configuration", page_data),
    Section("verdicts", "Every latent size, every score", all_scores),
    Section("landscape", "β × latent size, and reconstruction", landscape),
    Section("learning", "Learning curves", learning),
    Section("latents", "What the latents hold", latent_views),
    Section("claims", "What the paper claims, on this study", paper_claims),
    Section("failures", "Failed trials", failures),
    Section("trials", "All trials", trial_table),
    Section("about", "About this study", header),
)
"""The page from top to bottom; `chosen` stands beside the others where there is room."""

LINKS = {
    "answer": "Answer",
    "curves": "Curve",
    "chosen": "Model",
    "verdicts": "Scores",
    "landscape": "Heat map",
    "learning": "Learning",
    "latents": "Latents",
    "claims": "Paper",
    "failures": "Failed",
    "trials": "Trials",
    "about": "About",
}
"""The list of sections, in a word each."""

KINDS = {
    "animation": "Every latent moving",
    "reconstructions": "Input over output",
    "traversal": "One latent a row, by KL",
}
"""What stands above the pictures of a trial, by kind."""


def write_report(read: Summary, *, embed_all: bool = False) -> Path:
    """Write `report/index.html` and `report/curve.csv` of a study, finished or not.

    Args:
        read: the study as it stands on disk.
        embed_all: put the pictures of every trial into the page, not only those of the best.

    Returns:
        The path of the page.

    Raises:
        ConfigError: charts cannot be drawn here; the curve's numbers are written.
    """
    write_curve(read.study.folder.curve, read.curve)
    check_machine()
    path = read.study.folder.page
    write_atomically(path, render(read, embed_all=embed_all))
    return path


def render(read: Summary, *, embed_all: bool = False) -> str:
    """Return the page as text; a section that fails is a note, and the others stand."""
    shown = {"chosen": partial(page_data, embed_all=True)} if embed_all else {}
    shared = {
        "study": read.study,
        "retry": sweeps("retry", read.study.folder.root),
        "objective": read.objective,
        "scores": read.charted,
        "so_far": read.in_progress,
        "untrained": bool(read.untrained),
        "kinds": KINDS,
    }
    parts = {
        one.name: part(
            one._replace(show=shown.get(one.name, one.show)),
            read,
            name=read.study.name,
            shared=shared,
        )
        for one in SECTIONS
    }
    links = [(name, label) for name, label in LINKS.items() if parts[name]]
    return template("page.html").render(
        title=read.study.name, parts=parts, links=links, so_far=read.in_progress
    )
