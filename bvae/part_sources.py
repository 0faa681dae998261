"""The sources that a study's own parts are made of, by their `_target_`: read, never run.

A part may come from the folder that the command was typed in, or from any package that can be
imported. Hashed are the module it names and every module that this one imports, as far as they
lie in the same folder or package: a change in any of them may change numbers.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bvae.config import BETA_VAE, TARGET, Config
from bvae.versions import PACKAGES, digest, sources

KNOWN_BY_VERSION = frozenset({"bvae", *(name.replace("-", "_") for name in PACKAGES), "sklearn"})
"""Packages that results record by version, or, of `bvae`, by the sources that count."""


def import_from(folder: str | None) -> None:
    """Have modules in this folder found, after all others: own parts may lie there."""
    if folder is not None and folder not in sys.path:
        sys.path.append(folder)


def targets(values: object) -> Iterator[str]:
    """Yield every `_target_` of own parts in a configuration, however deep.

    >>> [*targets([{"_target_": "bvae.losses.BetaVAELoss"}, {"encoder": {"_target_": "my.Net"}}])]
    ['my.Net']
    """
    if isinstance(values, Mapping):
        target = values.get(TARGET)
        if isinstance(target, str) and _is_own(target):
            yield target
        values = list(values.values())
    if isinstance(values, list):
        for value in values:
            yield from targets(value)


def has_parts(config: Config) -> bool:
    """Whether something is built that may be built wrongly: the defaults are not."""
    is_plain = config.model.encoder is None and config.model.decoder is None and not config.scores
    return not (is_plain and config.loss == BETA_VAE and {*config.optimizer} <= {"name", "lr"})


def _is_own(target: str) -> bool:
    package = target.partition(".")[0]
    return package not in KNOWN_BY_VERSION and package not in sys.stdlib_module_names


def all_sources(compositions: Mapping[str, Any], folder: str | None) -> dict[str, str]:
    """Return the hash of each source that counts for a study, by its path: ours and own ones.

    Args:
        compositions: the study's composed configurations.
        folder: where its command was typed; None: no own part is there.
    """
    own = sorted({*targets(list(compositions.values()))})
    return sources() | own_sources(own, Path(folder) if folder else None)


def own_sources(wanted: Iterable[str], folder: Path | None) -> dict[str, str]:
    """Return the hash of each source file below these targets, 12 hexadecimal digits.

    A module that cannot be found is left out: building the part says so.
    """
    return {name: digest(path.read_bytes()) for name, path in _own_files(wanted, folder).items()}


def forget_changed(values: object, folder: str) -> bool:
    """Have own modules imported anew if one has changed since this process last asked.

    In a notebook, a mistake that was put right would otherwise be found again.

    Args:
        values: configurations.
        folder: where a command is typed.
    """
    now = {
        str(path): digest(path.read_bytes())
        for path in _own_files({*targets(values)}, Path(folder)).values()
    }
    is_changed = any(_SEEN.get(path, found) != found for path, found in now.items())
    _SEEN.update(now)
    if is_changed:
        importlib.invalidate_caches()
        for name, module in [*sys.modules.items()]:
            if getattr(module, "__file__", None) in now:
                del sys.modules[name]
    return is_changed


_SEEN: dict[str, str] = {}


def _own_files(wanted: Iterable[str], folder: Path | None) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for target in wanted:
        package = target.partition(".")[0]
        root = _root(package, folder)
        if root is not None:
            _add(target, root, package if root != folder else None, files)
    return dict(sorted(files.items()))


def _root(package: str, folder: Path | None) -> Path | None:
    """Return the folder that a top-level module or package lies in, as it would be imported."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    if spec is not None and spec.origin:
        return Path(spec.origin).parent
    if folder is not None and _files(package, folder):
        return folder
    return None


def _add(dotted: str, root: Path, package: str | None, files: dict[str, Path]) -> None:
    """Add the files that a dotted name comes from, and those that they import."""
    if package is not None and dotted.partition(".")[0] != package:
        return
    for path in _files(dotted, root):
        name = path.relative_to(root).as_posix()
        if name not in files:
            files[name] = path
            for imported in _imports(path, root):
                _add(imported, root, package, files)


def _files(dotted: str, root: Path) -> list[Path]:
    """Return the files of each module along a dotted name, as far as there are any."""
    found = []
    place = root
    for name in dotted.split("."):
        place = place / name
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                found.append(path)
                break
    return found


def _imports(path: Path, root: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # importing it says so
        return
    parents = path.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}".lstrip(".") for alias in node.names)
