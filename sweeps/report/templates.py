"""The HTML templates of this package and the sections of its pages; all they show is escaped.

Views hold numbers, None or NaN where there is none; the filters write them.
"""

import functools
import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from bvae.files import with_tilde
from bvae.metrics.scores import score_named
from sweeps import labels
from sweeps.analysis.summary import facet_name
from sweeps.report import vega
from sweeps.report.words import beta_range, tried_beta, verdict

log = logging.getLogger(__name__)

FRAMED = ("answer", "chosen")
"""Templates that say themselves why there is nothing to show."""


class Section(NamedTuple):
    """A part of a page, shown by the template `<name>.html`.

    `show` returns what the template shows, `NotYet` with the reason, or None to be left out.
    """

    name: str
    title: str
    show: Callable[[Any], object]


class NotYet(NamedTuple):
    """The view of a section that cannot be shown yet, and why."""

    reason: str


def template(name: str) -> Template:
    """Return a template; it may use `asset` and the filters and tests of `_environment`."""
    return _environment().get_template(name)


def part(section: Section, read: object, *, name: str, shared: Mapping[str, object]) -> Markup:
    """Return a section of a page; one that fails is a note, so that the others can be read.

    Args:
        section: what is shown.
        read: what its `show` is given.
        name: what the log calls the page if it fails.
        shared: what its template may use beside the view.
    """
    try:
        view = section.show(read)
        if view is None:
            return Markup()
        if isinstance(view, NotYet):
            return _reason(section, view.reason, shared)
        return _rendered(section, section.name, reason="", view=view, **shared)
    except Exception as error:  # whatever is wrong with it
        log.exception("%s: the section %s could not be made", name, section.name)
        reason = f"{section.title}: could not be made ({type(error).__name__}: {error})"
        return _reason(section, reason, shared)


def _reason(section: Section, reason: str, shared: Mapping[str, object]) -> Markup:
    # those that stand in the first screen have a frame of their own
    name = section.name if section.name in FRAMED else "section"
    return _rendered(section, name, reason=reason, **shared)


def _rendered(section: Section, name: str, **values: object) -> Markup:
    text = template(f"{name}.html").render(name=section.name, title=section.title, **values)
    return Markup(text)  # the template has escaped it


@functools.cache
def _environment() -> Environment:
    found = Environment(autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_file))
    found.globals |= {
        "asset": asset,
        "chart_style": vega.CONFIG,
        "dark": vega.DARK,
        "light": vega.LIGHT,
        "scripts": lambda: Markup(vega.scripts()),
    }
    found.policies["json.dumps_kwargs"] = {}  # jinja would sort keys: here their order counts
    found.filters |= {
        "tilde": with_tilde,
        "beta_range": beta_range,
        "duration": labels.duration,
        "ends": ends,
        "facet": facet_name,
        "interval": labels.interval,
        "label": labels.score_label,
        "median": statistics.median,
        "verdict": verdict,
        "number": labels.number,
        "quantity": labels.quantity,
        "score": labels.score_text,
        "seeds": labels.seeds,
        "sentence": sentence,
        "signed": labels.signed,
        "tried": tried_beta,
        "sortable": sortable,
    }
    found.tests["known"] = labels.is_known
    found.tests["representation"] = lambda name: score_named(name).representation != "mean"
    found.tests["per_configuration"] = lambda name: score_named(name).per_configuration
    return found


def asset(name: str) -> Markup:
    """Return a style sheet or script of this package, to stand in a page as it is."""
    return Markup(_file(name))


def sentence(text: str) -> str:
    """Return words as a sentence.

    >>> sentence("the KL is low")
    'The KL is low.'
    """
    return f"{text[:1].upper()}{text[1:]}."


def ends(counts: Sequence[float]) -> str:
    """Write the lowest and the highest of some numbers, or the only one.

    >>> ends([2, 1, 3]), ends([2, 2])
    ('1 to 3', '2')
    """
    return labels.span(min(counts), max(counts))


def sortable(value: float | None) -> str:
    """Write a number so that a script can sort by it, nothing where there is none.

    >>> sortable(1 / 3), sortable(None)
    ('0.333333333', '')
    """
    return f"{value:.9g}" if value is not None and labels.is_known(value) else ""


def _file(name: str) -> str:
    return resources.files("sweeps.report").joinpath("html", name).read_text(encoding="utf-8")
