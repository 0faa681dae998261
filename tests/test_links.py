"""Every relative link of README.md and docs/ leads somewhere, on GitHub and on the site."""

import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
BESIDE = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = {
    path.relative_to(REPOSITORY).as_posix(): path for path in [*BESIDE, *sorted(DOCS.rglob("*.md"))]
}
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def links(text: str) -> list[str]:
    """Return the targets of links and pictures that are no addresses; code has none."""
    found = re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", text))
    return [target for target in found if "://" not in target]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and mkdocs.yml make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", text), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def leads_somewhere(target: str, *, page: Path, text: str) -> bool:
    """Whether a link of a page, which has this text, leads to a file of the site and a heading."""
    name, _, anchor = target.partition("#")
    path = page.parent / name if name else page
    on_site = DOCS in path.resolve().parents or path in BESIDE
    if not (path.is_file() and on_site):  # a folder is no page
        return False
    return not anchor or anchor in anchors(path.read_text("utf-8") if name else text)


def broken(page: Path, text: str) -> list[str]:
    """Return the links of a page that lead nowhere."""
    return [link for link in links(text) if not leads_somewhere(link, page=page, text=text)]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_links(page: Path) -> None:
    """A page's links lead to files and headings that are there."""
    assert [] == broken(page, page.read_text("utf-8"))


@pytest.mark.parametrize(
    "target", ["missing.md", "tutorial.md#no-such", "#no-such", "quick/", "../pyproject.toml"]
)
def test_a_broken_link_is_found(target: str) -> None:
    """A file, a heading or a page that is not there, a folder, a file outside the site."""
    assert [target] == broken(DOCS / "results.md", f"# Here\n\n[there]({target})\n")


def test_every_page_is_in_the_contents() -> None:
    """The site's navigation names each page of docs/ once."""
    settings = yaml.load((REPOSITORY / "mkdocs.yml").read_text("utf-8"), Loader=yaml.BaseLoader)
    named = re.findall(r"[\w/]+\.md", str(settings["nav"]))
    made = {"index.md", "contributing.md", "changelog.md"}  # by docs/front_page.py

    assert sorted(named) == sorted(
        {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} | made
    )
