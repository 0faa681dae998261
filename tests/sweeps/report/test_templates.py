"""Templates: what they escape, and what they refuse."""

import json
import re
from typing import Any

import jinja2
import pytest

from sweeps.report.drawings import Drawing
from sweeps.report.templates import asset, sentence, template
from sweeps.report.vega import LIGHT


@pytest.mark.parametrize("name", ["page.html", "comparison.html"])
def test_forgotten_value_is_an_error(name: str) -> None:
    """A page with a hole in it is not written."""
    with pytest.raises(jinja2.UndefinedError, match="undefined"):
        template(name).render()


@pytest.mark.parametrize("name", ["style.css", "charts.js", "page.js"])
def test_assets_stand_in_the_page_as_they_are(name: str) -> None:
    """Style and script are not escaped, and hold nothing that would end their element."""
    assert asset(name).__html__() == str(asset(name))
    assert "</" not in asset(name)


def test_style_names_no_colour_that_is_not_there() -> None:
    """Each variable is a colour of both modes, or set by the style sheet or a template."""
    named = set(re.findall(r"var\(--([\w-]+)\)", asset("style.css")))
    own = set(re.findall(r"--([\w-]+):", asset("style.css")))

    assert named - own - {"share"} <= set(LIGHT)


def test_tags_can_be_read(contrast: Any) -> None:
    """The contrast of a verdict with its tag is at least 4.5, as WCAG asks for."""
    tags = re.findall(
        r"\.tag\.[^{]*\{ background: #(\w{6}); color: #(\w{6}); \}", asset("style.css")
    )

    assert len(tags) == 3
    for both in tags:
        back, front = (tuple(int(one[i : i + 2], 16) / 255 for i in (0, 2, 4)) for one in both)
        assert contrast(front, back) >= 4.5


def test_data_cannot_end_its_script() -> None:
    """What a script reads is JSON in which no markup is left; it comes back as it was, in order."""
    hostile = {"b": "</script><script>alert('1')</script>", "a": "<!-- & β"}
    drawing = Drawing("", {"": hostile}, {})
    written = str(template("macros.html").module.chart(drawing, "half", "it"))  # type: ignore[attr-defined]
    data = written.partition('<script type="application/json">')[2].partition("</script>")[0]

    assert written.count("<script") == written.count("</script") == 1
    assert not set("<>&'") & set(data)
    assert json.loads(data)["specs"][""] == hostile
    assert list(json.loads(data)["specs"][""]) == ["b", "a"]


def test_sentence_keeps_its_capitals() -> None:
    """Only the first letter changes."""
    assert sentence("the KL of β") == "The KL of β."
