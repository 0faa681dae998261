"""Parts that a configuration names by `_target_`: a class or function of ours, or of the user's."""

import difflib
import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from bvae.config import TARGET
from bvae.exceptions import ConfigError

NAMED = ("loss", "optimizer")
"""Parts with a `name` that says which choice of a group they are, and is no argument."""


def build(part: Mapping[str, Any], **offered: Any) -> Any:
    """Call what a part names with the part's own values, and what it takes of those offered.

    Its own value goes before an offered one. With `_partial_: true` it is not called, but returned
    with these arguments set.

    Args:
        part: `_target_`, a dotted name that can be imported, and arguments; among these may be
            further parts.
        offered: what any part of this kind may ask for by naming it in its signature; a function
            that takes `**kwargs` gets all, a class what the classes name that it inherits from.

    Raises:
        ConfigError: the target cannot be imported, or an argument is unexpected or missing.

    >>> build({"_target_": "fractions.Fraction", "numerator": 1}, denominator=2)
    Fraction(1, 2)
    """
    target = part[TARGET]
    given = {key: value for key, value in part.items() if key != "_partial_"}
    try:
        made = instantiate({**given, "_partial_": True, "_convert_": "all"})
    except (InstantiationException, SystemExit) as error:  # a script exits when it is imported
        raise ConfigError(f"{target} cannot be built: {_reason(error)}") from error
    signature = inspect.signature(made.func)
    names = _names(made.func)
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
        offers = f", and is offered {', '.join(offered)}" if offered else ""
        raise ConfigError(f"{target}: {error}; it takes {takes}{offers}") from None
    return made.func(*made.args, **arguments)


def build_named(key: str, part: object, *first: Any, **offered: Any) -> Any:
    """Build a part; what goes wrong begins with its place in the configuration.

    Args:
        key: that place.
        part: as for `build`.
        first: what it is called with before all else, as an optimiser is with its parameters.
        offered: as for `build`.

    Raises:
        ConfigError: as `build`, it has no `_target_`, or it raised something itself.
    """
    if not isinstance(part, Mapping) or TARGET not in part:
        named = part if isinstance(part, str) and "." in part else "my_module.name"
        raise ConfigError(f"{key}: expected a class or function; write {key}._target_={named}")
    if key in NAMED:
        part = {name: value for name, value in part.items() if name != "name"}
    try:
        if first:
            return build({**part, "_partial_": True}, **offered)(*first)
        return build(part, **offered)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    except Exception as error:  # whatever own code raises is a mistake in it
        raise ConfigError(f"{key}: {part.get(TARGET)} raised {in_a_line(error)}") from error


def _names(target: Callable[..., Any]) -> set[str] | None:
    """Return the names that can be given a value; None: any name.

    What a class takes by `**kwargs` is for the next `__init__` among those it inherits from.
    """
    signature = inspect.signature(target)
    if not _takes_any(signature):
        return _named(signature)
    if not isinstance(target, type):
        return None
    names: set[str] = set()
    for kind in target.__mro__:
        if "__init__" in vars(kind):
            signature = inspect.signature(vars(kind)["__init__"])
            names |= _named(signature)
            if not _takes_any(signature):
                break
    return names


def _takes_any(signature: inspect.Signature) -> bool:
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


def _named(signature: inspect.Signature) -> set[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, parameter in signature.parameters.items() if parameter.kind in kinds}


def in_a_line(error: BaseException) -> str:
    """Return what was raised, what it says, and where in own code, on one line."""
    said = f"{type(error).__name__}: " + " ".join(str(error).split())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame)]
    return (
        f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else said
    )


def _is_own(frame: traceback.FrameSummary) -> bool:
    others = (str(Path(__file__).parent), sys.prefix, sys.base_prefix, "<")
    return not frame.filename.startswith(others)


def _reason(error: BaseException) -> str:
    """Return on one line why Hydra cannot build something: a name that is misspelt, or the cause.

    Hydra takes what is not in a module for another module.
    """
    cause = _cause(error)
    if isinstance(cause, ModuleNotFoundError) and cause.name:
        module, _, name = cause.name.rpartition(".")
        if found := sys.modules.get(module):
            close = difflib.get_close_matches(name, vars(found), n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            return f"{module} ({getattr(found, '__file__', 'built in')}) has no {name}{meant}"
    return in_a_line(cause)


def _cause(error: BaseException) -> BaseException:
    """Return what made something be raised, however deep."""
    return error if error.__cause__ is None else _cause(error.__cause__)
