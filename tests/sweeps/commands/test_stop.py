from collections.abc import Callable

from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.study import Study

Type = Callable[..., str]


def test_the_stop_file_is_written(study: Study, typed: Type) -> None:
    """Every worker, on any machine, finds it."""
    with HeartbeatWriter(study.folder.workers / "a.json", name="a"):
        assert typed("stop", study.folder.root).startswith("1 worker")

    assert study.folder.stop.exists()
