"""Charts as files and in notebooks, and the colours that pages and files share."""

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from sweeps.report import charts
from sweeps.report.charts import Mark, Seed, Trace
from sweeps.report.charts.encodings import COLOURS
from sweeps.report.vega import CONFIG, DARK, LIGHT, Chart, scripts

LINE = Trace(
    "5 latents <&>",
    [Mark(0, 1.0, 0.1, 0.2, 0.1, 0.3, words='a "b" <c>'), Mark(1, 4.0, 0.4, 0.4, hollow=True)],
    [Seed(1.0, 0.1, 0.2)],
    untrained=0.05,
)
WIDTH, HEIGHT = 400, 360


def rgb(colour: str) -> tuple[float, ...]:
    """Return a colour in parts of 1."""
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


@pytest.fixture
def chart() -> Chart:
    """The inverted-U chart of two configurations, with all that one may have."""
    spec = charts.curve([LINE], title="MIG", x="beta", ticks=[1.0, 4.0])
    return Chart({"width": WIDTH} | spec)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ratio", "names"),
    [(4.5, ("text", "muted", "accent")), (3, ("edge", *(c[6:-1] for c in COLOURS)))],
    ids=["text", "marks"],
)
@pytest.mark.parametrize("background", ["background", "wash"])
def test_all_can_be_seen(
    contrast: Any, colours: dict[str, str], ratio: float, names: tuple[str, ...], background: str
) -> None:
    """Text and marks stand out from what is behind them as WCAG asks, also in dark mode."""
    for name in names:
        assert contrast(rgb(colours[name]), rgb(colours[background])) >= ratio, name


def test_both_modes_have_every_colour(chart: Chart) -> None:
    """So has the page: a chart names no other."""
    named = set(re.findall(r"var\(--([\w-]+)\)", chart.svg() + str(CONFIG) + str(COLOURS)))

    assert set(LIGHT) == set(DARK)
    assert named <= set(LIGHT)
    assert {"text", "muted", "line-0", "background"} <= named


def test_chart_in_a_page_has_the_pages_colours(chart: Chart) -> None:
    """It follows dark mode; what is written into it is escaped, and it needs nothing else."""
    svg = chart.svg()
    root = ElementTree.fromstring(svg)

    assert root.tag.endswith("}svg")
    assert "var(--line-0)" in svg
    assert "5 latents &lt;&amp;&gt;" in svg
    assert not re.search(r"#[0-9a-f]{6}\b|https?://(?!www\.w3\.org/)", svg)


def test_same_chart_is_the_same_text(chart: Chart) -> None:
    """Whatever was drawn before: no date, no number that goes on counting."""
    first = chart.svg()
    Chart({"width": 100} | chart.spec).svg()

    assert chart.svg() == first


def test_charts_of_a_page_share_no_id(chart: Chart) -> None:
    """Every reference leads to an id of its own chart."""
    drawn = [chart.svg(), Chart(chart.spec | {"width": 100}).svg()]
    ids = [re.findall(r'\bid="(.*?)"', svg) for svg in drawn]
    references = [re.findall(r"url\(#(.*?)\)", svg) for svg in drawn]

    assert [set(own) for own in references] == [set(own) for own in ids]
    assert ids[0]
    assert len({*ids[0], *ids[1]}) == len(ids[0]) + len(ids[1])


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_same_chart_is_the_same_file(chart: Chart, tmp_path: Path, suffix: str) -> None:
    """A picture that is committed changes only if what it shows does."""
    one, other = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
    chart.save(one)
    chart.save(other)

    assert one.read_bytes() == other.read_bytes()


def test_svg_file_stands_alone(chart: Chart, tmp_path: Path) -> None:
    """Its colours are the light ones on white: a viewer knows no variable of the page."""
    chart.save(tmp_path / "curve.svg")
    text = (tmp_path / "curve.svg").read_text(encoding="utf-8")

    assert ElementTree.fromstring(text).tag.endswith("}svg")
    assert "var(--" not in text
    assert {LIGHT["line-0"], LIGHT["text"], LIGHT["background"]} <= set(
        re.findall(r"#[0-9a-f]{6}", text)
    )


def test_png_file_is_sharp(chart: Chart, tmp_path: Path) -> None:
    """Two pixels for each CSS pixel, on white, with the line in its colour."""
    chart.save(tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        colours = {colour[:3] for _, colour in picture.convert("RGBA").getcolors(1 << 20)}

        assert picture.format == "PNG"
        assert 2 * WIDTH < picture.width < 2.6 * WIDTH
        assert 2 * HEIGHT < picture.height < 2.6 * HEIGHT
        assert picture.getpixel((0, 0))[:3] == (255, 255, 255)
        assert tuple(round(255 * part) for part in rgb(LIGHT["line-0"])) in colours


def test_notebook_shows_the_chart(chart: Chart) -> None:
    """As PNG; the specification stays as it was."""
    before = repr(chart.spec)
    with Image.open(io.BytesIO(chart._repr_png_())) as picture:
        assert picture.format == "PNG"
    assert repr(chart.spec) == before


def test_a_shell_that_limits_addresses(chart: Chart) -> None:
    """Schedulers set such a limit: V8 would end the process, a sentence says what to do."""
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (32 * 10**9, resource.RLIM_INFINITY))\n"
        "from sweeps.report.vega import Chart\n"
        f"Chart({chart.spec!r}).svg()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "this shell allows 32 GB; type `ulimit -v unlimited`" in done.stderr


@pytest.mark.slow
def test_scripts_draw_by_one_function() -> None:
    """They are made once, hand out vegaEmbed, and hold nothing that would end their element."""
    assert "window.vegaEmbed" in scripts()
    assert "</script" not in scripts().lower()
    assert scripts() is scripts()
    assert 500_000 < len(scripts()) < 2_000_000
