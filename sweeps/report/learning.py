"""Learning curves of the best configurations, and which of them had not stopped learning."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sweeps.analysis.budget import falling
from sweeps.analysis.learning import SERIES
from sweeps.analysis.summary import ConfigurationEntry, Summary
from sweeps.labels import score_label
from sweeps.report import charts
from sweeps.report.charts import Learnt
from sweeps.report.drawings import Drawing, drawing, title
from sweeps.report.templates import NotYet

TITLES = dict(
    zip(
        SERIES, ("Loss (nats)", "Reconstruction (nats)", "KL (nats)", "Active latents"), strict=True
    )
)
LOSSES = ("train/loss", "train/recon")


@dataclass(frozen=True)
class LearningView:
    """A chart for each column that was logged, a line for each configuration by its colour.

    `labels` names the lines; `falling` names those whose loss still fell, and by how much.
    """

    drawings: Sequence[Drawing]
    labels: Sequence[str]
    falling: Sequence[tuple[str, str]]


def learning(read: Summary) -> LearningView | NotYet:
    """Return the learning curves of the best configuration of each latent size."""
    shown = [one for one in read.best if read.overall and one.facet == read.overall.facet]
    rows = {column: list(_rows(read, shown, column)) for column in logged_columns(read)}
    drawings = [
        drawing(
            "",
            {column: charts.learning(own, title=series_title(column), zero=column not in LOSSES)},
        )
        for column, own in rows.items()
        if own
    ]
    if not drawings:
        return NotYet("No configuration is complete yet, or nothing was logged.")
    return LearningView(
        drawings,
        [title(one) for one in shown],
        [(title(one), fell) for one in shown if (fell := falling(read, one))],
    )


def series_title(column: str) -> str:
    """Return what stands above the learning curves of a column of history.csv."""
    name = column.removeprefix("scores/")
    return TITLES.get(column) or f"{score_label(name)}, validation"


def logged_columns(read: Summary) -> list[str]:
    """Return the columns that some trial logged, those of every training first."""
    names = {name for own in read.learning.values() for name in own}
    return [*(name for name in SERIES if name in names), *sorted(names - {*SERIES})]


def _rows(
    read: Summary, configurations: Sequence[ConfigurationEntry], column: str
) -> Iterator[Learnt]:
    for line, configuration in enumerate(configurations):
        for trial in read.trials_of(configuration):
            if curve := read.learning[trial.slug].get(column):
                for step, value in zip(curve.steps, curve.values, strict=True):
                    yield Learnt(line, trial.seed, step, value)
