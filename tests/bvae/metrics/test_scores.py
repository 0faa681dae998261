import subprocess
import sys

import pytest

from bvae.metrics.protocols import PROTOCOLS
from bvae.metrics.scores import SCORE_NAMES, UDR_NAMES, Score, score_named


@pytest.mark.parametrize(
    ("name", "label", "representation"),
    [
        ("mig", "MIG", "mean"),
        ("mig_sampled", "MIG, sampled codes", "sampled"),
        ("beta_vae_active", "Higgins (β-VAE) score, active latents only", "active"),
        ("udr_spearman", "UDR (Spearman)", "mean"),
    ],
)
def test_a_known_score(name: str, label: str, representation: str) -> None:
    """It has a label, and its name says what it is computed on."""
    found = score_named(name)

    assert (name, label, representation) == (found.name, found.label, found.representation)


@pytest.mark.parametrize("name", ["my_score", "my_score_active", "udr_active", "_active", "loss"])
def test_an_unknown_score(name: str) -> None:
    """It is called as it is, belongs to a trial, and may have any value."""
    found = score_named(name)

    assert Score(name, name, low=-float("inf"), high=float("inf")) == found


def test_udr_alone_belongs_to_a_configuration() -> None:
    """All other scores are those of one trial."""
    trial_scores = [name for one in PROTOCOLS.values() for name in one.score_names]

    assert {"udr", "udr_spearman"} == set(UDR_NAMES)
    assert all(score_named(name).per_configuration for name in UDR_NAMES)
    assert not any(score_named(name).per_configuration for name in trial_scores)


def test_ranges() -> None:
    """From 0 to 1, but for the UDR by Lasso, which shrinks what is equal to 0.9."""
    known = [score_named(name) for name in (*SCORE_NAMES, *UDR_NAMES)]

    assert {0.0} == {score.low for score in known}
    assert {"udr": 0.9} == {score.name: score.high for score in known if score.high != 1}


@pytest.mark.parametrize("module", ["scores", "protocols"])
def test_names_are_cheap(module: str) -> None:
    """Asking which scores there are loads no array library and no metric."""
    unwanted = ("numpy", "scipy", "sklearn", "bvae.metrics.scoring", "bvae.metrics.beta_vae")
    loaded = f"[name for name in {unwanted} if name in sys.modules]"
    code = f"import sys, bvae.metrics.{module}; sys.exit(str({loaded}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "[]" == done.stderr.strip()


def test_the_function_is_found_whatever_was_imported_before() -> None:
    """`bvae.metrics.score` is the function, and no module hides it."""
    code = "import bvae.metrics.scoring, bvae.metrics.scores as _, bvae; print(bvae.metrics.score)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("<function score ")
