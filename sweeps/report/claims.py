"""The paper's claims as every score of a study answers them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.analysis.paper_claims import PaperClaim, check_claims, informative_latents_carry_the_kl
from sweeps.analysis.summary import Summary, facet_name
from sweeps.labels import score_label
from sweeps.report.latents import latent_table


@dataclass(frozen=True)
class ClaimView:
    """A claim, the facet and latent size it is about, and the answer in words."""

    about: str
    claim: str
    answer: str
    text: str


@dataclass(frozen=True)
class ScoreClaims:
    """The claims by one score."""

    score: str
    label: str
    shown: bool
    claims: list[ClaimView]


def score_claims(read: Summary, *, scores: Sequence[str]) -> list[ScoreClaims]:
    """Return the claims by every score; the first is shown until another one is chosen."""
    return [
        ScoreClaims(score, score_label(score), i == 0, _of_score(read, score))
        for i, score in enumerate(scores)
    ]


def latent_claims(read: Summary) -> list[ClaimView]:
    """Return the claims about single latents, which no score but the objective changes."""
    latents = latent_table(read)
    if latents is None:
        return []
    found = informative_latents_carry_the_kl(latents, axes=read.study.manifest.axes)
    return [_view(claim, claim.text) for claim in found]


def _of_score(read: Summary, score: str) -> list[ClaimView]:
    manifest = read.study.manifest
    n_factors = len(manifest.lattice.split("x")) if manifest.lattice else None
    found = check_claims(read.population, score=score, n_factors=n_factors)
    named = rf"^{re.escape(score)}\b"
    return [_view(one, re.sub(named, score_label(score), one.text)) for one in found]


def _view(claim: PaperClaim, text: str) -> ClaimView:
    return ClaimView(_about(claim), claim.claim, str(claim.answer), text)


def _about(claim: PaperClaim) -> str:
    size = "" if claim.latent_dim is None else f"{claim.latent_dim} latents"
    return ", ".join(part for part in (facet_name(claim.axes), size) if part)
