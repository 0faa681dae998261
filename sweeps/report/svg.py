"""Makes an SVG file fit to stand among others inside a page: small, with ids of its own."""

import re

UNUSED = re.compile(
    r' id="(?!C\d)[\w.]+_\d+"| transform="rotate\(-0 [^"]*\)"|<!--.*?-->', re.DOTALL
)
DECIMALS = re.compile(r"(\d\d\.\d|\b\d\.\d\d)\d+")
TAG = re.compile(r"<[^>]*>")
MARKS = re.compile(r'<g( clip-path="[^"]*")?> ((?:<use [^>]*/> )+)</g>')
GENERATED = re.compile(r'\bid="((?:[mp]|C\w+_)[0-9a-f]{10})"')
MARK_STYLE = re.compile(r' style="([^"]*)"')


def embedded(document: str, *, name: str) -> str:
    """Return the `<svg>` element of a document; every id in it begins with `name`.

    Ids that nothing refers to are dropped, the others made short, coordinates rounded to a tenth
    of a pixel, and marks of one kind share their style: a chart of a thousand trials takes a
    quarter of the space.
    """
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = UNUSED.sub("", element)
    element = re.sub(r"\s*\n\s*", " ", element)
    # what is written stays as it is: a tick at 0.00122 is not one at 0
    element = TAG.sub(lambda tag: DECIMALS.sub(r"\1", tag[0]), element)
    element = MARKS.sub(_share_style, element)
    for number, long in enumerate(dict.fromkeys(GENERATED.findall(element))):
        element = element.replace(long, str(number))
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', element)
    element = element.replace("url(#", f"url(#{name}-")
    return re.sub(
        r'^<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="group">', element
    )


def inside(element: str) -> str:
    """Return what an element holds."""
    return element[element.index(">") + 1 : element.rindex("</svg>")]


def on_frame(element: str, *, frame: str) -> str:
    """Return the element with something drawn beneath what it holds."""
    head, end, rest = element.partition(">")
    return f"{head}{end}{frame}{rest}"


def _share_style(group: re.Match[str]) -> str:
    clip, marks = group[1] or "", group[2]
    styles = set(MARK_STYLE.findall(marks))
    if len(styles) != 1:
        return group[0]
    return f'<g{clip} style="{styles.pop()}"> {MARK_STYLE.sub("", marks)}</g>'
