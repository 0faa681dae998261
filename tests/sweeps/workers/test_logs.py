import logging
from pathlib import Path

import pytest

from sweeps.workers.logs import log_to


def test_a_log_is_written_to_while_the_block_runs(tmp_path: Path) -> None:
    """What both packages log, and nothing afterwards."""
    with log_to(tmp_path / "logs" / "w.log"):
        logging.getLogger("sweeps").info("one")
        logging.getLogger("bvae").info("two")
    logging.getLogger("sweeps").warning("three")

    lines = (tmp_path / "logs" / "w.log").read_text().splitlines()
    assert ["INFO one", "INFO two"] == [line.split(" ", 2)[2] for line in lines]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_costs_only_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback is shown for each line."""
    with log_to(Path("/dev/full")):
        logging.getLogger("sweeps").warning("one")

    assert "No space left" not in capsys.readouterr().err
