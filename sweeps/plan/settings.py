"""How a study is swept: the keys below `hydra.sweeper`, once, and what they may be."""

import importlib
import importlib.util
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from bvae.exceptions import ConfigError
from sweeps.search.pruning import PERCENTILES
from sweeps.search.search import SAMPLERS
from sweeps.study.manifest import RUN_TRIAL
from sweeps.study.trials import text

PASSWORD = "PGPASSWORD"
"""Read by PostgreSQL's own library; a file ~/.pgpass does as well."""


RESOLVED = "resolved"

HELP = "help"
"""Under which a field's metadata has what `bvae --help` says of its key."""


def _key(default: Any, sentence: str) -> Any:
    """Return a field with this default; `bvae --help` shows the sentence."""
    return field(default=default, metadata={HELP: sentence})


@dataclass
class SweepSettings:
    """The keys below `hydra.sweeper`; `hydra/sweeper/sampler=tpe` sets `sampler`, too."""

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"sampler": None}])
    _target_: str = "hydra_plugins.bvae_sweeper.BvaeSweeper"
    n_workers: int | None = _key(None, "workers at a time; null: one a core, or one a card")
    workers_per_device: int = _key(1, "workers that share a card")
    params: dict[str, Any] = field(
        default_factory=dict, metadata={HELP: "values to sweep over; what is typed beats them"}
    )
    max_minutes: float | None = _key(None, "stop after so long; continued when typed again")
    max_attempts: int = _key(3, "how often a trial may fail with an exception")
    max_deaths: int = _key(10, "how often its worker may die without progress")
    dry_run: bool = _key(False, "true: say what would run and how long it may take")
    trial: str = _key(RUN_TRIAL, "dotted name of the function that runs a trial")
    pruner: str | None = _key(None, "percentile | median: end early what falls behind")
    direction: str = _key("maximize", "always maximize: the objective is a score")
    sampler: Any = field(
        default=None,
        metadata={HELP: "tpe | gp | cmaes | random, or _target_ and options: a search"},
    )
    n_trials: int | None = _key(None, "trials of a search, or the most of until=resolved")
    until: str | None = _key(None, "resolved: add seeds to a grid until the answer is known")
    storage: str | None = _key(None, "URL of a database for the attempts; null: study.journal")
    on_end: str | None = _key(
        None, "what a shell runs at the end of this command, with BVAE_STUDY and BVAE_EXIT"
    )
    study_name: str | None = _key(None, "not used: a study is named by study=name")

    def check(self) -> None:
        """Check the values.

        Raises:
            ConfigError: naming all mistakes.
        """
        mistakes = [f"hydra.sweeper.{mistake}" for mistake in self._mistakes()]
        if mistakes:
            raise ConfigError("\n".join(mistakes))

    def trial_mistakes(self) -> Iterator[str]:
        """Yield that `trial` is no function that can be imported; ours is not tried: torch."""
        if self.trial == RUN_TRIAL:
            return
        module, _, name = self.trial.rpartition(".")
        try:
            found: object = getattr(importlib.import_module(module), name)
            wrong = "" if callable(found) else f"got {type(found).__name__}"
        except Exception as error:  # whatever own code raises when it is imported
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            yield (
                f"hydra.sweeper.trial={self.trial}: expected the dotted name of a function, as in "
                f"my_module.run_trial, but {wrong}"
            )

    def _mistakes(self) -> Iterator[str]:
        for name in ("n_workers", "workers_per_device", "max_attempts", "max_deaths", "n_trials"):
            number = getattr(self, name)
            if number is not None and number < 1:
                yield f"{name}: expected an integer of at least 1, but got {number}"
        minutes = self.max_minutes
        if minutes is not None and not (math.isfinite(minutes) and minutes > 0):
            yield f"max_minutes: expected a finite number above 0, but got {minutes:g}"
        if self.pruner not in (None, *PERCENTILES):
            allowed = ", ".join(PERCENTILES)
            yield f"pruner: expected one of {allowed}, or null, but got {self.pruner}"
        if self.until not in (None, RESOLVED):
            yield f"until: expected {RESOLVED}, or null, but got {self.until}"
        if self.until and (self.sampler or self.pruner):
            yield "until: adds seeds to a grid; leave sampler and pruner out"
        if self.direction != "maximize":
            yield f"direction: expected maximize, since scores are, but got {self.direction}"
        if self.study_name is not None:
            yield "study_name: a study is named by study=…; leave this key out"
        if self.storage is not None:
            yield from (f"storage: {mistake}" for mistake in _storage_mistakes(self.storage))


def _storage_mistakes(url: str) -> Iterator[str]:
    kind = url.partition("://")[0]
    if kind == "sqlite":
        yield (
            "SQLite locks no rows: two workers would be handed one trial. Leave the key out, for "
            "the journal in the study's folder, or give postgresql://user@host/database"
        )
    elif kind != "postgresql":
        yield f"expected postgresql://user@host/database, but got {kind}://…"
    elif re.search(r"//[^/@]*:.*@|[?&](ssl)?password=", url):
        yield f"a password has no place in a file; set {PASSWORD}, or write it into ~/.pgpass"
    elif importlib.util.find_spec("psycopg") is None:
        yield "PostgreSQL's driver is missing; pip install 'bvae-sweeps[postgresql]'"


def described() -> str:
    """Return a line for each key: its default, and what it is."""
    shown = [entry for entry in fields(SweepSettings) if HELP in entry.metadata]
    defaults = SweepSettings()
    heads = {entry.name: f"{entry.name}={text(getattr(defaults, entry.name))}" for entry in shown}
    width = max(map(len, heads.values()))
    return "\n".join(f"{heads[entry.name]:{width}}  {entry.metadata[HELP]}" for entry in shown)


def settings_of(node: DictConfig) -> SweepSettings:
    """Return the keys below `hydra.sweeper` as one record."""
    keys = {key: node[key] for key in node if key != "params"}  # resolved where they stand
    settings = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SweepSettings), keys))
    if not isinstance(settings, SweepSettings):  # OmegaConf's return type does not say so
        raise TypeError(f"expected a SweepSettings, but got {type(settings).__name__}")
    params: Any = OmegaConf.to_container(node.get("params") or OmegaConf.create())
    return replace(settings, params=params)  # as they would be typed


def register() -> None:
    """Make the sweeper's keys known to Hydra as `hydra/sweeper=bvae`, and to its help."""
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="bvae", node=SweepSettings)
    for name, node in SAMPLERS.items():
        store.store(group="hydra/sweeper/sampler", name=name, node=dict(node))
    OmegaConf.register_new_resolver("sweeper_keys", described, replace=True)
