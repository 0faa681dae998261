from pathlib import Path

import pytest

from bvae.history import History, columns, late_change


@pytest.fixture
def history(tmp_path: Path) -> History:
    """A history of two columns, begun."""
    found = History(tmp_path / "history.csv", ["step", "train/loss", "val/loss"])
    found.start_at(0)
    return found


def test_rows_are_on_disk_at_once(history: History) -> None:
    """A row can be read as soon as it is added; columns without a value are empty."""
    history.add(50, {"train/loss": 1.5})
    history.add(100, {"train/loss": 1.25, "val/loss": 2.0})

    assert [
        {"step": "50", "train/loss": "1.5", "val/loss": ""},
        {"step": "100", "train/loss": "1.25", "val/loss": "2"},
    ] == history.rows()


def test_resuming_drops_what_came_after(history: History) -> None:
    """Rows after the step resumed from are dropped: they will be written again."""
    for step in (50, 100, 150):
        history.add(step, {"train/loss": step})
    history.start_at(100)

    assert ["50", "100"] == [row["step"] for row in history.rows()]


def test_starting_again_begins_an_empty_file(history: History) -> None:
    """A trial that starts from step 0 keeps nothing of an earlier attempt."""
    history.add(50, {"train/loss": 1.0})
    history.start_at(0)

    assert [] == history.rows()


def test_torn_last_line_is_left_out(history: History, tmp_path: Path) -> None:
    """A line cut off by a kill is not read, and does not spoil the next."""
    history.add(50, {"train/loss": 1.0})
    with (tmp_path / "history.csv").open("a") as file:
        file.write("100,1.")
    history.start_at(100)
    history.add(150, {"train/loss": 3.0})

    assert ["50", "150"] == [row["step"] for row in history.rows()]


@pytest.mark.parametrize(
    "damage",
    [
        *(b"\xff\xfe\0\n", b"text\n", b"x,1,2\n", b"nan,1,2\n", b"inf,1,2\n", b"100,a,2\n"),
        *(b"100,1\n", b"100,1,2,3\n", b"100,1,\0\n", b"100,1," + b"9" * 200_000 + b"\n"),
    ],
)
def test_what_is_no_row_of_numbers_is_left_out(
    history: History, tmp_path: Path, damage: bytes
) -> None:
    """Whoever wrote it: the trial is resumed, and the report drawn, without."""
    with (tmp_path / "history.csv").open("ab") as file:
        file.write(damage)
    history.add(50, {"train/loss": 1.0})

    assert {"50"} >= {row["step"] for row in history.rows()}


@pytest.mark.parametrize("content", ["no,steps\n1,2\n", "", "\n\n"])
def test_a_file_that_is_none(tmp_path: Path, content: str) -> None:
    """It has no rows; a folder of that name neither."""
    (tmp_path / "history.csv").write_text(content)
    (tmp_path / "folder").mkdir()

    assert [] == History(tmp_path / "history.csv", []).rows()
    assert [] == History(tmp_path / "folder", []).rows()


def test_a_new_column_is_added(history: History) -> None:
    """A loss's own part gets a column with its first value; rows before it have none."""
    history.add(1, {"train/loss": 3.0})
    history.add(2, {"train/loss": 2.0, "train/tc": 0.5})
    history.add(3, {"val/loss": 4.0, "train/tc": 0.25})

    assert ["", "0.5", "0.25"] == [row["train/tc"] for row in history.rows()]
    assert ["3", "2", ""] == [row["train/loss"] for row in history.rows()]


def test_resuming_keeps_added_columns(history: History, tmp_path: Path) -> None:
    """Another process continues the file with the columns that it has."""
    history.add(1, {"train/loss": 3.0, "train/tc": 0.5})
    history.add(2, {"train/loss": 2.0, "train/tc": 0.25})
    again = History(tmp_path / "history.csv", ["step", "train/loss", "val/loss"])
    again.start_at(1)
    again.add(2, {"train/tc": 0.125})

    assert ["0.5", "0.125"] == [row["train/tc"] for row in again.rows()]
    assert ["step", "train/loss", "val/loss", "train/tc"] == [*again.rows()[0]]


def test_columns_name_every_latent() -> None:
    """There is a KL column for each latent, zero-padded, and MIG where there are factors."""
    with_factors = columns(latent_dim=2, scores=True)

    assert ["kl/z00", "kl/z01", "scores/mig"] == with_factors[-3:]
    assert "scores/mig" not in columns(latent_dim=2, scores=False)


class TestLateChange:
    @pytest.mark.parametrize(
        ("validations", "least", "expected"),
        [
            # At step 90 of 100 the line from (50, 10) to (100, 5) is at 6: (5 - 6) / 6.
            ([(10, 20.0), (50, 10.0), (100, 5.0)], 0.0, -1 / 6),
            ([(50, 3.0), (100, 3.0)], 0.0, 0.0),
            # Losses of Gaussian pixels, which may be below 0, and their least: of 10 lost 2.
            ([(90, 2.0), (100, 0.0)], -8.0, -1 / 5),
            ([(90, 0.0), (100, -2.0)], -10.0, -1 / 5),
            ([(90, -4.0), (100, -6.0)], -14.0, -1 / 5),
        ],
    )
    def test_over_the_last_tenth(
        self, validations: list[tuple[int, float]], least: float, expected: float, history: History
    ) -> None:
        """What the loss lost since nine tenths of the steps, as a part of what it had to lose."""
        for step, loss in validations:
            history.add(step - 1, {"train/loss": 1.0})
            history.add(step, {"train/loss": 1.0, "val/loss": loss})

        assert expected == pytest.approx(late_change(history.rows(), least=least), abs=1e-6)

    @pytest.mark.parametrize("least", [0.0, -8.0])
    def test_nothing_left_to_lose(self, least: float, history: History) -> None:
        """Of a loss that was the least already there is no part."""
        for step in (90, 100):
            history.add(step, {"train/loss": 1.0, "val/loss": least})

        assert late_change(history.rows(), least=least) is None

    def test_one_look(self, history: History) -> None:
        """A model that was validated once has not changed in sight."""
        history.add(100, {"train/loss": 1.0, "val/loss": 2.0})

        assert late_change(history.rows(), least=0.0) is None
