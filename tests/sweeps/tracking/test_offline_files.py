import os
from pathlib import Path

import pytest
from wandb.proto.wandb_internal_pb2 import HistoryRecord, Record, SummaryRecord

from sweeps.tracking.offline_files import Content, Fragment, fragments, is_row, read, written

HEADER = b":W&B\xe1\xbe\x00"
ROW = Record(num=7, history=HistoryRecord()).SerializeToString()
OTHER = Record(num=8, summary=SummaryRecord()).SerializeToString()


class TestRead:
    @pytest.mark.parametrize("sizes", [[5], [3, 200, 1], [70_000, 9], [32_754, 5], [32_748, 5]])
    def test_what_was_written(self, sizes: list[int]) -> None:
        """Records come back whole, also those that span blocks or leave no room in one."""
        records = [os.urandom(size) for size in sizes]
        found = read(written(HEADER, records))

        assert (records, True) == (found.records, found.is_whole)

    def test_torn_anywhere(self) -> None:
        """Whatever byte a kill cut at, the records before it are there and no other."""
        records = [OTHER, ROW, OTHER]
        data = written(HEADER, records)
        ends = [len(written(HEADER, records[:n])) for n in range(4)]
        for size in range(len(data)):
            found = read(data[:size])
            whole = sum(end <= size for end in ends[1:])
            assert records[:whole] == found.records
            assert (size in ends[1:]) == found.is_whole

    def test_damaged(self) -> None:
        """A byte that has changed ends the reading before its record."""
        data = bytearray(written(HEADER, [OTHER, ROW, OTHER]))
        data[len(written(HEADER, [OTHER])) + 8] ^= 1

        assert Content([OTHER], is_whole=False) == read(bytes(data))

    def test_nothing_but_a_header(self) -> None:
        """What a killed short run leaves."""
        assert Content([], is_whole=False) == read(HEADER)


class TestRows:
    def test_are_told_from_other_records(self) -> None:
        """By what the record says it holds; one that says nothing is none."""
        assert [is_row(ROW), is_row(OTHER), is_row(b"")] == [True, False, False]

    def test_the_first_are_left_out(self) -> None:
        """Other records stay, and the file is no longer whole."""
        found = Content([OTHER, ROW, ROW, OTHER], is_whole=True).without_rows(1)

        assert Content([OTHER, ROW, OTHER], is_whole=False) == found

    def test_none_is_left_out(self) -> None:
        """Then nothing changes."""
        content = Content([OTHER, ROW], is_whole=True)

        assert content is content.without_rows(0)


class TestFragments:
    def test_come_in_the_order_they_were_begun(self, tmp_path: Path) -> None:
        """Online or not, and those of one second as wandb numbers them."""
        names = [
            "run-20260101_000001-ab",
            "offline-run-20260101_000002-ab",
            "offline-run-20260101_000002-ab-1",
            "offline-run-20260101_000002-ab-2",
            "offline-run-20260101_000002-ab-10",
            "offline-run-20260102_000000-ab",
        ]
        for name in reversed(names):
            (tmp_path / name).mkdir()
            (tmp_path / name / "run-ab.wandb").touch()
            (tmp_path / name / "run-ab.rest.wandb").touch()
        found = fragments(tmp_path)

        assert names == [fragment.path.parent.name for fragment in found]
        assert {"ab"} == {fragment.run_id for fragment in found}

    def test_what_an_upload_of_the_rest_noted_is_kept(self, tmp_path: Path) -> None:
        """How many rows the server had before outlives the file made for the upload."""
        fragment = Fragment(tmp_path / "run-ab.wandb")
        assert fragment.starting_step() is None
        fragment.rest.touch()
        fragment.rest.with_name("run-ab.rest.wandb.syncstate").write_text('{"starting_step": 20}')
        fragment.note_starting_step()
        fragment.remove_rest()

        assert 20 == fragment.starting_step()
        assert ["run-ab.wandb.syncstate"] == [path.name for path in tmp_path.iterdir()]
