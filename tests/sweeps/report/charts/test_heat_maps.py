"""The heat map: its fields, their colours, and the values written into them."""

import math
import re
from typing import Any

import pytest

from sweeps.report import charts
from sweeps.report.charts import Box
from sweeps.report.charts.heat_maps import MAX_VALUES, ROW_PX
from tests.doubles.svgs import WIDTH_PX, Drawn, chosen

BOXES = [
    Box(0, 1.0, 5, 0.1), Box(1, 4.0, 5, 0.3), Box(2, 1.0, 10, math.nan), Box(3, 4.0, 10, 0.2),
]  # fmt: skip


def rgb(colour: str) -> tuple[float, ...]:
    """Return a colour as Vega writes it in parts of 1."""
    named = {"black": (0, 0, 0), "white": (1, 1, 1)}
    return named.get(colour) or tuple(int(part) / 255 for part in re.findall(r"\d+", colour))


def test_it_writes_its_values() -> None:
    """The known values, every β and every latent size stand there."""
    drawn = Drawn(charts.heat_map(BOXES, title="MIG"))

    assert [one.text for one in drawn.of("text")] == ["0.10", "0.30", "0.20"]
    assert {"MIG", "β", "latents", "1", "4", "5", "10"} <= set(drawn.texts)


def test_fields_stand_by_beta_and_latents() -> None:
    """β grows to the right, latents upwards; what is not known is left empty."""
    fields = Drawn(charts.heat_map(BOXES, title="MIG")).of("rect", name="marks")

    assert [(one.x, one.y) for one in fields] == [
        (0, ROW_PX),
        (WIDTH_PX / 2, ROW_PX),
        (WIDTH_PX / 2, 0),
    ]


def test_values_can_be_read_on_every_colour(contrast: Any) -> None:
    """The contrast of a value with its field is at least 4.5, as WCAG asks for."""
    boxes = [
        Box(i, float(i % MAX_VALUES), i // MAX_VALUES, i / 100, words=str(i)) for i in range(101)
    ]
    drawn = Drawn(charts.heat_map(boxes, title="MIG"))
    written, fields = drawn.of("text"), drawn.of("rect", name="marks")
    ratios = [
        contrast(rgb(text.style["fill"]), rgb(field.style["fill"]))
        for text, field in zip(written, fields, strict=True)
    ]

    assert {text.style["fill"] for text in written} == {"black", "white"}
    assert min(ratios) >= 4.5


@pytest.mark.parametrize(("low_is_good", "brighter"), [(False, 1), (True, 0)])
def test_it_is_bright_where_good(*, low_is_good: bool, brighter: int) -> None:
    """High scores are bright, and so are low errors."""
    spec = charts.heat_map(BOXES, title="MIG", low_is_good=low_is_good)
    light = [sum(rgb(one.style["fill"])) for one in Drawn(spec).of("rect", name="marks")]

    assert light[brighter] == max(light)


def test_maps_beside_each_other_have_the_same_colours() -> None:
    """A value has one colour in all facets."""
    alone = Drawn(charts.heat_map(BOXES, title="MIG"))
    beside = Drawn(charts.heat_map(BOXES[:2], title="MIG", beside=[0.1, 0.3, 0.2, 0.9]))
    best = [one.of("rect", name="marks")[1].style["fill"] for one in (alone, beside)]

    assert best[0] != best[1]


def test_reconstruction_has_no_decimals() -> None:
    """Nats of a whole image: none is seen."""
    spec = charts.heat_map([Box(0, 1.0, 5, 82.4)], title="Reconstruction", digits=0)

    assert [one.text for one in Drawn(spec).of("text")] == ["82"]


def test_many_betas_leave_no_room_for_values() -> None:
    """Colours alone are shown, and some β named."""
    boxes = [Box(i, float(i + 1), 5, i / 100) for i in range(50)]
    drawn = Drawn(charts.heat_map(boxes, title="MIG"))

    assert len(drawn.of("rect", name="marks")) == 50
    assert drawn.of("text") == []
    assert 5 <= len(drawn.axis("β")) <= MAX_VALUES


def test_chosen_field_has_an_edge() -> None:
    """It follows the parameter `chosen`, and lets the pointer through to the field."""
    spec = charts.heat_map(BOXES, title="MIG")
    (edge,) = Drawn(chosen(spec, 3)).of("rect")

    assert Drawn(spec).of("rect") == []
    assert (edge.x, edge.y) == (WIDTH_PX / 2, 0)
    assert (edge.style["stroke"], edge.style.get("fill")) == ("var(--text)", None)
