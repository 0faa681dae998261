from dataclasses import replace

import pytest

from bvae.exceptions import ConfigError
from bvae.metrics.protocols import FAST, LOCATELLO_2019, PROTOCOLS, protocol_named
from bvae.metrics.scores import SCORE_NAMES


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


def test_fast_is_locatello_with_fewer_points_and_pairs() -> None:
    """Only the number of points and pairs and the choice of scores differ."""
    restored = replace(
        FAST,
        name="locatello2019",
        scores=SCORE_NAMES,
        n_pairs=64,
        n_train=10_000,
        n_eval=5_000,
        n_train_votes=10_000,
        n_eval_votes=5_000,
    )

    assert restored == LOCATELLO_2019
    assert not any(name.startswith("dci") for name in FAST.scores)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    """A wrong name lists the right ones."""
    with pytest.raises(ConfigError, match=r"among higgins2017, .*fast, but got 'higgins'"):
        protocol_named("higgins")
