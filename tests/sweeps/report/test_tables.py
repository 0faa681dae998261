"""The table of trainings, the failures, and the CSV file."""

import base64
import io
from typing import Any

import pandas as pd
import pytest

from sweeps.analysis.summary import summarize
from sweeps.report.tables import columns, csv_address, failures, trial_rows


def test_row_has_an_entry_for_every_column(make_study: Any) -> None:
    """Coordinates, scores, losses, latents and time; numbers sort by their full value."""
    study = make_study()
    read = summarize(study)
    names = [column.name for column in columns(read)]
    row = trial_rows(read)[0]
    entries = dict(zip(names, row.entries, strict=True))
    expected = study.frame().iloc[0]
    assert row.slug == expected["slug"]
    assert float(entries["mig"].value) == pytest.approx(expected["mig"], abs=1e-9)
    assert entries["beta"].text == "0.25"
    assert entries["wall_time_s"].text.endswith(" s")


def test_missing_numbers_are_empty(make_study: Any, trials_of: Any) -> None:
    """A training that has not run has coordinates and no results."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,))
    read = summarize(make_study(trials, results={trials[0].slug: None}))
    (row,) = trial_rows(read)
    assert row.state == "pending"
    assert [entry.value for entry in row.entries] == ["1", "5", "0", "", "", "", "", "", ""]


def test_variants_stand_in_the_file_only(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Scores of sampled codes would fill the table; the file has them."""
    (trial,) = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,))
    result = result_of(trial, scores={"mig": 0.1, "mig_sampled": 0.05})
    read = summarize(make_study([trial], results={trial.slug: result}))
    assert "mig_sampled" not in [column.name for column in columns(read)]
    assert "mig_sampled" in read.frame.columns


def test_file_holds_the_frame(make_study: Any) -> None:
    """What is downloaded can be read back."""
    study = make_study()
    read = summarize(study)
    kind, _, data = csv_address(read).partition(",")
    table = pd.read_csv(io.BytesIO(base64.b64decode(data)))
    assert kind == "data:text/csv;base64"
    assert list(table["slug"]) == list(study.frame()["slug"])
    assert table["mig"].to_numpy() == pytest.approx(read.frame["mig"].to_numpy(), abs=1e-11)


def test_failures_have_their_reason(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """The first line of the error; without one, that is said."""
    trials = trials_of(betas=(1, 4, 16), latent_dims=(5,), seeds=(0,))
    failed = {"state": "failed", "scores": {}, "attempt": 3}
    results = {
        trials[0].slug: result_of(trials[0], error="loss is NaN\n  at step 17", **failed),
        trials[1].slug: result_of(trials[1], error=None, **failed),
    }
    found = failures(summarize(make_study(trials, results=results)))
    assert [(failure.slug, failure.error) for failure in found] == [
        (trials[0].slug, "loss is NaN"),
        (trials[1].slug, "no reason was recorded"),
    ]
