"""Writes studies side by side: how they differ, their curves, their differences, their models."""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from bvae.files import write_atomically
from bvae.metrics.scores import score_named
from sweeps.analysis.comparisons import (
    ConfigurationDifference,
    KeyDifference,
    configuration_differences,
    key_differences,
    line_name,
    line_of,
    record_differences,
    scored_lines,
    shared_lines,
    shared_scores,
    why_not_subtracted,
)
from sweeps.analysis.movement import movement
from sweeps.analysis.summary import Summary, facet_name
from sweeps.analysis.verdict import Judgement
from sweeps.labels import score_label
from sweeps.report import charts
from sweeps.report.answer import Model, best_model
from sweeps.report.charts import AXES, Trace
from sweeps.report.chosen import pictures_of
from sweeps.report.drawings import Drawing, curve_line, drawing
from sweeps.report.templates import NotYet, Section, part, template
from sweeps.report.vega import Spec, check_machine
from sweeps.study.study import Study

MAX_NAMED = 3  # studies in a title


@dataclass(frozen=True)
class Compared:
    """Studies by the names they have on the page, and where the page is written."""

    studies: Mapping[str, Summary]
    page: Path

    @property
    def reads(self) -> list[Summary]:
        """The studies without their names."""
        return list(self.studies.values())

    @property
    def comparable(self) -> bool:
        """Whether one β means the same in all; with images of another size only β_norm does."""
        return len({read.study.manifest.image_size for read in self.reads}) == 1

    @property
    def axes(self) -> Mapping[str, str]:
        """The axes that scores of all can be drawn against."""
        return AXES if self.comparable else {"beta_norm": AXES["beta_norm"]}

    @functools.cached_property
    def scores(self) -> list[str]:
        """The scores that two studies or more have, the first study's objective in front.

        Those of one latent size, or of any if they share none.
        """
        every = [name for read in self.reads for name in read.charted]
        of_two = [name for name in dict.fromkeys(every) if every.count(name) > 1]
        names = shared_scores(self.reads) or of_two
        return sorted(names, key=lambda name: name != self.reads[0].objective)


class Keys(NamedTuple):
    """What the best β does, the keys that differ, and what follows from them or was recorded."""

    sentence: str
    differing: Sequence[KeyDifference]
    further: Sequence[KeyDifference]


@dataclass(frozen=True)
class StudyRow:
    """A study in the table: `page` is its report's address, nothing where it has none."""

    name: str
    page: str
    study: Study
    loss: str
    judged: Judgement | None


@dataclass(frozen=True)
class Overlays:
    """The curves of all on each other, and what has to be said of them."""

    drawings: Sequence[Drawing]
    axes: Sequence[tuple[str, str]]
    same_protocol: bool
    shares_sizes: bool


@dataclass(frozen=True)
class DifferenceTables:
    """The differences of a study from the first, by score, or why there are none."""

    name: str
    why_not: str
    by_score: Mapping[str, Sequence[ConfigurationDifference]]


@dataclass(frozen=True)
class BestModel:
    """The best model of a study, with its pictures by kind."""

    name: str
    judged: Judgement
    model: Model
    pictures: Mapping[str, str]


def write_comparison(studies: Mapping[str, Summary], path: Path) -> None:
    """Write the page that puts studies, by the names it calls them, side by side."""
    check_machine()
    write_atomically(path, render(studies, page=path))


def render(studies: Mapping[str, Summary], *, page: Path) -> str:
    """Return the page as text; a section that fails is a note, and the others stand."""
    compared = Compared(studies, page)
    title = _title(list(studies))
    shared = {"compared": compared}
    parts = {one.name: part(one, compared, name=title, shared=shared) for one in SECTIONS}
    return template("comparison.html").render(title=title, parts=parts)


def _title(names: Sequence[str]) -> str:
    """Name the studies, of many how many there are.

    >>> _title(["a", "b", "c"]), _title(["a", "b", "c", "d"])
    ('a, b and c', '4 studies')
    """
    if len(names) > MAX_NAMED:
        return f"{len(names)} studies"
    return " and ".join([", ".join(names[:-1]), names[-1]])


def _keys(compared: Compared) -> Keys:
    manifests = [read.study.manifest for read in compared.reads]
    sentence = movement(compared.studies).text
    keys = key_differences(manifests)
    further = [key for key in keys if key.follows] + record_differences(manifests)
    return Keys(sentence, [key for key in keys if not key.follows], further)


def _rows(compared: Compared) -> list[StudyRow]:
    return [
        StudyRow(
            name=name,
            page=_address(read.study.folder.page, compared.page),
            study=read.study,
            loss=str(read.study.manifest.settings.get("loss.name", "")),
            judged=read.judged_best(read.objective),
        )
        for name, read in compared.studies.items()
    ]


def _address(of: Path, page: Path) -> str:
    """Return the address of a file as a link on the page says it, nothing where it is not there."""
    relative = os.path.relpath(of, page.parent).replace(os.sep, "/")
    return quote(relative) if of.exists() else ""


def _overlays(compared: Compared) -> Overlays | NotYet:
    if not compared.scores:
        return NotYet("No two of them have a score in common, so there is nothing to overlay.")
    manifests = [read.study.manifest for read in compared.reads]
    return Overlays(
        _drawings(compared),
        axes=[(name, label.split(" ")[0]) for name, label in compared.axes.items()],
        same_protocol=len({(one.protocol, one.lattice) for one in manifests}) == 1,
        shares_sizes=bool(shared_scores(compared.reads)),
    )


def _drawings(compared: Compared) -> list[Drawing]:
    """Draw every panel by each score that it has, all with the same axes."""
    by_score = {score: overlaid(compared.studies, score=score) for score in compared.scores}
    panels = dict.fromkeys(panel for found in by_score.values() for panel in found)
    axes, drawings = [*compared.axes], []
    for panel in panels:
        own = {score: found for score, found in by_score.items() if panel in found}
        first, shown = next(iter(own.items()))
        of_scores = {
            score: _overlay(found, panel, score=score, x=axes[0]) for score, found in own.items()
        }
        of_axes = {x: _overlay(shown, panel, score=first, x=x) for x in axes}
        drawings.append(drawing(panel, of_scores, of_axes))
    return drawings


def _overlay(panels: Mapping[str, list[Trace]], panel: str, *, score: str, x: str) -> Spec:
    every = [line for lines in panels.values() for line in lines]
    return charts.curve(
        panels[panel],
        title=score_label(score),
        x=x,
        ticks=sorted({getattr(mark, x) for line in every for mark in line.marks}),
        beside=every,
    )


def overlaid(studies: Mapping[str, Summary], *, score: str) -> dict[str, list[Trace]]:
    """Return a line for each study, by panel: a panel for every latent size that two or more have.

    A study that lacks it has an empty line there, so that each has its colour on all panels. Where
    no latent size is shared, the best line of each study is on one panel, and its label says which.
    """
    shared = shared_lines(list(studies.values()), score)
    if not shared:
        return {"": [_best_line(name, read, score=score) for name, read in studies.items()]}
    return {
        line_name(line): [
            curve_line(read, line_of(read, line, score), label=name, score=score)
            for name, read in studies.items()
        ]
        for line in shared
    }


def _best_line(name: str, read: Summary, *, score: str) -> Trace:
    """Return the line with the best configuration by a score; of several without one, the first."""
    lines = scored_lines(read, score)
    if not lines:
        return Trace(name, [])
    best = read.judged_best(score)
    line = (facet_name(best.axes), best.latent_dim) if best is not None else lines[0]
    label = f"{name}, {line_name(line)}"
    return curve_line(read, line_of(read, line, score), label=label, score=score)


def _tables(compared: Compared) -> list[DifferenceTables]:
    first, *_ = compared.reads
    others = list(compared.studies.items())[1:]
    return [
        DifferenceTables(name, why_not_subtracted(first, read), _differences(first, read))
        for name, read in others
    ]


def _differences(first: Summary, second: Summary) -> dict[str, list[ConfigurationDifference]]:
    """Return the differences by every score of the means that both have somewhere."""
    if why_not_subtracted(first, second):
        return {}
    return {
        name: configuration_differences(first, second, score=name)
        for name in shared_scores([first, second])
        if score_named(name).representation == "mean"
    }


def _models(compared: Compared) -> list[BestModel] | NotYet:
    found = []
    for name, read in compared.studies.items():
        judged = read.judged_best(read.objective)
        if read.overall is not None and judged is not None:
            model = best_model(read, read.overall)
            pictures = pictures_of(read.study.trial_folder(model.slug))
            found.append(BestModel(name, judged, model, pictures))
    return found or NotYet("No study has a best model to show yet.")


SECTIONS = (
    Section("compared", "How they differ", _keys),
    Section("studies", "The studies", _rows),
    Section("overlays", "Score against β", _overlays),
    Section("differences", "Configuration by configuration", _tables),
    Section("models", "The best model of each", _models),
)
"""The page from top to bottom."""
