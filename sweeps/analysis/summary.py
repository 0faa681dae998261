"""A study read once for the report: its trials, its configurations, and every score of each."""

import functools
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from pandas import DataFrame

from sweeps.analysis.best import best_configurations, best_of
from sweeps.analysis.curve import Curves, Line
from sweeps.analysis.latent_sizes import LatentSizes, compare_sizes
from sweeps.analysis.learning import LearningCurve, learning_curves
from sweeps.analysis.table import LOSSES, ended, score_names, trials_table
from sweeps.analysis.verdict import Judgement, judge_all
from sweeps.scoring.untrained import Level, Place, UntrainedBaseline, read_untrained
from sweeps.statistics.inverted_u import LEVEL
from sweeps.statistics.sequential import LEVEL_OF_A_LOOK
from sweeps.study.ranking import MIN_ACTIVE
from sweeps.study.study import Study
from sweeps.study.trials import axis_value, text

Axes = Sequence[tuple[str, Any]]
Key = tuple[str, int, float]
"""The facet's name, the latent size and β: what the trials of a configuration share."""


@dataclass(frozen=True)
class TrialEntry:
    """One expected trial: `values` has its scores and losses (nats), NaN where there are none."""

    slug: str
    configuration: int
    seed: int
    state: str
    values: Mapping[str, float]
    active_latents: float
    wall_time_s: float
    error: str


@dataclass(frozen=True)
class ConfigurationEntry:
    """One β and latent size within a facet; `number` is its place in `Summary.configurations`."""

    number: int
    facet: str
    latent_dim: int
    beta: float
    beta_norm: float
    n_expected: int
    active_latents: float

    @property
    def key(self) -> Key:
        """What its trials share."""
        return self.facet, self.latent_dim, self.beta

    @property
    def collapsed(self) -> bool:
        """Whether fewer than two latents are active, on average over the seeds."""
        return self.active_latents < MIN_ACTIVE


class ConfigurationScore(NamedTuple):
    """A score of a configuration: mean over seeds, its interval, and the number of seeds."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ByScore:
    """What one score says: the line with its best configuration, and the latent sizes.

    `agrees` is whether the objective's best β may be best by this score, too; None of the objective
    itself, and where it is not known.
    """

    judged: Judgement
    latents: LatentSizes
    agrees: bool | None


@dataclass(frozen=True)
class Summary:
    """What every part of the report is made from.

    `table` has every expected trial as trials.csv has it, `frame` the same with all scores as
    numbers; `population` has the lines of those that have ended, by which goes whatever is said of
    the study. `scores` has a list for every score and loss, an entry a configuration. A facet is
    one combination of the further axes' values; `best` has a configuration for each latent size of
    each facet, by the objective.
    """

    study: Study
    table: DataFrame
    frame: DataFrame
    population: Curves
    curve: DataFrame
    trials: tuple[TrialEntry, ...]
    configurations: tuple[ConfigurationEntry, ...]
    scores: Mapping[str, Sequence[ConfigurationScore]]
    best: tuple[ConfigurationEntry, ...]
    overall: ConfigurationEntry | None

    @functools.cached_property
    def untrained(self) -> Mapping[tuple[str, int], UntrainedBaseline]:
        """What untrained encoders score, by facet and latent size; read when it is asked for."""
        return _untrained(self.study, self.frame)

    @functools.cached_property
    def learning(self) -> Mapping[str, Mapping[str, LearningCurve]]:
        """The learning curves of every trial, by slug and column; read when they are asked for."""
        return learning_curves(self.study)

    @property
    def objective(self) -> str:
        """The score that says which configuration is best."""
        return self.study.manifest.objective

    @property
    def score_names(self) -> list[str]:
        """Every score, the objective first; the losses are none."""
        return [name for name in self.scores if name not in LOSSES]

    @property
    def charted(self) -> list[str]:
        """The scores that have charts, the one shown first in front.

        Of a single configuration only one has a chart. The objective is shown if any trial has
        it: without factors it may be a score that cannot be computed.
        """
        names = [name for name in self.score_names if any(score.n for score in self.scores[name])]
        return names if len(self.configurations) > 1 else names[:1]

    @property
    def facets(self) -> list[str]:
        """The facets' names, in order; one empty name if there are no further axes."""
        return list(dict.fromkeys(configuration.facet for configuration in self.configurations))

    @property
    def in_progress(self) -> bool:
        """Whether trials are still to come, so that the best is the best so far."""
        return self.study.left > 0

    def scored(self, facet: str, *scores: str) -> list[ConfigurationEntry]:
        """Return the facet's configurations that have these scores."""
        return [
            configuration
            for configuration in self.configurations
            if configuration.facet == facet
            and all(self.scores[name][configuration.number].n for name in scores)
        ]

    def trials_of(self, configuration: ConfigurationEntry) -> list[TrialEntry]:
        """Return the trials of a configuration."""
        return self._trials_by_configuration[configuration.number]

    @functools.cached_property
    def _trials_by_configuration(self) -> dict[int, list[TrialEntry]]:
        found: dict[int, list[TrialEntry]] = {
            configuration.number: [] for configuration in self.configurations
        }
        for trial in self.trials:
            found[trial.configuration].append(trial)
        return found

    def best_by(self, score: str) -> tuple[ConfigurationEntry, ...]:
        """Return the best configuration of every latent size of each facet by this score."""
        if score not in self._best_by_score:
            self._best_by_score[score] = _best(self.lines(score), self.configurations).by_line
        return self._best_by_score[score]

    @functools.cached_property
    def _best_by_score(self) -> dict[str, tuple[ConfigurationEntry, ...]]:
        return {self.objective: self.best}

    def lines(self, score: str) -> tuple[Line, ...]:
        """Return the lines of a score, by the trials that have ended."""
        return self.population.lines(score)

    def judgements(self, score: str) -> list[Judgement]:
        """Return the verdict on every line of a score, each computed once."""
        if score not in self._judgements:
            others = tuple(self.frame.columns)
            self._judgements[score] = judge_all(
                self.lines(score), other_scores=others, level=self.level
            )
        return self._judgements[score]

    @functools.cached_property
    def _judgements(self) -> dict[str, list[Judgement]]:
        return {}

    def latents(self, score: str) -> LatentSizes:
        """Return how many latents a score asks for, in the facet of its best configuration."""
        if score not in self._latents:
            best = self.judged_best(score)
            self._latents[score] = compare_sizes(self.lines(score), axes=best.axes if best else ())
        return self._latents[score]

    @functools.cached_property
    def _latents(self) -> dict[str, LatentSizes]:
        return {}

    def judged_best(self, score: str) -> Judgement | None:
        """Return the verdict on the line that has the best configuration of all by a score."""
        with_best = {one.best: one for one in self.judgements(score) if one.best is not None}
        best = best_of(with_best)
        return None if best is None else with_best[best]

    def by_score(self, scores: Sequence[str] | None = None) -> list["ByScore"]:
        """Return what each of these scores says, by default what each charted one does."""
        chosen = self.judged_best(self.objective)
        found = [(score, self.judged_best(score)) for score in scores or self.charted]
        return [
            ByScore(judged, self.latents(score), self._agrees(score, chosen))
            for score, judged in found
            if judged is not None
        ]

    def _agrees(self, score: str, chosen: Judgement | None) -> bool | None:
        """Whether the objective's best β may be best by another score, on the same line."""
        if chosen is None or chosen.best is None or score == self.objective:
            return None
        where = (chosen.axes, chosen.latent_dim)
        for one in self.judgements(score):
            if (one.axes, one.latent_dim) == where and one.best_range is not None:
                return one.best_range.low <= chosen.best.beta <= one.best_range.high
        return None

    @property
    def level(self) -> float:
        """Of rise and fall: stricter where seeds are added until they are shown."""
        return LEVEL_OF_A_LOOK if self.study.manifest.until else LEVEL

    def untrained_level(self, configuration: ConfigurationEntry, score: str) -> Level | None:
        """Return what untrained encoders of this latent size score, if it is known."""
        baseline = self.untrained.get((configuration.facet, configuration.latent_dim))
        return None if baseline is None else baseline.scores.get(score)

    def best_trial(
        self, configuration: ConfigurationEntry, *, score: str | None = None
    ) -> TrialEntry:
        """Return the complete trial with the highest score, the objective by default."""
        done = [trial for trial in self.trials_of(configuration) if trial.state == "complete"]
        return max(done, key=lambda trial: trial.values[score or self.objective])


def summarize(study: Study) -> Summary:
    """Read a study and compute its curve."""
    objective, axes = study.manifest.objective, study.manifest.axes
    names = tuple(dict.fromkeys((objective, *score_names(study))))
    trials = trials_table(study)
    frame = _numeric(trials, (*names, *LOSSES))
    everything = Curves(frame, axes)
    table, losses = everything.table(names), everything.table([*LOSSES])
    configurations = _configurations(table, expected=Counter(_keys(frame, axes)), axes=axes)
    population = Curves(ended(frame), axes) if study.left else everything
    best = _best(population.lines(objective), configurations)
    return Summary(
        study=study,
        table=trials,
        frame=frame,
        population=population,
        curve=table,
        trials=_trials(frame, configurations, names=(*names, *LOSSES), axes=axes),
        configurations=configurations,
        scores=_scores(table) | _scores(losses),
        best=best.by_line,
        overall=best.overall,
    )


def facet_name(axes: Axes) -> str:
    """Write the further axes' values of a configuration.

    >>> facet_name([("model", "mlp"), ("optimizer.lr", 0.001)])
    'model=mlp, optimizer.lr=0.001'
    """
    return ", ".join(f"{axis}={text(axis_value(value))}" for axis, value in axes)


def _numeric(frame: DataFrame, names: Sequence[str]) -> DataFrame:
    """Return the frame with every named column a float one: where all is missing it is not."""
    columns = (*names, "active_latents", "wall_time_s")
    missing = pd.Series(math.nan, index=frame.index)
    return frame.assign(
        **{name: pd.to_numeric(frame[name]) if name in frame else missing for name in columns}
    )


class _Best(NamedTuple):
    """The best configuration of every line, and of all."""

    by_line: tuple[ConfigurationEntry, ...]
    overall: ConfigurationEntry | None


def _best(lines: Sequence[Line], configurations: Sequence[ConfigurationEntry]) -> _Best:
    at = {one.key: one for one in configurations}
    found = best_configurations(lines)
    chosen = [
        at[facet_name(configuration.axes), configuration.latent_dim, configuration.beta]
        for configuration in found.by_line
    ]
    return _Best(
        tuple(chosen), chosen[found.by_line.index(found.overall)] if found.overall else None
    )


def _untrained(study: Study, frame: DataFrame) -> dict[tuple[str, int], UntrainedBaseline]:
    """Return the baselines that were computed by the protocol of the line's scores."""
    axes = study.manifest.axes
    protocols: dict[tuple[str, int], set[str]] = {}
    for (facet, latent_dim, _), protocol in zip(_keys(frame, axes), frame["protocol"], strict=True):
        protocols.setdefault((facet, latent_dim), set()).add(protocol)
    baselines = {
        _line(place, axes): one for place, one in read_untrained(study.folder.untrained).items()
    }
    return {at: one for at, one in baselines.items() if protocols.get(at) == {one.protocol}}


def _line(place: Place, axes: Sequence[str]) -> tuple[str, int]:
    values = dict(place)
    facet = facet_name([(axis, values.get(axis)) for axis in axes])
    return facet, int(str(values["latent_dim"]))


def _configurations(
    table: DataFrame, *, expected: Mapping[Key, int], axes: Sequence[str]
) -> tuple[ConfigurationEntry, ...]:
    rows = dict(zip(_keys(table, axes), _records(table), strict=True))
    return tuple(
        ConfigurationEntry(number, *key, row["beta_norm"], expected[key], row["active_latents"])
        for number, (key, row) in enumerate(rows.items())
    )


def _scores(table: DataFrame) -> dict[str, list[ConfigurationScore]]:
    """Return the scores by name, each in the order of the configurations, as the table has them."""
    scores: dict[str, list[ConfigurationScore]] = {}
    for row in _records(table):
        score = ConfigurationScore(row["mean"], row["low"], row["high"], row["n"])
        scores.setdefault(row["score"], []).append(score)
    return scores


def _trials(
    frame: DataFrame,
    configurations: Sequence[ConfigurationEntry],
    *,
    names: Sequence[str],
    axes: Sequence[str],
) -> tuple[TrialEntry, ...]:
    at = {one.key: one for one in configurations}
    return tuple(
        TrialEntry(
            slug=row["slug"],
            configuration=at[key].number,
            seed=int(row["seed"]),
            state=row["state"],
            values={name: row[name] for name in names},
            active_latents=row["active_latents"],
            wall_time_s=row["wall_time_s"],
            error=row["error"] if isinstance(row["error"], str) else "",
        )
        for key, row in zip(_keys(frame, axes), _records(frame), strict=True)
    )


def _keys(table: DataFrame, axes: Sequence[str]) -> list[Key]:
    return [
        (facet_name([(axis, row[axis]) for axis in axes]), int(row["latent_dim"]), row["beta"])
        for row in _records(table)
    ]


def _records(table: DataFrame) -> list[dict[Hashable, Any]]:
    return table.to_dict("records")
