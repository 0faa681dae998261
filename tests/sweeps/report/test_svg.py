"""SVG files made fit for a page."""

import re
from xml.etree import ElementTree

import pytest

from sweeps.report.svg import embedded

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
