"""The table of trials, the failures, and the CSV file."""

import base64
import io
import re
from typing import Any

import pandas as pd
import pytest

from sweeps.analysis.summary import summarize
from sweeps.report.tables import columns, csv_address, failures, trial_table
from tests.doubles.reported import sections_of_page


def test_row_has_a_number_for_every_column(make_study: Any) -> None:
    """Coordinates, scores, losses, latents and time."""
    study = make_study()
    table = trial_table(summarize(study))
    trial, numbers = table.rows[0]
    expected = study.frame().iloc[0]
    assert set(table.columns) <= set(numbers)
    assert trial.slug == expected["slug"]
    assert numbers["mig"] == expected["mig"]
    assert numbers["beta"] == 0.25


def test_missing_numbers_are_empty(make_study: Any, trials_of: Any) -> None:
    """A trial that has not run has coordinates and no results; the table sorts it last."""
    trials = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,))
    page = sections_of_page(make_study(trials, results={trials[0].slug: None}), "trials")
    row = page[page.index('<tr data-configuration="0"') :].partition("</tr>")[0]
    found = re.findall(r'data-value="(.*?)">(.*?)</td>', row)
    assert found[:3] == [("1", "1"), ("5", "5"), ("0", "0")]
    assert set(found[3:]) == {("", "–")}


def test_variants_stand_in_the_file_only(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Scores of other representations would fill the table; the file has them."""
    (trial,) = trials_of(betas=(1,), latent_dims=(5,), seeds=(0,))
    result = result_of(trial, scores={"mig": 0.1, "mig_sampled": 0.05})
    read = summarize(make_study([trial], results={trial.slug: result}))
    assert "mig_sampled" not in columns(read)
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
    study = make_study(trials, results=results)
    page = sections_of_page(study, "failures")
    assert [trial.slug for trial in failures(summarize(study)) or []] == [
        t.slug for t in trials[:2]
    ]
    assert re.findall(r'class="note">(.*?) <a href="[^"]*log.txt', page) == [
        "loss is NaN",
        "no reason was recorded",
    ]


def test_study_without_failures_has_no_table_of_them(make_study: Any) -> None:
    """Nothing is said of what did not happen."""
    assert failures(summarize(make_study())) is None
