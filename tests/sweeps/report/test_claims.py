"""The paper's claims by every score."""

from typing import Any

from sweeps.analysis.summary import summarize
from sweeps.report.claims import latent_claims, score_claims


def test_claims_follow_the_score(make_study: Any, trials_of: Any) -> None:
    """Each score answers for itself, under its name; the first is shown."""
    read = summarize(make_study(trials_of()))
    mig, beta_vae = score_claims(read, scores=("mig", "beta_vae"))

    assert [(one.score, one.shown) for one in (mig, beta_vae)] == [
        ("mig", True),
        ("beta_vae", False),
    ]
    assert [one.claim for one in mig.claims] == [one.claim for one in beta_vae.claims]
    lost = [one for one in beta_vae.claims if "costs" in one.claim]
    assert [claim.about for claim in lost] == ["5 latents", "10 latents"]
    assert all(claim.text.startswith("Higgins (β-VAE) score lost by") for claim in lost)
    assert ["MIG lost by"] * 2 == [c.text[:11] for c in mig.claims if "costs" in c.claim]


def test_latents_are_claimed_of_once(make_study: Any, trials_of: Any) -> None:
    """What the KL says does not go by a score; without codes it says nothing."""
    read = summarize(make_study(trials_of()))
    by_score = score_claims(read, scores=("mig", "beta_vae"))

    assert not [one for scored in by_score for one in scored.claims if "KL" in one.claim]
    assert latent_claims(read) == []


def test_facets_are_named(make_study: Any, trials_of: Any) -> None:
    """A claim is about one value of each further axis."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), model=("mlp", "conv"))
    (found,) = score_claims(summarize(make_study(trials)), scores=("mig",))

    assert {claim.about for claim in found.claims} == {
        "model=conv", "model=mlp", "model=conv, 5 latents", "model=mlp, 5 latents",
    }  # fmt: skip
