"""What a study consists of, and under which conditions it was made: `manifest.json`."""

import copy
import dataclasses
import json
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from bvae.exceptions import ConfigError
from bvae.files import is_file_name, read_text, write_atomically
from bvae.records import expected, fits, in_words, mistake
from bvae.trial import TrackerSettings, TrialResult
from bvae.versions import code_version, counts
from sweeps.study.quoting import escaped, for_shell, is_unresolved, texts_in
from sweeps.study.trials import Trial

Record = TypeVar("Record", "Manifest", "TrackerSettings", "SearchSettings")

STEPS = "trainer.max_steps"
"""The one key of the base configuration that `extend=true` may change."""

VALUES_THEN: Mapping[str, Any] = {
    "data.holdout": 0.0,
    "loss.name": "beta_vae",
    "loss._target_": "bvae.losses.BetaVAELoss",
    "loss.schedule": "constant",
    "loss.schedule_steps": 1000,
    "loss.cycles": 4,
}
"""Keys that are younger than some studies, and the values that trials had before they existed.

A manifest that lacks one is of such a study, and stays so when it is continued. The schema's
defaults in `bvae.config` are the same values: older configurations are read with them.
"""

RUN_TRIAL = "bvae.train.run_trial"
"""Dotted name of the function that runs a trial, unless a study names another."""

NAMES = {"trials": "points", "compositions": "configurations"}
"""What the file calls these fields, since the first version."""

SCHEMA = 1
"""Version of `manifest.json`; readers refuse a newer one."""

MOST_LATENTS = 10**9
"""More than any machine holds: a file that says more was not written by us."""


@dataclass(frozen=True)
class SearchSettings:
    """A search as the file holds it; `sweeps.search.search` knows what the space means.

    Attributes:
        space: what may be tried of every key of a configuration.
        seeds: repeats of a configuration.
        sampler: `_target_` of the sampler, and its options.
        n_trials: trainings in all.
    """

    space: Mapping[str, Any]
    seeds: Sequence[int]
    sampler: Mapping[str, Any]
    n_trials: int

    @property
    def sampler_name(self) -> str:
        """The sampler's class."""
        return str(self.sampler["_target_"]).rpartition(".")[2]


@dataclass(frozen=True)
class Manifest:
    """What a study consists of, and under which conditions it was made.

    Attributes:
        axes: swept keys beside β, latent size and seed; `groups` are those that are config groups.
        base: the flat configuration all trials share, as far as it can change numbers; what
            depends on a swept key is there as it was typed, as in `${beta}`.
        compositions: what was composed for each choice among the swept groups, likewise.
        arguments: what was typed after `bvae`, without the password of a database.
        code_version: hash of the sources that can change numbers, those of own parts among them;
            `sources` has one for each file.
        accepted: hashes of other sources that `accept_sources=true` has continued with.
        trial: dotted name of the function that runs a trial.
        max_attempts: how often a trial may fail with an exception; `max_deaths`, how often its
            worker may die without progress.
        pruner: ends the worst configurations early; None lets every trial end.
        storage: URL of the database with the attempts, without password; None: `study.journal`.
        search: what is searched, if anything; it adds trials as they are found.
        until: "resolved" if seeds are added until the answer is known.
        looks: how often any were added.
        parts_folder: where the command was typed, if own parts may come from there.
    """

    study_id: str
    name: str
    axes: list[str]
    groups: list[str]
    trials: list[dict[str, Any]]
    base: dict[str, Any]
    compositions: dict[str, dict[str, Any]]
    objective: str
    protocol: str
    lattice: str | None
    data: str
    model: str
    image_size: int
    threads: int
    arguments: list[str]
    created_at: str
    code_version: str
    sources: dict[str, str] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    trial: str = RUN_TRIAL
    max_attempts: int = 3
    max_deaths: int = 10
    pruner: str | None = None
    storage: str | None = None
    search: SearchSettings | None = None
    until: str | None = None
    looks: int = 0
    parts_folder: str | None = None
    schema: int = SCHEMA

    def write(self, path: Path) -> None:
        """Write the manifest atomically."""
        content = dataclasses.asdict(self)
        written = {NAMES.get(key, key): value for key, value in content.items()}
        write_atomically(path, json.dumps(written, indent=1, ensure_ascii=False))

    def config_of(self, trial: Trial) -> dict[str, Any]:
        """Return the composed configuration of a trial: swept values set, then all resolved.

        Raises:
            ConfigError: something cannot be resolved, or is not there.
        """
        values = trial.values
        choice = combination({group: values[group] for group in self.groups})
        keys = {key: value for key, value in values.items() if key not in self.groups}
        if choice not in self.compositions:
            raise ConfigError(
                f"{self.name}: manifest.json has no configuration {choice}".rstrip()
                + "; put back the file as it was written"
            )
        return resolved(self.compositions[choice], keys)

    @property
    def values_then(self) -> dict[str, Any]:
        """Keys that the study was begun without, with the values that its trials have."""
        composed = self.compositions.values()
        return {
            key: value
            for key, value in VALUES_THEN.items()
            if any(_is_younger(key, one) for one in composed)
        }

    @property
    def defaults_then(self) -> dict[str, Any]:
        """Those of `values_then` that belong to a group the study has.

        Its choices may have another default today; a group that is new has the old one.
        """
        composed = self.compositions.values()
        return {
            key: value
            for key, value in self.values_then.items()
            if all(lacking(one, key) in (None, key) for one in composed)
        }

    @property
    def settings(self) -> dict[str, Any]:
        """The base, with the values of keys that the study was begun without."""
        return self.values_then | self.base

    @property
    def command(self) -> str:
        """What was typed, where the study was begun."""
        return for_shell(["bvae", *self.arguments])

    @property
    def n_factors(self) -> int | None:
        """How many factors the scored lattice has, as in 3x6x40; None without factors."""
        return None if self.lattice is None else self.lattice.count("x") + 1

    @property
    def steps(self) -> float | None:
        """How many steps every trial takes; None where trials differ in them."""
        steps = self.base.get(STEPS)
        return None if is_unresolved(steps) else steps

    @property
    def keep_trials(self) -> int | None:
        """How many trials keep their weights, the best ones; None: all."""
        composed = next(iter(self.compositions.values()), {})
        found: int | None = composed.get("checkpoint", {}).get("keep_trials")
        return found

    @property
    def tracker(self) -> TrackerSettings:
        """How the study is tracked: as its first trial."""
        return _record(TrackerSettings, self.config_of(Trial.of(self.trials[0]))["tracker"])

    @property
    def unfound(self) -> int:
        """How many trials a search has yet to find."""
        return max(0, self.search.n_trials - len(self.trials)) if self.search else 0

    def without(self, dropped: Collection[Trial]) -> "Manifest":
        """Return the manifest without these trials; a search does not look for others instead."""
        gone = {trial.slug for trial in dropped}
        left = [values for values in self.trials if Trial.of(values).slug not in gone]
        number = len(self.trials) - len(left)
        search = self.search and dataclasses.replace(
            self.search, n_trials=self.search.n_trials - number
        )
        return dataclasses.replace(self, trials=left, search=search)

    def accepts(self, sources: str) -> bool:
        """Whether the study may be continued with sources of this hash."""
        return sources in (self.code_version, *self.accepted)

    def with_sources(self, result: TrialResult, code: str) -> TrialResult:
        """Return a result that has the hash of its sources as `code` among its `versions`.

        If they are others than the study was begun with, `sources_changed_from` has those.
        """
        versions = {**result.versions, "code": code}
        if code != self.code_version:
            versions["sources_changed_from"] = self.code_version
        return dataclasses.replace(result, versions=versions)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a manifest.

        Raises:
            ConfigError: if there is none, or it was written by a newer version.
        """
        try:
            content = json.loads(read_text(path))
            if content.get("schema", 0) > SCHEMA:
                raise ConfigError(
                    f"{path}: written by a newer version of bvae-sweeps; upgrade to read it"
                )
            if "command" in content:  # as text, until its words were kept
                if not isinstance(content["command"], str):
                    raise TypeError(f"command: {expected('a text', content['command'])}")
                content["arguments"] = _words_after_program(content["command"])
            for name, written in NAMES.items():
                content[name] = content.pop(written, None)
            if content.get("sources"):  # all of `bvae/`, until those that count were told apart
                content["sources"] = {
                    path: digest for path, digest in content["sources"].items() if counts(path)
                }
                content["code_version"] = code_version(content["sources"])
            if content.get("search") is not None:
                wrong = mistake(SearchSettings, content["search"])
                if wrong is not None:
                    raise TypeError(f"search: {wrong}")
                content["search"] = _record(SearchSettings, content["search"])
            wrong = mistake(cls, content) or _contradiction(content)
            if wrong is not None:
                name, colon, rest = wrong.partition(":")
                raise TypeError(NAMES.get(name, name) + colon + rest)
            return _record(cls, content)
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigError(
                f"{path.parent}: not a study (no manifest.json); "
                "give the folder of a study, for example runs/quick"
            ) from None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(
                f"{path}: not a manifest this version can read ({why}); put back the file as it "
                "was written, or give the study another name with study=…"
            ) from None


def _contradiction(content: Mapping[str, Any]) -> str | None:
    """Return what a manifest whose types are right still says that cannot be, if anything."""
    for name in ("name", "study_id", "protocol", "objective"):  # parts of the names of files
        if name in content and not is_file_name(content[name]):
            return f"{name}: {expected('a name without /', content[name])}"
    if "trials" in content and not content["trials"]:
        return f"trials: {expected('one at least', content['trials'])}"
    kinds = {"beta": float, "latent_dim": int, "seed": int} | dict.fromkeys(content["axes"], Any)
    for values in content.get("trials", ()):
        for key, kind in kinds.items():
            if key not in values or not fits(values[key], kind):
                return f"trials: {expected(f'{key} as {in_words(kind)}', values.get(key))}"
        if not 0 < values["beta"] <= sys.float_info.max:
            return f"trials: {expected('beta as a finite number above 0', values['beta'])}"
        if not 1 <= values["latent_dim"] <= MOST_LATENTS:
            wanted = f"latent_dim from 1 to {MOST_LATENTS}"
            return f"trials: {expected(wanted, values['latent_dim'])}"
    return None


def _record(kind: type[Record], content: Mapping[str, Any]) -> Record:
    """Return what a file holds as a record; what only another version knows is left out."""
    return kind(
        **{entry.name: content[entry.name] for entry in fields(kind) if entry.name in content}
    )


def _words_after_program(command: str) -> list[str]:
    """Return what was typed after `bvae` or `python -m bvae`."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quote without its partner: a person wrote it down
        words = command.split()
    return words[words.index("bvae") + 1 :] if "bvae" in words else words[1:]


def resolved(composed: Mapping[str, Any], values: Mapping[str, object]) -> dict[str, Any]:
    """Return a configuration with these values of dotted keys, and what depends on them resolved.

    Raises:
        ConfigError: naming a key that cannot be resolved.
    """
    tree = dict(copy.deepcopy(composed))
    for key, value in values.items():
        put(tree, key, escaped(value))
    if not any("${" in part for part in texts_in(tree)):
        return tree
    from omegaconf import OmegaConf  # which few studies need
    from omegaconf.errors import OmegaConfBaseException

    try:
        return dict(OmegaConf.to_container(OmegaConf.create(tree), resolve=True))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"{error.full_key}: cannot be resolved ({reason}); "
            "write the name of a key, as in ${beta}, or a value"
        ) from None


def _is_younger(key: str, composed: Mapping[str, Any]) -> bool:
    """Whether a key is younger than what was composed; each loss has keys of its own since then."""
    part = lacking(composed, key)
    return part is not None and (part == "loss" or not key.startswith("loss."))


def lacking(tree: Mapping[str, Any], key: str) -> str | None:
    """Return the part of a dotted key that is not in a configuration, None if all of it is.

    >>> [lacking({"data": {"name": "npz"}}, key) for key in ("data.holdout", "loss.name")]
    ['data.holdout', 'loss']
    """
    part: Any = tree
    names = key.split(".")
    for place, name in enumerate(names, start=1):
        if not isinstance(part, Mapping) or name not in part:
            return ".".join(names[:place])
        part = part[name]
    return None


def put(tree: dict[str, Any], key: str, value: object) -> None:
    """Set the value of a dotted key; of what it lies below there need be nothing.

    >>> tree = {"loss": {"name": "own", "options": None}}
    >>> put(tree, "loss.options.a", 1)
    >>> tree
    {'loss': {'name': 'own', 'options': {'a': 1}}}
    """
    *parents, leaf = key.split(".")
    for name in parents:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
        tree = tree[name]
    tree[leaf] = value


def combination(choices: Mapping[str, object]) -> str:
    """Name a choice among swept config groups; empty where none is swept."""
    return ",".join(f"{group}={choices[group]}" for group in sorted(choices))
