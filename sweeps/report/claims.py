"""The paper's claims as every score of a study answers them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeps.analysis.paper_claims import PaperClaim, check_claims, informative_latents_carry_the_kl
from sweeps.analysis.summary import Summary
from sweeps.report.latents import latent_table


@dataclass(frozen=True)
class PaperClaims:
    """The claims by each score, and those about single latents, which are the same by any."""

    by_score: Mapping[str, Sequence[PaperClaim]]
    of_latents: Sequence[PaperClaim]


def paper_claims(read: Summary, *, scores: Sequence[str] | None = None) -> PaperClaims | None:
    """Return the claims by these scores, by default all; None where no trial has a score."""
    by_score = {score: _of_score(read, score) for score in scores or read.charted}
    if not by_score:
        return None
    return PaperClaims(by_score, _of_latents(read))


def _of_score(read: Summary, score: str) -> Sequence[PaperClaim]:
    manifest = read.study.manifest
    return check_claims(read.population, score=score, n_factors=manifest.n_factors)


def _of_latents(read: Summary) -> Sequence[PaperClaim]:
    latents = latent_table(read)
    if latents is None:
        return ()
    return informative_latents_carry_the_kl(latents, axes=read.study.manifest.axes)
