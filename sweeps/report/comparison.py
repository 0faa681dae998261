"""Writes two studies side by side: how they differ, their curves, and their differences."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bvae.files import write_atomically
from bvae.metrics.scores import score_named
from sweeps.analysis.budget import Check, budget_checks
from sweeps.analysis.comparisons import (
    ConfigurationDifference,
    KeyDifference,
    LineKey,
    configuration_differences,
    key_differences,
    line_of,
    shared_lines,
    shared_scores,
)
from sweeps.analysis.summary import Summary, summarize
from sweeps.labels import score_label
from sweeps.report.canvas import HALF
from sweeps.report.charts import CurveCanvas
from sweeps.report.drawings import AXES, Choice, Drawing, as_markup, curve_chart, curve_line
from sweeps.report.templates import NotYet, Section, part, template
from sweeps.study.study import Study


class Both(NamedTuple):
    """Two studies and the scores that can be laid over each other, the one shown first in front."""

    first: Summary
    second: Summary
    scores: Sequence[str]

    @property
    def comparable(self) -> bool:
        """Whether one β means the same in both; with images of another size only β_norm does."""
        return self.first.study.manifest.image_size == self.second.study.manifest.image_size

    @property
    def axes(self) -> Mapping[str, str]:
        """The axes that scores of both can be drawn against."""
        return AXES if self.comparable else {"beta_norm": AXES["beta_norm"]}


@dataclass(frozen=True)
class Overlays:
    """The curves of both on each other, and what has to be said of them."""

    choices: Sequence[Choice]
    axes: Sequence[tuple[str, str]]
    same_protocol: bool


@dataclass(frozen=True)
class DifferenceTables:
    """The differences by score; `facets` says whether there are further axes."""

    by_score: Mapping[str, Sequence[ConfigurationDifference]]
    facets: bool


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
    """Return the page as text; a section that fails is a note, and the others stand."""
    names = shared_scores(first, second)
    both = Both(first, second, sorted(names, key=lambda name: name != first.objective))
    title = f"{first.study.name} and {second.study.name}"
    parts = {one.name: part(one, both, name=title, shared={"both": both}) for one in SECTIONS}
    return template("comparison.html").render(title=title, parts=parts)


def _differing_keys(both: Both) -> list[KeyDifference]:
    return key_differences(both.first.study.manifest, both.second.study.manifest)


def _overlays(both: Both) -> Overlays | NotYet:
    if not both.scores:
        return NotYet(
            "The two have no score, latent size and further axes in common, so there is nothing to "
            "lay over each other."
        )
    on = functools.cache(CurveCanvas)
    choices = [
        Choice(
            label=f"{score_label(score)} against {AXES[x]}",
            score=score,
            x=x,
            shown=i == j == 0,
            drawings=_drawings(both, score=score, x=x, name=f"c{i}.{j}", on=on),
        )
        for i, score in enumerate(both.scores)
        for j, x in enumerate(both.axes)
    ]
    axes = [(name, label.split(" ")[0]) for name, label in both.axes.items()]
    return Overlays(choices, axes, _protocol(both.first) == _protocol(both.second))


def _protocol(read: Summary) -> tuple[str, str | None]:
    return read.study.manifest.protocol, read.study.manifest.lattice


def _checks(both: Both) -> list[Check] | None:
    return budget_checks(both.first, both.second) or None


def _tables(both: Both) -> DifferenceTables | None:
    names = [name for name in both.scores if score_named(name).representation == "mean"]
    if not both.comparable or not names:
        return None
    found = {name: configuration_differences(both.first, both.second, score=name) for name in names}
    return DifferenceTables(found, facets=both.first.facets != [""])


SECTIONS = (
    Section("compared", "How the two differ", _differing_keys),
    Section("overlays", "Score against β", _overlays),
    Section("checks", "Does the best β hold when trained longer?", _checks),
    Section("differences", "B − A, configuration by configuration", _tables),
)
"""The page from top to bottom."""


def _drawings(
    both: Both,
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
                _overlay(both, (facet, latent_dim), score=score, x=x, on=on),
                name=f"{name}.{k}",
            ),
        )
        for k, (facet, latent_dim) in enumerate(shared_lines(both.first, both.second, score))
    ]


def _overlay(
    both: Both,
    line: LineKey,
    *,
    score: str,
    x: str,
    on: Callable[..., CurveCanvas],
) -> CurveCanvas:
    lines = [
        curve_line(read, line_of(read, line, score), label=label, score=score, x=x)
        for label, read in (("A", both.first), ("B", both.second))
    ]
    ticks = sorted({mark.x for line in lines for mark in line.marks})
    return curve_chart(lines, score=score, x=x, ticks=ticks, size=HALF, on=on)
