"""The HTML templates of this package; whatever they are given is escaped."""

import math
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup


def template(name: str) -> Template:
    """Return a template; it may use `asset`, the filter `sentence` and the test `finite`."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_file)
    )
    environment.globals["asset"] = asset
    environment.filters["sentence"] = sentence
    environment.tests["finite"] = math.isfinite
    return environment.get_template(name)


def asset(name: str) -> Markup:
    """Return a style sheet or script of this package, to stand in a page as it is."""
    return Markup(_file(name))


def sentence(text: str) -> str:
    """Return words as a sentence.

    >>> sentence("the KL is low")
    'The KL is low.'
    """
    return f"{text[:1].upper()}{text[1:]}."


def _file(name: str) -> str:
    return resources.files("sweeps.report").joinpath(name).read_text(encoding="utf-8")
