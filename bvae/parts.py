"""Parts that a configuration names by `_target_`: a class or function of ours, or of the user's."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from bvae.config import TARGET
from bvae.exceptions import ConfigError


def build(part: Mapping[str, Any], **offered: Any) -> Any:
    """Call what a part names with the part's own values, and what it takes of those offered.

    Its own value goes before an offered one; `name` is what the part is called, and no argument.
    With `_partial_: true` it is not called, but returned with these arguments set.

    Args:
        part: `_target_`, a dotted name that can be imported, and arguments; among these may be
            further parts.
        offered: what any part of this kind may ask for by naming it in its signature; one that
            takes `**kwargs` gets all.

    Raises:
        ConfigError: the target cannot be imported, or an argument is unexpected or missing.

    >>> build({"name": "half", "_target_": "fractions.Fraction", "numerator": 1}, denominator=2)
    Fraction(1, 2)
    """
    if TARGET not in part:
        raise ConfigError(f"expected a part with a _target_, but got {dict(part)}")
    target = part[TARGET]
    given = {key: value for key, value in part.items() if key not in ("name", "_partial_")}
    try:
        made = instantiate({**given, "_partial_": True, "_convert_": "all"})
    except InstantiationException as error:
        raise ConfigError(f"{target} cannot be built: {_in_a_line(error)}") from error
    signature = inspect.signature(made.func)
    names = _names(signature)
    taken = offered if names is None else {key: offered[key] for key in names & offered.keys()}
    arguments = {**taken, **made.keywords}
    try:
        if part.get("_partial_"):
            signature.bind_partial(*made.args, **arguments)
            return functools.partial(made.func, *made.args, **arguments)
        signature.bind(*made.args, **arguments)
    except TypeError as error:
        public = [name for name in signature.parameters if not name.startswith("_")]
        takes = ", ".join(public) or "no argument"
        raise ConfigError(f"{target}: {error}; it takes {takes}") from None
    return made.func(*made.args, **arguments)


def build_named(key: str, part: Mapping[str, Any], *first: Any, **offered: Any) -> Any:
    """Build a part; what goes wrong begins with its place in the configuration.

    Args:
        key: that place.
        part: as for `build`.
        first: what it is called with before all else, as an optimiser is with its parameters.
        offered: as for `build`.

    Raises:
        ConfigError: as `build`, or the part itself raised something.
    """
    try:
        if first:
            return build({**part, "_partial_": True}, **offered)(*first)
        return build(part, **offered)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    except Exception as error:  # whatever own code raises is a mistake in it
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{key}: {part.get(TARGET)} raised {reason}") from error


def _names(signature: inspect.Signature) -> set[str] | None:
    """Return the names that can be given a value; None: any name."""
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name for parameter in parameters if parameter.kind in named}


def _in_a_line(error: Exception) -> str:
    """Return the innermost cause on one line."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return f"{type(cause).__name__}: " + " ".join(str(cause).split())
