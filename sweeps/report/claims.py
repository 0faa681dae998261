"""The paper's claims as every score of a study answers them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.claims import Claim, check_claims, informative_latents_carry_the_kl
from sweeps.report.digest import Digest, facet_name
from sweeps.report.labels import score_label
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


def score_claims(read: Digest, *, scores: Sequence[str]) -> list[ScoreClaims]:
    """Return the claims by every score; the first is shown until another one is chosen."""
    of_latents = _of_latents(read) if scores else []
    return [
        ScoreClaims(score, score_label(score), i == 0, _views(read, score, of_latents))
        for i, score in enumerate(scores)
    ]


def _of_latents(read: Digest) -> list[Claim]:
    """Return the claims that are the same by every score."""
    latents = latent_table(read)
    if latents is None:
        return []
    return informative_latents_carry_the_kl(latents, axes=read.study.manifest.axes)


def _views(read: Digest, score: str, of_latents: Sequence[Claim]) -> list[ClaimView]:
    manifest = read.study.manifest
    n_factors = len(manifest.lattice.split("x")) if manifest.lattice else None
    of_score = check_claims(read.frame, score=score, axes=manifest.axes, n_factors=n_factors)
    return [
        ClaimView(
            about=_about(claim),
            claim=claim.claim,
            answer=str(claim.answer),
            text=re.sub(rf"^{re.escape(score)}\b", score_label(score), claim.text),
        )
        for claim in (*of_score, *of_latents)
    ]


def _about(claim: Claim) -> str:
    size = "" if claim.latent_dim is None else f"{claim.latent_dim} latents"
    return ", ".join(part for part in (facet_name(claim.axes), size) if part)
