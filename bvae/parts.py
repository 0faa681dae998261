"""Parts by their `_target_`: networks, losses, optimisers, data and scores, ours and own ones.

A part is a mapping with `_target_`, the dotted name of a class or function, and its arguments.
What else it may need to know (the image shape, the number of latents, β, …) is handed on as far as
its signature names it.
"""

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_object, instantiate

from bvae.exceptions import ConfigError

TARGET = "_target_"

LABELS = ("name", "_partial_", "_recursive_", "_convert_")
"""Keys of a part that are no arguments: its name among the choices, and how Hydra builds it."""


def import_from(folder: str | None) -> None:
    """Have modules in this folder found, after all others: own parts may lie there."""
    if folder is not None and folder not in sys.path:
        sys.path.append(folder)


def build(part: Mapping[str, Any], *, key: str, positional: tuple[Any, ...] = (), **offered: Any) -> Any:
    """Call what a part names, and return what that returns.

    Args:
        part: `_target_` and arguments; arguments that have a `_target_` are built, too.
        key: where the part is in the configuration, for messages.
        positional: handed on as they are, before the rest.
        offered: handed on as far as the signature names them and the part does not.

    Raises:
        ConfigError: it cannot be imported or called, or raised something.
    """
    target = found(part, key=key)
    arguments = {name: value for name, value in part.items() if name not in (TARGET, *LABELS)}
    given = {name: value for name, value in offered.items() if name not in arguments}
    names = _parameters(target)
    if names is not None:
        given = {name: value for name, value in given.items() if name in names}
    try:
        _signature(target).bind(*positional, **arguments, **given)
    except TypeError as error:
        raise ConfigError(
            f"{key}: {part[TARGET]} cannot be called with {', '.join([*arguments, *given])} "
            f"({error}); it may name {', '.join(offered)}, and takes further keys of {key}"
        ) from None
    except ValueError:  # it has no signature that can be read
        pass
    try:
        nested = {name: _nested(value) for name, value in arguments.items()}
        return target(*positional, **nested, **given)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    except Exception as error:  # whatever own code raises is a mistake in it
        raise ConfigError(f"{key}: {part[TARGET]} raised {type(error).__name__}: {error}") from error


def found(part: Mapping[str, Any], *, key: str) -> Callable[..., Any]:
    """Import what a part names.

    Raises:
        ConfigError: there is no `_target_`, or it cannot be imported.
    """
    dotted = part.get(TARGET)
    if not isinstance(dotted, str):
        raise ConfigError(
            f"{key}: expected the dotted name of a class or function, as in "
            f"{key}._target_=my_module.MyClass, but got {dotted}"
        )
    try:
        target = get_object(dotted)
    except (ImportError, ValueError, HydraException, AttributeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[-1]
        raise ConfigError(
            f"{key}: {dotted} cannot be imported from {os.getcwd()} or an installed package "
            f"({reason})"
        ) from error
    except Exception as error:  # the module itself raised, whatever
        raise ConfigError(f"{key}: importing {dotted} raised {type(error).__name__}: {error}") from error
    if not callable(target):
        raise ConfigError(f"{key}: expected a class or function, but {dotted} is {target!r}")
    return target


def _nested(value: object) -> object:
    """Build an argument that has a `_target_` itself, as Hydra does."""
    if isinstance(value, Mapping | list) and TARGET in str(value):
        return instantiate(value, _convert_="all")
    return value


def _signature(target: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(target)


def _parameters(target: Callable[..., Any]) -> set[str] | None:
    """Return the parameters a signature names; None: it takes any."""
    try:
        parameters = _signature(target).parameters.values()
    except (TypeError, ValueError):
        return set()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    return {one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
