"""Writes a study's report: one HTML page that needs no network and opens from a file."""

import re
from dataclasses import dataclass
from pathlib import Path

from bvae.files import write_atomically
from sweeps.claims import Claim, check_claims
from sweeps.curve import write_curve
from sweeps.flags import Flag, flags
from sweeps.report.answer import best_model, gallery, in_words, line_answers
from sweeps.report.digest import Digest, digest, facet_name
from sweeps.report.drawings import charted, curves, heat_maps, tradeoffs
from sweeps.report.header import header
from sweeps.report.labels import score_label
from sweeps.report.latents import latent_table, latent_views
from sweeps.report.pictures import pictures_of
from sweeps.report.tables import columns, csv_address, failures, trial_rows
from sweeps.report.templates import template
from sweeps.report.viewer import viewer_data
from sweeps.study import Study


@dataclass(frozen=True)
class ClaimView:
    """A claim, the facet and latent size it is about, and the answer in words."""

    about: str
    claim: str
    answer: str
    text: str


def write_report(study: Study, *, command: str | None = None, embed_all: bool = False) -> Path:
    """Write `report/index.html` and `report/curve.csv` of a study, finished or not.

    Args:
        study: as it stands on disk.
        command: what the reader types to run or go on with the study; the manifest's by default.
        embed_all: put the pictures of every trial into the page, not only those of the best.

    Returns:
        The path of the page.
    """
    read = digest(study)
    path = study.folder.report / "index.html"
    page = render(read, command=command or study.manifest.command, embed_all=embed_all)
    write_curve(study.folder.report / "curve.csv", read.curve)
    write_atomically(path, page)
    return path


def render(read: Digest, *, command: str, embed_all: bool = False) -> str:
    """Return the page as text."""
    scores = charted(read)
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
        lines=line_answers(read, command=command),
        curves=curves(read),
        heat_maps=heat_maps(read) if len(read.cells) > 1 else [],
        tradeoffs=tradeoffs(read) if len(read.cells) > 1 else [],
        latents=latent_views(read),
        gallery=gallery(read, command=command),
        claims=claims(read) if scores else [],
        flags=[str(flag) for flag in _flags(read)] if scores else [],
        columns=columns(read),
        rows=trial_rows(read),
        failures=failures(read),
        csv=csv_address(read),
        viewer=viewer_data(read),
        pictures=_all_pictures(read) if embed_all else {},
    )


def claims(read: Digest) -> list[ClaimView]:
    """Return the paper's claims as the study answers them, each with the cells it is about."""
    manifest = read.study.manifest
    n_factors = len(manifest.lattice.split("x")) if manifest.lattice else None
    found = check_claims(
        read.frame,
        score=read.objective,
        axes=manifest.axes,
        n_factors=n_factors,
        latents=latent_table(read),
    )
    label = score_label(read.objective)
    return [
        ClaimView(
            about=_about(claim),
            claim=claim.claim,
            answer=str(claim.answer),
            text=re.sub(rf"^{re.escape(read.objective)}\b", label, claim.text),
        )
        for claim in found
    ]


def _flags(read: Digest) -> tuple[Flag, ...]:
    """Return the cells whose objective depends on how it is read."""
    return flags(read.frame, score_names=[read.objective], axes=read.study.manifest.axes)


def _about(claim: Claim) -> str:
    size = "" if claim.latent_dim is None else f"{claim.latent_dim} latents"
    return ", ".join(part for part in (facet_name(claim.axes), size) if part)


def _all_pictures(read: Digest) -> dict[str, dict[str, str]]:
    found = {
        trial.slug: pictures_of(read.study.trial_folder(trial.slug)).known for trial in read.trials
    }
    return {slug: pictures for slug, pictures in found.items() if pictures}
