"""The bars of latents, by their KL."""

from itertools import pairwise

import pytest

from sweeps.report import charts
from tests.doubles.svgs import Drawn


def test_it_is_sorted_and_active_latents_are_marked() -> None:
    """The largest KL comes first; so many bars have the strong colour."""
    drawn = Drawn(charts.kl([0.1, 2.0, 1.0], n_active=2))
    bars = drawn.of("bar")

    assert [one.y for one in bars] == pytest.approx([0, 50, 95])
    assert [one.style["fill"] for one in bars] == [
        "var(--line-0)",
        "var(--line-0)",
        "var(--edge)",
    ]
    assert [one.text for one in drawn.axis("X")] == ["z1", "z2", "z0"]


@pytest.mark.parametrize(
    ("kl_nats", "top"), [([0.0, 0.0], 0.1), ([1e-6, 0.01], 0.1), ([2.0, 0.5], 2.0)], ids=str
)
def test_a_latent_that_carries_nothing_has_no_bar(kl_nats: list[float], top: float) -> None:
    """The KL of a collapsed model is not drawn as tall as that of one that is not."""
    drawn = Drawn(charts.kl(kl_nats, n_active=0))
    tallest = drawn.of("bar")[0]

    assert float(drawn.axis("Y")[-1].text) == top
    assert 100 - tallest.y == pytest.approx(100 * max(kl_nats) / top, abs=0.1)


def test_names_of_many_latents_do_not_overlap() -> None:
    """Some are left out."""
    shown = Drawn(charts.kl([1.0] * 64, n_active=64)).axis("X")

    assert 5 < len(shown) < 64
    assert min(right.x - left.x for left, right in pairwise(shown)) > 12
