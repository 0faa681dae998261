"""What was typed after `bvae`: Hydra's flags, the overrides, and where own files are found."""

import argparse
import importlib.metadata
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser  # Hydra's flags have no public reader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType

from bvae import config
from bvae.exceptions import ConfigError
from bvae.files import expanded
from sweeps.plan.overrides import Groups, parse
from sweeps.plan.words import short_forms_written_out, with_texts_quoted, without_password
from sweeps.study.quoting import in_quotes

NO_EXPERIMENT = "experiment=null"
"""Says what is so anyway; Hydra would refuse it."""

SEARCHPATH = "hydra.searchpath"

FILES = "file://"


class _Parser(argparse.ArgumentParser):
    """Hydra's parser, whose mistakes are ours to tell."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


@dataclass(frozen=True)
class CommandLine:
    """What was typed after `bvae`, with folders absolute and short forms written out.

    Attributes:
        flags: by their names in Hydra's parser.
        overrides: `key=value` and the like.
        folders: where configuration files are looked for beside our own: `file://…` or `pkg://…`.
    """

    flags: Mapping[str, str | bool | None]
    overrides: Sequence[str]
    folders: Sequence[str]

    @property
    def arguments(self) -> list[str]:
        """What Hydra is handed, and the manifest keeps: it may be typed in any folder."""
        written = {"multirun": "-m"}
        flags = [
            written.get(name, f"--{name.replace('_', '-')}")
            + (f"={value}" if isinstance(value, str) else "")
            for name, value in self.flags.items()
            if value
        ]
        return [*flags, *self.overrides]

    @property
    def groups(self) -> Groups:
        """The choices of every config group, those of own files too, as Hydra finds them."""
        name = str(self.flags["config_name"] or "config")
        if not self.folders and name == "config":
            return config.groups()  # a fifth of a second sooner
        with initialize_config_dir(str(config.directory()), version_base="1.3"):
            options = partial(
                GlobalHydra.instance().config_loader().get_group_options,
                config_name=name,
                overrides=[_searchpath(self.folders)] if self.folders else [],
            )
            groups = options("", results_filter=ObjectType.GROUP)
            return {group: [*_names(options, group)] for group in groups if group != "hydra"}


def read(arguments: Sequence[str]) -> CommandLine:
    """Read a command line with Hydra's own parser; `--version` prints ours and exits.

    Raises:
        ConfigError: it has other flags, two that exclude each other, or a folder that is not there.
    """
    parser = _Parser(
        prog="bvae", add_help=False, conflict_handler="resolve", parents=[get_args_parser()]
    )
    parser.add_argument("--version", action="version", version=_versions())
    flags = vars(parser.parse_intermixed_args(arguments))
    lines = [line for line in flags.pop("overrides") if line != NO_EXPERIMENT]
    overrides = without_password(short_forms_written_out(lines))
    overrides = with_texts_quoted(overrides, sweeps=bool(flags["multirun"]))
    if flags["cfg"] or flags["info"]:
        flags["multirun"] = False
        _refuse_sweeps(overrides)
    _check_flags(flags)
    folders: list[str] = []
    if flags["config_dir"]:
        folders = [_absolute(flags["config_dir"], key="--config-dir")]
        flags["config_dir"] = folders[0].removeprefix(FILES)
    for place, line in enumerate(overrides):
        if line.startswith(f"{SEARCHPATH}="):
            value = parse([line])[0].value()
            found = [_absolute(str(each), key=SEARCHPATH) for each in _as_list(value)]
            overrides[place] = _searchpath(found)
            folders += found
    return CommandLine(flags, overrides, folders)


def _versions() -> str:
    found = {name: importlib.metadata.version(name) for name in ("bvae-sweeps", "torch")}
    return f"bvae-sweeps {found['bvae-sweeps']} (Python {platform.python_version()}, " + (
        f"torch {found['torch']})"
    )


def _check_flags(flags: Mapping[str, str | bool | None]) -> None:
    modes = [name for name in ("run", "multirun", "shell_completion", "cfg", "info") if flags[name]]
    if len(modes) > 1:
        given = " and ".join(f"--{name.replace('_', '-')}" for name in modes)
        raise ConfigError(f"{given}: exclude each other; type one of them")
    if flags["resolve"] and not (flags["cfg"] or flags["help"]):
        raise ConfigError("--resolve: goes with --cfg, as in --cfg job --resolve")
    if flags["experimental_rerun"]:
        raise ConfigError("--experimental-rerun: type the same command again, and it continues")
    if flags["config_path"]:
        raise ConfigError(
            "--config-path: would replace the configuration of this program; "
            "add a folder of your own with --config-dir"
        )


def _refuse_sweeps(lines: Sequence[str]) -> None:
    for override in parse(lines):
        if override.is_sweep_override():
            raise ConfigError(
                f"{override.input_line}: --cfg and --info show the configuration of one run; "
                f"give {override.key_or_group} one value"
            )


def _as_list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise ConfigError(f"{SEARCHPATH}: expected a list of folders, as in '[{FILES}my]'")
    return value


def _absolute(folder: str, *, key: str) -> str:
    """Return a folder as Hydra's search path names it; a package, `pkg://…`, as it is."""
    if "://" in folder and not folder.startswith(FILES):
        return folder
    path = expanded(folder.removeprefix(FILES)).absolute()
    if not path.is_dir():
        raise ConfigError(f"{key}: no such folder: {folder.removeprefix(FILES)}")
    return f"{FILES}{path}"


def _searchpath(folders: Sequence[str]) -> str:
    return f"{SEARCHPATH}=[{','.join(map(in_quotes, folders))}]"


def _names(options: Callable[..., list[str]], group: str) -> Iterator[str]:
    """Yield the choices of a group; those of a folder below it as `folder/name`."""
    yield from options(group, results_filter=ObjectType.CONFIG)
    for below in options(group, results_filter=ObjectType.GROUP):
        yield from (f"{below}/{name}" for name in _names(options, f"{group}/{below}"))
