"""The tables of the page: every trial, the failed ones, and the CSV file."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bvae.metrics.scores import score_named
from sweeps.analysis.summary import Summary, TrialEntry
from sweeps.analysis.table import LOSSES
from sweeps.labels import COLUMNS, score_label

COORDINATES = ("beta", "latent_dim", "seed")


@dataclass(frozen=True)
class TrialTable:
    """Every expected trial with its numbers, NaN where there is none, and the same as a file.

    `columns` has the head of each column by its name; `csv` is a `data:` address.
    """

    columns: Mapping[str, str]
    rows: Sequence[tuple[TrialEntry, Mapping[str, float]]]
    csv: str


def trial_table(read: Summary) -> TrialTable:
    """Return the table; scores of other representations stand in the CSV file only."""
    rows = [(trial, _numbers(read, trial)) for trial in read.trials]
    return TrialTable(columns(read), rows, csv_address(read))


def columns(read: Summary) -> dict[str, str]:
    """Return the heads of the table's columns by name."""
    scores = [name for name in read.score_names if score_named(name).representation == "mean"]
    heads = {name: score_label(name) for name in (*scores, *LOSSES)}
    of_trial = ("active_latents", "wall_time_s")
    return (
        {name: COLUMNS[name] for name in COORDINATES}
        | heads
        | {name: COLUMNS[name] for name in of_trial}
    )


def failures(read: Summary) -> list[TrialEntry] | None:
    """Return the failed trials, None if there are none."""
    return [trial for trial in read.trials if trial.state == "failed"] or None


def csv_address(read: Summary) -> str:
    """Return the frame as a `data:` address: a download without script or folder."""
    text = read.frame.to_csv(index=False, float_format="%.12g", lineterminator="\n")
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()}"


def _numbers(read: Summary, trial: TrialEntry) -> dict[str, float]:
    configuration = read.configurations[trial.configuration]
    return {
        **trial.values,
        "beta": configuration.beta,
        "latent_dim": configuration.latent_dim,
        "seed": trial.seed,
        "active_latents": trial.active_latents,
        "wall_time_s": trial.wall_time_s,
    }
