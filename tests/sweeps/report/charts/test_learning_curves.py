"""Learning curves: a line for each seed, and their means."""

import pytest

from sweeps.report import charts
from sweeps.report.charts import Learnt
from tests.doubles.svgs import Drawn

ROWS = (
    Learnt(0, 0, 100, 8.0), Learnt(0, 0, 200, 6.0), Learnt(0, 1, 100, 6.0),
    Learnt(0, 1, 200, 2.0), Learnt(1, 0, 100, 7.0), Learnt(1, 0, 200, 5.0),
)  # fmt: skip


def test_seeds_are_thin_and_their_mean_is_thick() -> None:
    """A thin line for each seed of each configuration, a thick one in the middle of them."""
    lines = Drawn(charts.learning(ROWS, title="Loss (nats)")).of("line")
    thin = [one for one in lines if float(one.style["stroke-width"]) < 1]
    thick = [one for one in lines if float(one.style["stroke-width"]) > 2]

    assert [one.style["stroke"] for one in thin] == [
        "var(--line-0)", "var(--line-0)", "var(--line-1)",
    ]  # fmt: skip
    assert [one.style["stroke"] for one in thick] == ["var(--line-0)", "var(--line-1)"]
    for i in range(2):
        middle = (thin[0].path[i][1] + thin[1].path[i][1]) / 2
        assert thick[0].path[i][1] == pytest.approx(middle, abs=0.1)


def test_it_says_what_it_shows() -> None:
    """Title and axis; the first step is on the left."""
    drawn = Drawn(charts.learning(ROWS, title="Loss (nats)"))

    assert {"Loss (nats)", "step"} <= set(drawn.texts)
    assert drawn.of("line")[0].path[0][0] < drawn.of("line")[0].path[1][0]


@pytest.mark.parametrize("zero", [False, True])
def test_axis_of_what_falls_to_zero_begins_there(*, zero: bool) -> None:
    """The loss does not: what is left of it would be pressed flat."""
    rows = [row._replace(value=100 + row.value) for row in ROWS]
    numbers = Drawn(charts.learning(rows, title="KL", zero=zero)).axis("Y")

    assert (float(numbers[0].text) == 0) == zero


def test_it_can_be_drawn_before_anything_was_logged() -> None:
    """The page has it once without numbers."""
    assert Drawn(charts.learning(title="")).of("line") == []
