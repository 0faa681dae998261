"""The curve: score against β, a line for every latent size, with intervals over seeds.

A *configuration* is one β and latent size (and one value of every further axis); its trials differ
by seed only. The configurations of one latent size form a *line* of the chart. Seeds are never
averaged across the further axes. Everything here is numbers in, numbers out; nothing is drawn.

Shapes: C configurations of a line, in order of β; S seeds. Missing values are NaN.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bvae.exceptions import DataError
from bvae.files import write_atomically
from bvae.metrics.scores import score_named
from bvae.metrics.udr import as_independent
from sweeps.statistics.contrasts import Noise, residual_noise
from sweeps.statistics.intervals import MeanIntervals, configuration_means, intervals
from sweeps.study.ranking import MIN_ACTIVE, Ranked
from sweeps.study.trials import axis_value

COLUMNS = (
    "latent_dim",
    "beta",
    "beta_norm",
    "score",
    "mean",
    "low",
    "high",
    "n",
    "protocol",
    "n_failed",
    "n_pruned",
    "active_latents",
)
NEEDED = ("beta", "beta_norm", "seed", "state", "active_latents", "protocol")
REPEATS = "repeats"  # of a configuration of a search, which has its trials one by one


@dataclass(frozen=True, eq=False)
class Line:
    """The configurations of one latent size (and one value of each further axis) for one score.

    `values` is [C, S] and NaN where a seed has no score; `complete` [C] is true where every
    expected seed of the configuration has one; `active_latents` [C] is a mean over seeds. The UDR
    of seeds are not independent: their `values` are pseudo-values, which have the same mean.
    """

    axes: tuple[tuple[str, Any], ...]
    latent_dim: int
    score: str
    betas: NDArray[np.float64]
    beta_norms: NDArray[np.float64]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]
    complete: NDArray[np.bool_]
    n_failed: NDArray[np.int64]
    n_pruned: NDArray[np.int64]
    active_latents: NDArray[np.float64]
    protocols: tuple[str, ...]

    @property
    def collapsed(self) -> NDArray[np.bool_]:
        """Whether fewer than two latents are active: bool [C]; unknown is not collapsed."""
        return self.active_latents < MIN_ACTIVE

    @functools.cached_property
    def noise(self) -> Noise:
        """The variance of a seed, by the configurations that have not collapsed."""
        return residual_noise(self.values, members=~self.collapsed)

    @functools.cached_property
    def intervals(self) -> MeanIntervals:
        """The mean of every configuration and its 95 % interval."""
        return intervals(self.values, collapsed=self.collapsed)

    @functools.cached_property
    def finished(self) -> "Line":
        """The line with its complete configurations only."""
        return self.keep(self.complete)

    def keep(self, keep: NDArray[np.bool_]) -> "Line":
        """Return the line where `keep` [C] is true; itself if all are kept."""
        if keep.all():
            return self
        return replace(
            self,
            betas=self.betas[keep],
            beta_norms=self.beta_norms[keep],
            values=self.values[keep],
            complete=self.complete[keep],
            n_failed=self.n_failed[keep],
            n_pruned=self.n_pruned[keep],
            active_latents=self.active_latents[keep],
            protocols=tuple(np.array(self.protocols, dtype=object)[keep]),
        )


@dataclass(frozen=True)
class ScoredConfiguration:
    """One configuration with the mean of a score over its seeds and the interval of the mean.

    `n` counts seeds with a score; two seeds have one UDR.
    """

    axes: tuple[tuple[str, Any], ...]
    latent_dim: int
    beta: float
    beta_norm: float
    score: str
    mean: float
    low: float
    high: float
    n: int
    collapsed: bool

    @property
    def ranked(self) -> "Ranked[ScoredConfiguration]":
        """The configuration as `ranking` sees it; only complete configurations are compared."""
        return Ranked(self, self.beta, self.latent_dim, self.mean, self.collapsed)


def curve(
    frame: pd.DataFrame, *, score_names: Sequence[str], axes: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the table of curve.csv: a row for every configuration and score, in a fixed order.

    Args:
        frame: a row for every expected trial, as `trials_table` gives it.
        score_names: columns of `frame` to summarise.
        axes: swept keys beside beta, latent_dim and seed; appended as columns.

    Raises:
        DataError: two rows are the same trial, which means that an axis was not named.
    """
    return Curves(frame, axes).table(score_names)


def lines(
    frame: pd.DataFrame, *, score_names: Sequence[str], axes: Sequence[str] = ()
) -> Iterator[Line]:
    """Yield every line of the chart, ordered by axes and latent size, then by score."""
    yield from Curves(frame, axes).by_size(score_names)


class Curves:
    """Every line of a table of trials, each made once.

    Args:
        trials: a row for every trial, as `trials_table` gives it.
        axes: swept keys beside beta, latent_dim and seed.

    Raises:
        DataError: two rows are the same trial, which means that an axis was not named.
    """

    def __init__(self, trials: pd.DataFrame, axes: Sequence[str] = ()) -> None:
        _require_distinct(trials, axes)
        self.trials = trials
        self.axes = tuple(axes)
        self._lines: dict[str, tuple[Line, ...]] = {}

    def lines(self, score: str) -> tuple[Line, ...]:
        """Return the lines of one score, ordered by axes and latent size."""
        if score not in self._lines:
            column = self.trials[score]
            self._lines[score] = tuple(
                _line(layout, score, column.iloc[rows]) for layout, rows in self._layouts
            )
        return self._lines[score]

    def by_size(self, score_names: Sequence[str]) -> Iterator[Line]:
        """Yield the lines of several scores side by side, latent size by latent size."""
        for of_size in zip(*map(self.lines, score_names), strict=True):
            yield from of_size

    def table(self, score_names: Sequence[str]) -> pd.DataFrame:
        """Return the rows of curve.csv for these scores, in a fixed order."""
        rows = [row for line in self.by_size(score_names) for row in _line_rows(line)]
        return pd.DataFrame(rows, columns=[*COLUMNS, *self.axes])

    @functools.cached_property
    def _layouts(self) -> list[tuple["_Layout", NDArray[np.int64]]]:
        """What all scores of a line share, and where its trials stand in the table."""
        keys = [*self.axes, "latent_dim"]
        wanted = dict.fromkeys([*keys, *NEEDED, REPEATS])
        columns = [name for name in wanted if name in self.trials]  # all take twice as long
        numbered = self.trials[columns].reset_index(drop=True)
        groups = numbered.groupby(keys, dropna=False, sort=False)
        found = []
        for names, group in sorted(groups, key=lambda item: [_order(name) for name in item[0]]):
            values = map(axis_value, names[:-1])
            layout = _layout(group, tuple(zip(self.axes, values, strict=True)))
            found.append((layout, group.index.to_numpy(np.int64)))
        return found


def configuration(line: Line, index: int) -> ScoredConfiguration:
    """Return configuration number `index` of a line, in order of β."""
    means, low, high = line.intervals
    return ScoredConfiguration(
        axes=line.axes,
        latent_dim=line.latent_dim,
        beta=float(line.betas[index]),
        beta_norm=float(line.beta_norms[index]),
        score=line.score,
        mean=float(means[index]),
        low=float(low[index]),
        high=float(high[index]),
        n=int(np.isfinite(line.values[index]).sum()),
        collapsed=bool(line.collapsed[index]),
    )


def write_curve(path: Path, table: pd.DataFrame) -> None:
    """Write curve.csv so that equal tables give equal bytes and no reader sees half a file."""
    text = table.to_csv(index=False, float_format="%.12g", lineterminator="\n")
    write_atomically(path, text)


def _require_distinct(frame: pd.DataFrame, axes: Sequence[str]) -> None:
    trial = [*axes, "latent_dim", "beta", "seed"]
    repeated = frame.loc[frame.duplicated(trial), trial]
    if len(repeated):
        first = ", ".join(f"{key}={repeated.iloc[0][key]}" for key in trial)
        raise DataError(
            f"Expected one row per trial ({', '.join(trial)}), got {len(repeated)} repeated, "
            f"the first {first}. Name every other swept key in `axes`."
        )


def _order(value: Any) -> tuple[bool, float, str]:
    """Sort numbers by size and before everything else, which goes by its text."""
    number = isinstance(value, (int, float, np.number)) and not np.isnan(value)
    return (not number, float(value) if number else 0.0, str(value))


class _Layout(NamedTuple):
    """What all scores of a line share: where each of N trials stands, and which are complete.

    `expected` [C] is how many seeds a configuration is to have: in a search more than it has trials
    yet.
    """

    blank: Line
    configuration: NDArray[np.int64]
    seed: NDArray[np.int64]
    done: NDArray[np.bool_]
    expected: NDArray[np.int64]


def _layout(group: pd.DataFrame, axes: tuple[tuple[str, Any], ...]) -> _Layout:
    betas, first, configuration = np.unique(group["beta"], return_index=True, return_inverse=True)
    seeds, seed = np.unique(group["seed"], return_inverse=True)
    done = (group["state"] == "complete").to_numpy(np.bool_)
    blank = Line(
        axes=axes,
        latent_dim=int(group["latent_dim"].iloc[0]),
        score="",
        betas=betas.astype(np.float64),
        beta_norms=group["beta_norm"].to_numpy(np.float64)[first],
        seeds=tuple(seeds.tolist()),
        values=np.full((len(betas), len(seeds)), np.nan),
        complete=np.zeros(len(betas), dtype=np.bool_),
        n_failed=_count(group, configuration, "failed"),
        n_pruned=_count(group, configuration, "pruned"),
        active_latents=configuration_means(
            _table(group["active_latents"], configuration, seed, done)
        ),
        protocols=_protocols(group, betas),
    )
    repeats = int(group[REPEATS].max()) if REPEATS in group else 0
    return _Layout(
        blank, configuration, seed, done, expected=np.maximum(np.bincount(configuration), repeats)
    )


def _line(layout: _Layout, score: str, column: pd.Series) -> Line:
    table = _table(column, layout.configuration, layout.seed, layout.done)
    complete = np.isfinite(table).sum(axis=1) >= layout.expected
    values = _independent(score, table)
    return replace(layout.blank, score=score, values=values, complete=complete)


def _table(
    column: pd.Series,
    configuration: NDArray[np.int64],
    seed: NDArray[np.int64],
    done: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return a column as [C, S], NaN for what is not complete or not there."""
    table = np.full((configuration.max() + 1, seed.max() + 1), np.nan)
    table[configuration, seed] = np.where(
        done, column.to_numpy(np.float64, na_value=np.nan), np.nan
    )
    return table


def _independent(score: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of seeds [C, S]; those of UDR share pairs of seeds, which intervals must know."""
    return as_independent(values) if score_named(score).per_configuration else values


def _count(group: pd.DataFrame, configuration: NDArray[np.int64], state: str) -> NDArray[np.int64]:
    return np.bincount(configuration, weights=group["state"] == state).astype(np.int64)


def _protocols(group: pd.DataFrame, betas: NDArray[np.float64]) -> tuple[str, ...]:
    """Return the protocols in each configuration, joined; in pandas this would be slow."""
    found: dict[float, set[str]] = {beta: set() for beta in betas.tolist()}
    for beta, name in zip(group["beta"].tolist(), group["protocol"].tolist(), strict=True):
        if isinstance(name, str):
            found[beta].add(name)
    return tuple("|".join(sorted(names)) for names in found.values())


def _line_rows(line: Line) -> list[dict[str, Any]]:
    means, low, high = line.intervals
    return [
        {
            "latent_dim": line.latent_dim,
            "beta": line.betas[i],
            "beta_norm": line.beta_norms[i],
            "score": line.score,
            "mean": means[i],
            "low": low[i],
            "high": high[i],
            "n": int(np.isfinite(line.values[i]).sum()),
            "protocol": line.protocols[i],
            "n_failed": int(line.n_failed[i]),
            "n_pruned": int(line.n_pruned[i]),
            "active_latents": line.active_latents[i],
            **dict(line.axes),
        }
        for i in range(len(line.betas))
    ]
