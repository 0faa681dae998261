import numpy as np
import pytest

from bvae.exceptions import ConfigError
from bvae.metrics.protocols import FAST, LOCATELLO_2019, PROTOCOLS, protocol_named
from bvae.metrics.scores import SCORE_NAMES
from bvae.metrics.scoring import score_table


def test_names_are_kept_with_the_settings() -> None:
    """A protocol is found under the name that it records."""
    assert all(protocol.name == name for name, protocol in PROTOCOLS.items())
    assert set(PROTOCOLS) == {"higgins2017", "locatello2019", "kim2018", "fast"}


def test_published_settings_are_as_published() -> None:
    """Pairs, points, votes and factors of the papers do not change by accident."""
    published = {
        "higgins2017": (12, "softmax", 3, 0),
        "locatello2019": (64, "ridge", 2, None),
        "kim2018": (200, "softmax", 3, None),
    }
    found = {
        name: (p.n_pairs, p.classifier, p.n_evaluations, p.dropped)
        for name, p in PROTOCOLS.items()
        if name != "fast"
    }

    assert published == found
    assert (10_000, 5_000) == (LOCATELLO_2019.n_train, LOCATELLO_2019.n_eval)
    assert (10_000, 5_000) == (LOCATELLO_2019.n_train_votes, LOCATELLO_2019.n_eval_votes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("higgins2017", (0.810, 0.776, 0.039)),
        ("locatello2019", (0.871, 0.440, 0.056)),
        ("kim2018", (0.992, 0.0, 0.047)),
        ("fast", (0.643, 0.438, 0.056)),
    ],
)
def test_the_numbers_under_a_name_stay(name: str, expected: tuple[float, float, float]) -> None:
    """A study can be compared with an older one; the code is small, and its latents unlike."""
    rng = np.random.default_rng(1)
    factors = np.indices((3, 2, 4, 5, 3)).reshape(5, -1).T
    mixed = (factors / factors.max(axis=0) - 0.5) * 3 @ rng.normal(size=(5, 6))
    noisy = mixed + 0.7 * np.tanh(mixed) + 0.1 * rng.normal(size=mixed.shape)
    codes = noisy * [0.05, 0.05, 0.05, 0.015, 0.015, 0.015]
    found = score_table(codes, factors, protocol=name, only=("beta_vae", "factor_vae", "sap"))

    assert expected == pytest.approx(tuple(found.values().values()), abs=0.01)


def test_fast_leaves_dci_out() -> None:
    """It takes five times as long as all others together."""
    assert [name for name in SCORE_NAMES if "dci" not in name] == list(FAST.scores)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    """A wrong name lists the right ones."""
    with pytest.raises(ConfigError, match=r"among higgins2017, .*fast, but got 'higgins'"):
        protocol_named("higgins")
