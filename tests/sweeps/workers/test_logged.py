import os
from pathlib import Path

import pytest

from bvae.history import History, columns
from sweeps.study.folder import StudyFolder
from sweeps.workers import logged
from sweeps.workers.logged import LastRows, Logged, last_values

NAMES = columns(latent_dim=2, scores=True)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """The history of a trial called `one`, which has just begun."""
    (tmp_path / "trials" / "one").mkdir(parents=True)
    made = History(tmp_path / "trials" / "one" / "history.csv", NAMES)
    made.start_at(0)
    return made


def test_the_last_of_each(tmp_path: Path, history: History) -> None:
    """A validation is rarer than a row of losses, so its score may be of an earlier step."""
    history.add(1, {"train/loss": 9.0, "scores/mig": 0.1})
    history.add(2, {"train/loss": 8.0})
    rows = LastRows(StudyFolder(tmp_path))

    assert {"one": Logged(8.0, 0.1)} == rows.of(["one"])
    history.add(3, {"train/loss": 7.0, "scores/mig": 0.2})
    assert {"one": Logged(7.0, 0.2)} == rows.of(["one"])


def test_nothing_yet(tmp_path: Path, history: History) -> None:
    """Neither a file without rows nor none at all is an error."""
    assert {"one": Logged(), "two": Logged()} == LastRows(StudyFolder(tmp_path)).of(["one", "two"])


def test_a_score_that_is_no_longer_near_the_end(
    tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the end of a file is read; what was read before is remembered."""
    monkeypatch.setattr(logged, "TAIL_BYTES", 30)
    history.add(1, {"train/loss": 9.0, "scores/mig": 0.1})
    rows = LastRows(StudyFolder(tmp_path))
    rows.of(["one"])
    for step in range(2, 20):
        history.add(step, {"train/loss": 8.0})

    assert {"one": Logged(8.0, 0.1)} == rows.of(["one"])


def test_a_file_that_has_not_changed_is_not_read_again(
    tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice a second, for each worker, that would be work for nothing."""
    history.add(1, {"train/loss": 9.0})
    rows = LastRows(StudyFolder(tmp_path))
    rows.of(["one"])
    monkeypatch.setattr(logged, "last_values", lambda *_: pytest.fail("read again"))

    assert {"one": Logged(9.0)} == rows.of(["one"])


def test_a_line_being_written(tmp_path: Path, history: History) -> None:
    """Half a number is none; a file of something else has none."""
    history.add(1, {"train/loss": 9.0})
    path = tmp_path / "trials" / "one" / "history.csv"
    with path.open("a") as file:
        file.write("2,8")
    assert {"train/loss": 9.0} == last_values(path, ["train/loss"])

    path.write_bytes(os.urandom(64) + b"\xff")
    assert {} == last_values(path, ["train/loss"])
