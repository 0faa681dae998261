"""The canvas: what stays on it, what is drawn anew, and how it becomes a picture."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from sweeps.report.canvas import save
from sweeps.report.charts import CurveCanvas
from sweeps.report.marks import WIDE, Mark, Trace


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
