"""The paper's claims by every score."""

from typing import Any

from sweeps.analysis.summary import summarize
from sweeps.report.claims import paper_claims
from tests.doubles.reported import sections_of_page


def test_claims_follow_the_score(make_study: Any, trials_of: Any) -> None:
    """Each score answers for itself, under its name."""
    found = paper_claims(summarize(make_study(trials_of())))

    assert found is not None
    mig, beta_vae = found.by_score["mig"], found.by_score["beta_vae"]
    assert [one.claim for one in mig] == [one.claim for one in beta_vae]
    lost = [one for one in beta_vae if "costs" in one.claim]
    assert [claim.latent_dim for claim in lost] == [5, 10]
    assert all(claim.text.startswith("Higgins (β-VAE) score lost by") for claim in lost)
    assert ["MIG lost by"] * 2 == [claim.text[:11] for claim in mig if "costs" in claim.claim]


def test_latents_are_claimed_of_once(make_study: Any, trials_of: Any) -> None:
    """What the KL says does not go by a score; without codes it says nothing."""
    found = paper_claims(summarize(make_study(trials_of())))

    assert found is not None
    assert not [one for claims in found.by_score.values() for one in claims if "KL" in one.claim]
    assert not found.of_latents


def test_folded_claims_are_counted(make_study: Any, trials_of: Any) -> None:
    """How many have which answer, by the score shown first, stands on what unfolds them."""
    study = make_study(trials_of())
    found = paper_claims(summarize(study))
    assert found is not None
    answers = [str(claim.answer) for claim in found.by_score["mig"]]
    counts = dict(part.split(" ", 1)[::-1] for part in found.summary.split(", "))

    assert counts == {answer: str(answers.count(answer)) for answer in answers}
    assert f"<summary>{found.summary}</summary>" in sections_of_page(study, "claims")


def test_facets_are_named(make_study: Any, trials_of: Any) -> None:
    """A claim is about one value of each further axis."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), model=("mlp", "conv"))
    page = sections_of_page(make_study(trials), "claims")
    claims = page[page.index('<section id="claims"') :]

    for about in ("model=conv", "model=mlp", "model=conv, 5 latents", "model=mlp, 5 latents"):
        assert f" ({about})</strong>" in claims
