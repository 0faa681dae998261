"""The paper's claims as every score of a study answers them."""

from collections import Counter
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

    @property
    def summary(self) -> str:
        """How many claims, by the score shown first, have which answer."""
        first = next(iter(self.by_score.values()))
        counts = Counter(str(claim.answer) for claim in (*first, *self.of_latents))
        return ", ".join(f"{number} {answer}" for answer, number in counts.items())


def paper_claims(read: Summary) -> PaperClaims | None:
    """Return the claims by every score; None where no trial has a score."""
    n_factors, axes = read.study.manifest.n_factors, read.study.manifest.axes
    by_score = {
        score: check_claims(read.population, score=score, n_factors=n_factors)
        for score in read.charted
    }
    if not by_score:
        return None
    latents = latent_table(read)
    of_latents = () if latents is None else informative_latents_carry_the_kl(latents, axes=axes)
    return PaperClaims(by_score, of_latents)
