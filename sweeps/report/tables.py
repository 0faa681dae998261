"""The tables of the page: every training, the failed ones with their reasons, and the CSV file."""

import base64
from dataclasses import dataclass

from sweeps.analysis.summary import Cell, Summary, Trial
from sweeps.analysis.table import LOSSES
from sweeps.labels import VARIANTS, duration, number, score_label, score_text


@dataclass(frozen=True)
class Column:
    """A column of numbers: what it shows, and its head."""

    name: str
    label: str


@dataclass(frozen=True)
class Entry:
    """A number as it is written, and as it is sorted (empty if there is none)."""

    text: str
    value: str


@dataclass(frozen=True)
class TrialRow:
    """A training: `cell` is the number of its cell."""

    slug: str
    cell: int
    facet: str
    state: str
    entries: list[Entry]


@dataclass(frozen=True)
class Failure:
    """A training that failed, and why."""

    slug: str
    error: str


def columns(read: Summary) -> list[Column]:
    """Return the columns of the table; scores of other codes stand in the CSV file only."""
    scores = [name for name in read.score_names if not name.endswith(tuple(VARIANTS))]
    return [
        *(Column(name, label) for name, label in COORDINATES.items()),
        *(Column(name, score_label(name)) for name in (*scores, *LOSSES)),
        Column("active_latents", "active latents"),
        Column("wall_time_s", "time"),
    ]


COORDINATES = {"beta": "β", "latent_dim": "latents", "seed": "seed"}


def trial_rows(read: Summary) -> list[TrialRow]:
    """Return a row for every expected training."""
    shown = columns(read)
    return [
        TrialRow(
            slug=trial.slug,
            cell=trial.cell,
            facet=read.cells[trial.cell].facet,
            state=trial.state,
            entries=[_entry(trial, read.cells[trial.cell], column.name) for column in shown],
        )
        for trial in read.trials
    ]


def failures(read: Summary) -> list[Failure]:
    """Return the failed trainings."""
    return [
        Failure(trial.slug, trial.error or "no reason was recorded")
        for trial in read.trials
        if trial.state == "failed"
    ]


def csv_address(read: Summary) -> str:
    """Return the frame as a `data:` address: a download without script or folder."""
    text = read.frame.to_csv(index=False, float_format="%.12g", lineterminator="\n")
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}"


def _entry(trial: Trial, cell: Cell, name: str) -> Entry:
    value = _value(trial, cell, name)
    return Entry(_text(name, value), "" if value != value else f"{value:.9g}")


def _value(trial: Trial, cell: Cell, name: str) -> float:
    if name in ("beta", "latent_dim"):
        return float(getattr(cell, name))
    if name in ("seed", "active_latents", "wall_time_s"):
        return float(getattr(trial, name))
    return trial.values[name]


def _text(name: str, value: float) -> str:
    if name == "wall_time_s":
        return duration(value)
    if name in (*COORDINATES, "active_latents"):
        return number(value)
    return number(value, digits=4) if name in LOSSES else score_text(value)
