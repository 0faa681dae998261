"""The canvas: what stays on it, what is drawn anew, and what becomes of it."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from sweeps.report.canvas import WIDE, Mark, Trace, embedded, save
from sweeps.report.charts import CurveCanvas


@pytest.fixture
def canvas() -> CurveCanvas:
    """The inverted-U chart of two configurations."""
    made = CurveCanvas(["5 latents"], x_label="β", ticks=[1.0, 4.0], size=WIDE)
    made.draw([Trace("5 latents", [Mark(0, 1.0, 0.2), Mark(1, 4.0, 0.4)])], title="MIG")
    return made


def texts(svg: str) -> set[str]:
    """Return the texts of a chart."""
    return set(re.findall(r"<text [^>]*>([^<]*)</text>", svg))


def test_what_stays_is_drawn_once(canvas: CurveCanvas) -> None:
    """The first chart holds axis and legend, the next refers to them and has its own title."""
    first, second = canvas.svg(name="a"), canvas.svg(name="b")
    assert {"MIG", "0.4", "5 latents", "4"} <= texts(first)
    assert {"MIG", "0.4"} <= texts(second)
    assert not {"5 latents", "4"} & texts(second)
    assert '<use href="#a-frame"/>' in second
    assert first.count('id="a-frame"') == 1


def test_charts_are_well_formed_and_share_no_id(canvas: CurveCanvas) -> None:
    """Every reference leads to an id of one of them."""
    both = [canvas.svg(name="a"), canvas.svg(name="b")]
    assert [ElementTree.fromstring(one).tag for one in both] == ["svg", "svg"]
    ids = re.findall(r'\bid="([^"]*)"', "".join(both))
    references = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', "".join(both))
    assert len(ids) == len(set(ids))
    assert {a or b for a, b in references} <= set(ids)


def test_paper_is_whole_again_when_it_was_drawn(canvas: CurveCanvas, tmp_path: Path) -> None:
    """As a picture of its own the chart has its axis and its legend."""
    canvas.svg(name="a")
    save(canvas.figure, tmp_path / "curve.svg")
    assert {"MIG", "0.4", "5 latents", "4"} <= texts((tmp_path / "curve.svg").read_text("utf-8"))


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_saved_pictures_are_pictures(canvas: CurveCanvas, tmp_path: Path, suffix: str) -> None:
    """PNG has two pixels for each CSS pixel; SVG is text."""
    path = tmp_path / f"curve{suffix}"
    save(canvas.figure, path)
    if suffix == ".png":
        with Image.open(path) as picture:
            assert picture.size == (2 * WIDE.width, 2 * WIDE.height)
    else:
        text = path.read_text(encoding="utf-8")
        assert "</svg>" in text
        assert "<dc:date>" not in text  # or every sweep would change the committed picture


def test_notebook_shows_the_figure(canvas: CurveCanvas) -> None:
    """As PNG, whether or not pyplot was imported."""
    with Image.open(io.BytesIO(canvas.figure._repr_png_())) as picture:
        assert (picture.format, picture.size) == ("PNG", (2 * WIDE.width, 2 * WIDE.height))


DOCUMENT = """<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="9pt" viewBox="0 0 9 9" version="1.1">
 <metadata><rdf/></metadata>
 <g id="figure_1"><!-- a comment -->
  <defs>
   <path id="m0123456789" d="M 0 0 L 12.345678 1.234567"/>
   <path id="C0_0_0123456789" d="M 0 0"/>
  </defs>
  <g clip-path="url(#p0123456789)">
   <use xlink:href="#m0123456789" x="1.5" y="2" style="fill: red"/>
   <use xlink:href="#m0123456789" x="3.5" y="2" style="fill: red"/>
  </g>
  <g id="marks-3-7"><use xlink:href="#C0_0_0123456789"/></g>
 </g>
 <defs>
  <clipPath id="p0123456789"><rect/></clipPath>
 </defs>
</svg>
"""


@pytest.fixture
def element() -> str:
    """The document as it stands in a page."""
    return embedded(DOCUMENT, name="c1")


def test_only_the_element_is_left(element: str) -> None:
    """No declaration, comment, metadata or fixed size stays; the view box does."""
    assert element.startswith('<svg viewBox="0 0 9 9" role="group">')
    assert not re.search("xml|DOCTYPE|comment|metadata|figure_1|9pt", element)


def test_it_is_still_well_formed(element: str) -> None:
    """What is left can be parsed."""
    assert ElementTree.fromstring(element).tag == "svg"


def test_every_id_is_of_this_chart_and_found(element: str) -> None:
    """All references lead to an id that begins with the chart's name."""
    ids = set(re.findall(r'\bid="([^"]*)"', element))
    references = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', element))
    assert {a or b for a, b in references} <= ids
    assert all(name.startswith("c1-") for name in ids)


def test_configurations_can_still_be_told(element: str) -> None:
    """The id that lists the configurations is kept behind the chart's name."""
    assert 'id="c1-marks-3-7"' in element


def test_equal_marks_share_their_style(element: str) -> None:
    """The style moves from the marks to their group."""
    assert element.count("fill: red") == 1
    assert 'style="fill: red"> <use' in element


def test_unequal_marks_keep_their_styles() -> None:
    """Marks of different colours are left alone."""
    element = embedded(DOCUMENT.replace("fill: red", "fill: blue", 1), name="c1")
    assert element.count("fill: red") == element.count("fill: blue") == 1


def test_what_is_written_is_not_rounded() -> None:
    """A tick at 0.00122 would be one at 0."""
    document = DOCUMENT.replace("<!-- a comment -->", '<text x="1.23456">0.00122</text>')
    assert '<text x="1.23">0.00122</text>' in embedded(document, name="c1")


def test_coordinates_are_rounded(element: str) -> None:
    """A tenth of a pixel is enough, two decimals for small numbers."""
    assert "L 12.3 1.23" in element
