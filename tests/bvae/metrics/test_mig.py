import numpy as np
import pytest
from numpy.typing import NDArray

from bvae.metrics.mig import mig
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def value(codes: Floats, factors: Ints) -> float:
    """MIG with 20 bins."""
    return mig(code_table(codes, factors)).value


@pytest.mark.parametrize(
    ("sizes", "ceiling"),
    [
        # 40 classes fall into 20 bins of two; of 32, twenty-four share a bin with another
        ((3, 6, 40, 2, 2), (4 + np.log(20) / np.log(40)) / 5),
        ((3, 6, 40, 32), (2 + np.log(20) / np.log(40) + 1 - 0.75 * np.log(2) / np.log(32)) / 4),
    ],
)
def test_perfect_code_gets_the_ceiling_of_its_bins(sizes: tuple[int, ...], ceiling: float) -> None:
    """The ceiling is what 20 bins keep of each factor's entropy."""
    factors = np.indices(sizes).reshape(len(sizes), -1).T

    assert pytest.approx(ceiling) == value(factors * 1.0, factors)


def test_constant_code_gets_zero(factors: Ints) -> None:
    """A code that says nothing has no gap."""
    assert value(np.full((480, 2), 0.1), factors) == 0


def test_repeated_latents_close_the_gap(factors: Ints, identity: Floats) -> None:
    """If two latents carry each factor, neither is ahead."""
    assert pytest.approx(0, abs=1e-12) == value(np.hstack([identity, -identity]), factors)


def test_a_missing_factor_has_no_gap(factors: Ints, identity: Floats) -> None:
    """Each factor counts the same; the missing one counts nothing."""
    evaluation = mig(code_table(identity[:, 1:], factors))

    assert pytest.approx((0, 1, 1, 1), abs=1e-9) == evaluation.per_factor
    assert pytest.approx(0.75) == evaluation.value


def test_one_latent_has_a_runner_up_that_knows_nothing(factors: Ints, identity: Floats) -> None:
    """With M = 1 the gap is all the latent's information."""
    assert pytest.approx(0.25) == value(identity[:, :1], factors)


def test_rotation_lowers_it(factors: Ints, identity: Floats, rotated: Floats) -> None:
    """The same information spread over all latents has hardly a gap."""
    assert value(rotated, factors) < 0.3 * value(identity, factors)
