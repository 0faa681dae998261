import json
import os
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from bvae.exceptions import DataError
from sweeps.queue import journal
from sweeps.queue.journal import mend, mended, open_journal
from sweeps.study.folder import damaged_journal
from tests.doubles.processes import add_ten, end, hold_for_ever, start, wait_for


def study_in(path: Path) -> optuna.Study:
    """Open a study in a journal."""
    return optuna.create_study(storage=open_journal(path), study_name="tested", load_if_exists=True)


def add(study: optuna.Study, number: int) -> None:
    """Add trials to a study."""
    for _ in range(number):
        study.add_trial(create_trial(state=TrialState.FAIL))


class TestMend:
    @pytest.mark.parametrize(
        "torn",
        [
            b'{"op_code":4,"worker_id":"x',
            b'{"op_code":4}',
            b"\0" * 100,
            b'{"op_code":4,"worker\n',
            b"\0\0\0\n",
            b'{"a":"' + b"x" * 3 * journal.TAIL_BYTES,
        ],
        ids=["half", "no-line-break", "zeros", "cut", "zeros-and-break", "long"],
    )
    def test_a_torn_last_line_is_cut_off(self, tmp_path: Path, torn: bytes) -> None:
        """What a kill left half-written goes; whole lines stay byte for byte."""
        path = tmp_path / "study.journal"
        add(study_in(path), 3)
        whole = path.read_bytes()
        path.write_bytes(whole + torn)

        assert len(torn) == mend(path)
        assert whole == path.read_bytes()

    @pytest.mark.parametrize("content", [b"", b'{"op_code":4}\n', b'{"a":1}\n{"b":2}\n'])
    def test_whole_lines_are_left_alone(self, tmp_path: Path, content: bytes) -> None:
        """A journal in order, and an empty one, are not touched."""
        path = tmp_path / "study.journal"
        path.write_bytes(content)

        assert 0 == mend(path)
        assert content == path.read_bytes()

    def test_a_lone_torn_line_leaves_an_empty_journal(self, tmp_path: Path) -> None:
        """The very first line may be torn, too."""
        path = tmp_path / "study.journal"
        path.write_bytes(b'{"op')

        assert 4 == mend(path)
        assert b"" == path.read_bytes()

    def test_a_journal_that_is_gone_needs_none(self, tmp_path: Path) -> None:
        """Where there is no file there is nothing to mend."""
        assert 0 == mend(tmp_path / "study.journal")


class TestOpenJournal:
    def test_records_go_on_after_a_torn_line(self, tmp_path: Path) -> None:
        """Optuna alone would fail at every later read."""
        path = tmp_path / "study.journal"
        add(study_in(path), 2)
        with path.open("ab") as file:
            file.write(b'{"op_code":4,"wor')

        add(study_in(path), 1)

        assert 3 == len(study_in(path).trials)

    def test_records_are_not_synced_one_by_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process sees them all the same; a sync costs more than all else of a lease."""
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", synced.append)
        path = tmp_path / "study.journal"
        add(study_in(path), 2)

        assert 2 == len(study_in(path).trials)
        assert [] == synced

    @pytest.mark.parametrize(
        "line", [b"nonsense\n", b"[]\n", b'{"a":1}\n', b'{"op_code":99,"worker_id":"x"}\n']
    )
    def test_a_damaged_line_in_the_middle_is_reported(self, tmp_path: Path, line: bytes) -> None:
        """A journal that cannot be replayed is named, with the reason."""
        path = tmp_path / "study.journal"
        add(study_in(path), 2)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([lines[0], line, *lines[1:]]))

        with pytest.raises(DataError, match=r"study\.journal: cannot be replayed"):
            open_journal(path)


class TestMended:
    def test_it_dies_with_its_holder(self, tmp_path: Path) -> None:
        """A killed holder's lock is free at once."""
        path = tmp_path / "study.journal"
        holder = start(hold_for_ever, path)
        wait_for((tmp_path / "held").exists)
        holder.kill()
        end(holder)

        with mended(path):
            pass

    def test_several_processes_lose_no_record(self, tmp_path: Path) -> None:
        """Every record of every process is in the journal, whole."""
        path = tmp_path / "study.journal"
        writers = [start(add_ten, path) for _ in range(3)]

        assert [0, 0, 0] == [end(writer) for writer in writers]
        assert 30 == len(study_in(path).trials)
        assert all(json.loads(line) for line in path.read_text().splitlines())


class TestDamaged:
    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        """Each damaged journal is kept, under the next free name."""
        path = tmp_path / "study.journal"
        names = []
        for content in ("a", "b"):
            path.write_text(content)
            names.append(path.rename(damaged_journal(path)).name)

        assert ["study.journal.damaged-1", "study.journal.damaged-2"] == names
        assert not path.exists()
