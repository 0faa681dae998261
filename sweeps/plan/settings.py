"""How a study is swept: the keys below `hydra.sweeper`, once, and what they may be."""

import importlib.util
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bvae.exceptions import ConfigError
from sweeps.search.pruning import PERCENTILES
from sweeps.study.manifest import RUN_TRIAL

PASSWORD = "PGPASSWORD"
"""Read by PostgreSQL's own library; a file ~/.pgpass does as well."""


RESOLVED = "resolved"


@dataclass
class SweepSettings:
    """The keys below `hydra.sweeper`; `hydra/sweeper/sampler=tpe` sets `sampler`, too.

    Attributes:
        params: overrides that what is typed beats, as in Hydra's Optuna sweeper.
        max_attempts: how often a trial may fail with an exception; `max_deaths`, how often its
            worker may die without progress.
        trial: dotted name of the function that runs a trial.
        pruner: ends configurations early that fall behind; null lets every trial end.
        sampler: of a search, a name or `_target_` and options; with `n_trials` null, too, it is a
            grid, unless an interval is typed.
        until: "resolved": seeds are added to a grid until verdict, best β and latent size are
            known; `n_trials` and `max_minutes` are then the budget.
        storage: URL of the database with the attempts; null for the journal in the study's folder.
    """

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"sampler": None}])
    _target_: str = "hydra_plugins.bvae_sweeper.BvaeSweeper"
    n_workers: int | None = None
    workers_per_device: int = 1
    params: dict[str, Any] = field(default_factory=dict)
    max_minutes: float | None = None
    max_attempts: int = 3
    max_deaths: int = 10
    dry_run: bool = False
    trial: str = RUN_TRIAL
    pruner: str | None = None
    direction: str = "maximize"
    sampler: Any = None
    n_trials: int | None = None
    until: str | None = None
    storage: str | None = None
    study_name: str | None = None

    def check(self) -> None:
        """Check the values.

        Raises:
            ConfigError: naming all mistakes.
        """
        mistakes = [f"hydra.sweeper.{mistake}" for mistake in self._mistakes()]
        if mistakes:
            raise ConfigError("\n".join(mistakes))

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
        yield f"expected postgresql://user@host/database, but got {url}"
    elif re.search(r"//[^/@]*:[^/@]*@|[?&]password=", url):
        yield f"a password has no place in a file; set {PASSWORD}, or write it into ~/.pgpass"
    elif importlib.util.find_spec("psycopg") is None:
        yield "PostgreSQL's driver is missing; pip install 'bvae-sweeps[postgresql]'"
