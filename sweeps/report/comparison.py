"""Writes two studies side by side: how they differ, their curves, and their differences."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bvae.files import write_atomically
from bvae.metrics.scores import score_named
from bvae.metrics.udr import as_independent
from sweeps.analysis.budget import budget_checks
from sweeps.analysis.summary import ConfigurationEntry, Summary, summarize
from sweeps.labels import score_label
from sweeps.report.canvas import HALF
from sweeps.report.charts import CurveCanvas
from sweeps.report.drawings import AXES, Choice, Drawing, as_markup, curve_chart, curve_line, seen
from sweeps.report.templates import template
from sweeps.statistics.intervals import intervals
from sweeps.study.manifest import Manifest
from sweeps.study.study import Study

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


def write_comparison(first: Study, second: Study) -> Path:
    """Write the page that compares two studies into the second one's report folder.

    Returns:
        The path of the page.
    """
    both = summarize(first), summarize(second)
    path = second.folder.comparison(first.folder.name)
    write_atomically(path, render(*both))
    return path


def render(first: Summary, second: Summary) -> str:
    """Return the page as text."""
    scores = _shared_scores(first, second)
    comparable = first.study.manifest.image_size == second.study.manifest.image_size
    axes = dict(AXES) if comparable else {"beta_norm": AXES["beta_norm"]}
    objective = first.objective if first.objective in scores else next(iter(scores), "")
    on = functools.cache(CurveCanvas)
    return template("comparison.html").render(
        title=f"{first.study.name} and {second.study.name}",
        first=first,
        second=second,
        keys=key_differences(first.study.manifest, second.study.manifest),
        scores=sorted(scores, key=lambda name: name != objective),
        objective=objective,
        axes=[(name, label.split(" ")[0]) for name, label in axes.items()],
        comparable=comparable,
        same_protocol=_protocol(first) == _protocol(second),
        facets=first.facets != [""],
        curves=[
            Choice(
                label=f"{score_label(score)} against {AXES[x]}",
                score=score,
                x=x,
                shown=score == objective and j == 0,
                drawings=_drawings(first, second, score=score, x=x, name=f"c{i}.{j}", on=on),
            )
            for i, score in enumerate(scores)
            for j, x in enumerate(axes)
        ],
        checks=budget_checks(first, second),
        tables={
            score: configuration_differences(first, second, score=score)
            for score in scores
            if comparable and score_named(score).representation == "mean"
        },
    )


def key_differences(first: Manifest, second: Manifest) -> list[KeyDifference]:
    """Return what differs: keys of the common settings first, then what else was recorded."""
    pairs: list[tuple[str, Any, Any]] = [
        (key, first.base.get(key), second.base.get(key))
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
    for line in _shared_lines(first, second, score):
        pairs = _pairs(first, second, line, score)
        if pairs:
            rows += _line_differences(pairs, _paired(first, second, pairs, score), score)
    return rows


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


def _protocol(read: Summary) -> tuple[str, str | None]:
    return read.study.manifest.protocol, read.study.manifest.lattice


def _pairs(
    first: Summary, second: Summary, line: LineKey, score: str
) -> list[tuple[ConfigurationEntry, ConfigurationEntry]]:
    """Return the configurations of a line that both have, by β."""
    own = {configuration.beta: configuration for configuration in _line(second, line, score)}
    return [
        (configuration, own[configuration.beta])
        for configuration in _line(first, line, score)
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


def _drawings(
    first: Summary,
    second: Summary,
    *,
    score: str,
    x: str,
    name: str,
    on: Callable[..., CurveCanvas],
) -> list[Drawing]:
    """Draw a chart for every line that both studies have, A and B on it."""
    return [
        Drawing(
            facet=", ".join(part for part in (facet, f"{latent_dim} latents") if part),
            shape="half",
            svg=as_markup(
                _overlay(first, second, (facet, latent_dim), score=score, x=x, on=on),
                name=f"{name}.{k}",
            ),
        )
        for k, (facet, latent_dim) in enumerate(_shared_lines(first, second, score))
    ]


def _overlay(
    first: Summary,
    second: Summary,
    line: LineKey,
    *,
    score: str,
    x: str,
    on: Callable[..., CurveCanvas],
) -> CurveCanvas:
    lines = [
        curve_line(read, _line(read, line, score), label=label, score=score, x=x)
        for label, read in (("A", first), ("B", second))
    ]
    ticks = sorted({mark.x for line in lines for mark in line.marks})
    return curve_chart(lines, score=score, x=x, ticks=ticks, size=HALF, on=on)


def _shared_scores(first: Summary, second: Summary) -> list[str]:
    """Return the scores that can be laid over each other somewhere."""
    names = [name for name in first.score_names if name in second.score_names]
    return [name for name in names if _shared_lines(first, second, name)]


def _shared_lines(first: Summary, second: Summary, score: str) -> list[LineKey]:
    own = {(c.facet, c.latent_dim) for f in second.facets for c in seen(second, f, score)}
    lines = [(c.facet, c.latent_dim) for f in first.facets for c in seen(first, f, score)]
    return [line for line in dict.fromkeys(lines) if line in own]


def _line(read: Summary, line: LineKey, score: str) -> list[ConfigurationEntry]:
    facet, latent_dim = line
    return [
        configuration
        for configuration in seen(read, facet, score)
        if configuration.latent_dim == latent_dim
    ]


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan
