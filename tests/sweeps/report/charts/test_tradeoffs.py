"""The trade-off: marks by score and reconstruction, and the front."""

from dataclasses import replace

import pytest

from sweeps.report import charts
from sweeps.report.charts import Trace
from sweeps.report.charts.tradeoffs import pareto_front
from tests.doubles.svgs import WIDTH_PX, Drawn
from tests.doubles.traces import mark

LINE = Trace(
    "5 latents",
    [
        mark(0, 1.0, 0.1, 0.0, 0.2, recon=40.0),
        mark(1, 4.0, 0.3, recon=60.0),
        mark(2, 16.0, 0.2, recon=90.0),
    ],
)


@pytest.fixture
def drawn() -> Drawn:
    """The chart of one line."""
    return Drawn(charts.tradeoff([LINE], title="MIG against reconstruction"))


def test_it_says_what_it_shows(drawn: Drawn) -> None:
    """The β of each mark stands beside it; what is good is said."""
    assert {"MIG against reconstruction", "reconstruction, nats (left is better)"} <= set(
        drawn.texts
    )
    assert [one.text for one in drawn.of("text", "means")] == ["1", "4", "16"]


def test_beta_of_the_last_mark_is_whole() -> None:
    """There is room for it beside the mark."""
    marks = [mark(0, 4.0, 0.3, recon=40.0), mark(1, 0.125, 0.1, recon=90.0)]
    written = Drawn(charts.tradeoff([Trace("5", marks)], title="MIG")).of("text", "means")

    assert written[-1].x + 6 * len("0.125") <= WIDTH_PX


def test_marks_stand_by_reconstruction_and_score(drawn: Drawn) -> None:
    """Equal differences of either are equal distances."""
    first, second, third = drawn.of("point", "means", name="marks")

    assert (third.x - second.x) / (second.x - first.x) == pytest.approx(30 / 20)
    assert first.y - second.y == pytest.approx(2 * (third.y - second.y))


def test_front_runs_through_what_nothing_beats(drawn: Drawn) -> None:
    """From the best reconstruction to the best score, and no further."""
    (front,) = drawn.of("line", "front")
    marks = drawn.of("point", "means", name="marks")

    assert len(front.path) == 2
    for place, one in zip(front.path, marks, strict=False):
        assert place == pytest.approx((one.x, one.y), abs=0.01)


def test_line_runs_along_beta() -> None:
    """Also where the reconstruction does not grow with it."""
    back = [one._replace(recon=recon) for one, recon in zip(LINE.marks, (60, 40, 90), strict=True)]
    drawn = Drawn(charts.tradeoff([Trace("5", back)], title="MIG"))
    (line,) = drawn.of("line", "means")
    marks = drawn.of("point", "means", name="marks")

    assert [x for x, _ in line.path] == pytest.approx([one.x for one in marks], abs=0.01)
    assert marks[1].x < marks[0].x


def test_intervals_do_not_stretch_it() -> None:
    """None is drawn here."""
    wide = replace(LINE, marks=[one._replace(high=5.0) for one in LINE.marks])
    specs = [charts.tradeoff([one], title="MIG") for one in (LINE, wide)]

    assert specs[0]["params"] == specs[1]["params"]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(10, 0.1), (20, 0.3), (30, 0.2), (40, 0.4)], [(10, 0.1), (20, 0.3), (40, 0.4)]),
        ([(10, 0.1), (10, 0.2)], [(10, 0.2)]),
        ([(20, 0.2), (10, 0.2)], [(10, 0.2)]),
        ([], []),
    ],
)
def test_front_holds_what_nothing_beats(
    points: list[tuple[float, float]], front: list[tuple[float, float]]
) -> None:
    """A point stays if no other is at least as cheap and as good, and better in one."""
    assert pareto_front(points) == front
