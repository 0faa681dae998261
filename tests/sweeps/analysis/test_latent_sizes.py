"""How many latents: the smallest size that loses no more than the margin."""

import math

import numpy as np
import pytest

from sweeps.analysis.curve import Line
from sweeps.analysis.latent_sizes import compare_sizes, margin_of
from tests.doubles.curve_lines import line_of


def size(latent_dim: int, peak: float, *, sd: float = 0.01, seeds: int = 5) -> Line:
    """A line with its peak in the middle; deviations of the seeds sum to zero."""
    noise = np.random.default_rng(latent_dim).normal(size=(5, seeds))
    noise -= noise.mean(axis=1, keepdims=True)
    means = np.array([0.1, peak - 0.1, peak, peak - 0.1, 0.1])
    return line_of(means[:, None] + sd * noise, latent_dim=latent_dim)


def test_the_smallest_that_loses_little_is_named() -> None:
    """Whatever the larger ones gain is below the margin, with the interval that says so."""
    found = compare_sizes([size(5, 0.30), size(10, 0.31), size(20, 0.32)])
    assert (found.smallest, found.margin, found.more_seeds) == (5, 0.05, None)
    assert found.shown.gap == pytest.approx(-0.02)
    assert -0.05 <= found.shown.low < -0.02 < found.shown.high
    assert found.text.startswith("5 latents lose at most 0.0")
    assert found.text.endswith("against 20; about 5 are active: take 5")


def test_one_that_is_clearly_better_is_named() -> None:
    """Smaller ones lose more than the margin."""
    found = compare_sizes([size(5, 0.2), size(10, 0.4)])
    assert found.smallest == 10
    assert found.text.startswith("10 latents gain at least 0.1")


def test_few_seeds_name_none() -> None:
    """Where noise hides the difference, the number of seeds that would show it is given."""
    found = compare_sizes([size(5, 0.30, sd=0.1), size(10, 0.31, sd=0.1)])
    assert found.smallest is None
    assert found.more_seeds == found.shown.more_seeds
    many = found.more_seeds + 5
    enough = compare_sizes([size(5, 0.30, sd=0.1, seeds=many), size(10, 0.31, sd=0.1, seeds=many)])
    assert (enough.smallest is not None) or enough.more_seeds < found.more_seeds
    assert f"about {found.more_seeds} more seeds a configuration would tell" in found.text


def test_one_seed_has_no_interval() -> None:
    """Then nothing is named, and no number of seeds is made up."""
    found = compare_sizes([size(5, 0.3, seeds=1), size(10, 0.3, seeds=1)])
    assert (found.smallest, found.more_seeds) == (None, None)
    assert all(math.isnan(one.low) for one in found.sizes)


def test_collapsed_configurations_do_not_count() -> None:
    """They hardly vary, and would narrow the intervals."""
    wide = [size(5, 0.3, sd=0.1), size(10, 0.3, sd=0.1)]
    still = [
        line_of(
            np.vstack([line.values, np.zeros((4, 5))]), latent_dim=line.latent_dim, n_collapsed=4
        )
        for line in wide
    ]
    assert compare_sizes(still).sizes[0].low == pytest.approx(compare_sizes(wide).sizes[0].low)


def test_facets_are_not_compared() -> None:
    """The sizes of one learning rate, say."""
    lines = [size(5, 0.3), size(10, 0.3)]
    assert compare_sizes(lines, axes=(("lr", 1),)).text == "takes two latent sizes, has one"


def test_margins_of_representations_are_those_of_the_score() -> None:
    """Samples and active latents are scored alike."""
    assert margin_of("sap_sampled") == margin_of("sap") < margin_of("mig_active")
