import pytest

from sweeps.study.timeouts import Timeouts


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_no_time_is_negative(value: float) -> None:
    """What is wrong is named."""
    with pytest.raises(ValueError, match="at least 0 for idle"):
        Timeouts(idle=value)


def test_a_living_worker_is_not_taken_for_dead() -> None:
    """A worker must have time for two beats."""
    with pytest.raises(ValueError, match="at least two heartbeats of 5 s"):
        Timeouts(heartbeat_lost=9)
