from collections.abc import Sequence

import pandas as pd
import pytest

from tests.doubles.frames import flags


def frame(**columns: Sequence[float | None] | pd.Series) -> pd.DataFrame:
    """Two configurations of two seeds, all complete."""
    return pd.DataFrame(
        {
            "beta": [1.0, 1.0, 4.0, 4.0],
            "latent_dim": 5,
            "seed": [0, 1, 0, 1],
            "state": "complete",
            "beta_norm": 0.01,
            "active_latents": 3,
            "protocol": "fast",
            "mig": [0.2, 0.3, 0.4, 0.5],
            **columns,
        }
    )


def test_a_configuration_where_samples_score_lower() -> None:
    """The configuration, both values and their difference are given; no other is mentioned."""
    (flag,) = flags(frame(mig_sampled=[0.2, 0.3, 0.3, 0.4]), score_names=["mig"])

    assert (5, 4.0, "mig", "mig_sampled") == (flag.latent_dim, flag.beta, flag.score, flag.other)
    assert (0.45, 0.35) == pytest.approx((flag.value, flag.other_value))
    assert -0.1 == pytest.approx(flag.difference)
    assert "beta=4 latent_dim=5  mig 0.450, on samples 0.350 (-0.100)" == str(flag)


@pytest.mark.parametrize(("shift", "count"), [(0.049, 0), (-0.049, 0), (0.051, 2), (-0.051, 2)])
def test_more_than_five_hundredths(shift: float, count: int) -> None:
    """Either sign counts, from .05 on."""
    found = flags(frame(mig_active=frame()["mig"] + shift), score_names=["mig"])
    assert count == len(found)


def test_both_readings_are_looked_at_once() -> None:
    """Names of readings stand for their score, and do not repeat it."""
    table = frame(mig_sampled=[0.2, 0.3, 0.3, 0.4], mig_active=[0.3, 0.4, 0.4, 0.5])
    found = flags(table, score_names=["mig", "mig_sampled", "mig_active"])
    assert [("mig_sampled", 4.0), ("mig_active", 1.0)] == [(f.other, f.beta) for f in found]


def test_only_seeds_with_both_values_are_compared() -> None:
    """A seed whose sampled score is missing does not shift the configuration's mean."""
    table = frame(mig=[0.2, 0.6, 0.4, 0.5], mig_sampled=[0.2, None, 0.4, 0.5])
    assert () == flags(table, score_names=["mig"])


def test_seeds_are_averaged_before_they_are_compared() -> None:
    """Differences of opposite sign cancel: a configuration is a point of the curve."""
    assert () == flags(frame(mig_sampled=[0.3, 0.2, 0.5, 0.4]), score_names=["mig"])


def test_no_other_reading() -> None:
    """Without log-variances there is nothing to compare."""
    assert () == flags(frame(), score_names=["mig"])


def test_further_axes_part_configurations() -> None:
    """A configuration of one model says nothing of the other's."""
    table = frame(mig_sampled=[0.3, 0.4, 0.5, 0.6])
    table = table.assign(model=["mlp", "conv", "mlp", "conv"])
    found = flags(table, score_names=["mig"], axes=["model"])
    assert 4 == len(found)
    assert (("model", "conv"),) == found[0].axes
    assert "model=conv  mig" in str(found[0])


def test_null_is_written_as_typed() -> None:
    """Beside numbers it is NaN in the table."""
    table = frame(mig_sampled=[0.3, 0.4, 0.5, 0.6]).assign(resolution=[32, None, 32, None])
    found = flags(table, score_names=["mig"], axes=["resolution"])
    assert "resolution=null  mig" in str(found[-1])
