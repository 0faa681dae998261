"""Templates: what they escape, and what they refuse."""

import jinja2
import pytest

from sweeps.report.templates import asset, sentence, template


@pytest.mark.parametrize("name", ["page.html", "comparison.html"])
def test_forgotten_value_is_an_error(name: str) -> None:
    """A page with a hole in it is not written."""
    with pytest.raises(jinja2.UndefinedError, match="undefined"):
        template(name).render()


def test_assets_stand_in_the_page_as_they_are() -> None:
    """Style and script are not escaped, and hold nothing that would end their element."""
    for name in ("style.css", "choice.js", "page.js"):
        assert asset(name).__html__() == str(asset(name))
        assert "</" not in asset(name)


def test_sentence_keeps_its_capitals() -> None:
    """Only the first letter changes."""
    assert sentence("the KL of β") == "The KL of β."
