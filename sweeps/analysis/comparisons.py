"""Two studies compared: what differs in their settings, and each configuration's difference."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bvae.metrics.scores import score_named
from bvae.metrics.udr import as_independent
from sweeps.analysis.summary import ConfigurationEntry, Summary
from sweeps.statistics.intervals import intervals
from sweeps.study.manifest import Manifest

RECORDED = ("objective", "protocol", "lattice", "image_size", "threads", "code_version")
LineKey = tuple[str, int]
"""A facet and a latent size."""


@dataclass(frozen=True)
class KeyDifference:
    """A configuration key, or what else was recorded, that is not the same in both."""

    key: str
    first: object
    second: object


@dataclass(frozen=True)
class ConfigurationDifference:
    """A configuration of both studies: the means, and second − first over the seeds of both."""

    configuration: ConfigurationEntry
    first: float
    second: float
    difference: float
    low: float
    high: float
    n_shared: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def key_differences(first: Manifest, second: Manifest) -> list[KeyDifference]:
    """Return what differs: keys of the common settings first, then what else was recorded."""
    pairs: list[tuple[str, Any, Any]] = [
        (key, first.settings.get(key), second.settings.get(key))
        for key in sorted({*first.base, *second.base})
    ]
    pairs += [(name, getattr(first, name), getattr(second, name)) for name in RECORDED]
    pairs += [
        (f"version of {name}", first.versions.get(name), second.versions.get(name))
        for name in sorted({*first.versions, *second.versions})
    ]
    return [KeyDifference(key, a, b) for key, a, b in pairs if a != b]


def configuration_differences(
    first: Summary, second: Summary, *, score: str
) -> list[ConfigurationDifference]:
    """Return second − first for every configuration that both have, line by line.

    The interval is that of the curve, of the seeds' paired differences: their variance is pooled
    over the configurations of a line, collapsed ones apart.
    """
    rows: list[ConfigurationDifference] = []
    for line in shared_lines(first, second, score):
        pairs = _pairs(first, second, line, score)
        if pairs:
            rows += _line_differences(pairs, _paired(first, second, pairs, score), score)
    return rows


def shared_scores(first: Summary, second: Summary) -> list[str]:
    """Return the scores that can be laid over each other somewhere."""
    names = [name for name in first.score_names if name in second.score_names]
    return [name for name in names if shared_lines(first, second, name)]


def shared_lines(first: Summary, second: Summary, score: str) -> list[LineKey]:
    """Return the facets and latent sizes at which both have the score."""
    own = {(c.facet, c.latent_dim) for f in second.facets for c in second.scored(f, score)}
    lines = [(c.facet, c.latent_dim) for f in first.facets for c in first.scored(f, score)]
    return [line for line in dict.fromkeys(lines) if line in own]


def line_of(read: Summary, line: LineKey, score: str) -> list[ConfigurationEntry]:
    """Return the configurations of a line that have the score, by β."""
    facet, latent_dim = line
    return [
        configuration
        for configuration in read.scored(facet, score)
        if configuration.latent_dim == latent_dim
    ]


@dataclass(frozen=True)
class _Paired:
    """Scores of both studies on shared seeds [C, S], NaN where a seed is not shared."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]


def _line_differences(
    pairs: Sequence[tuple[ConfigurationEntry, ConfigurationEntry]], scores: _Paired, score: str
) -> list[ConfigurationDifference]:
    collapsed = np.array([a.collapsed or b.collapsed for a, b in pairs])
    differences = scores.second - scores.first
    # linear, so that it is the same of a difference as of both scores
    independent = (
        as_independent(differences) if score_named(score).per_configuration else differences
    )
    found = intervals(independent, collapsed=collapsed)
    shared = np.isfinite(scores.first).sum(axis=1)
    return [
        ConfigurationDifference(
            configuration=configuration,
            first=_mean(scores.first[i]),
            second=_mean(scores.second[i]),
            difference=float(found.mean[i]),
            low=float(found.low[i]),
            high=float(found.high[i]),
            n_shared=int(shared[i]),
        )
        for i, (configuration, _) in enumerate(pairs)
    ]


def _pairs(
    first: Summary, second: Summary, line: LineKey, score: str
) -> list[tuple[ConfigurationEntry, ConfigurationEntry]]:
    """Return the configurations of a line that both have, by β."""
    own = {configuration.beta: configuration for configuration in line_of(second, line, score)}
    return [
        (configuration, own[configuration.beta])
        for configuration in line_of(first, line, score)
        if configuration.beta in own
    ]


def _paired(
    first: Summary,
    second: Summary,
    pairs: Sequence[tuple[ConfigurationEntry, ConfigurationEntry]],
    score: str,
) -> _Paired:
    by_seed = [(_by_seed(first, a, score), _by_seed(second, b, score)) for a, b in pairs]
    seeds = sorted({seed for both in by_seed for own in both for seed in own})
    a = np.array([[own.get(seed, math.nan) for seed in seeds] for own, _ in by_seed])
    b = np.array([[own.get(seed, math.nan) for seed in seeds] for _, own in by_seed])
    shared = np.isfinite(a) & np.isfinite(b)
    return _Paired(np.where(shared, a, math.nan), np.where(shared, b, math.nan))


def _by_seed(read: Summary, configuration: ConfigurationEntry, score: str) -> Mapping[int, float]:
    return {
        trial.seed: trial.values[score]
        for trial in read.trials_of(configuration)
        if trial.state == "complete" and math.isfinite(trial.values[score])
    }


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan
