import json
import re
from collections.abc import Callable

from sweeps.study.command import sweeps
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.study import Study
from tests.doubles.studies import write_result

Type = Callable[..., str]


def parts_of(said: str) -> set[str]:
    """Return the counts in the first line of what is said."""
    return {part.strip() for part in re.split("[:,]", said.splitlines()[0])}


def test_counts_failures_and_command(study: Study, typed: Type) -> None:
    """How far it is, what failed and why, and the command that continues it."""
    said = typed("status", study.folder.root)

    assert {"6 trials", "3 complete", "1 failed", "2 pending"} <= parts_of(said)
    assert "failed beta=16,latent_dim=5,seed=1: ValueError: no\n" in said
    assert said.endswith(f": {sweeps('resume', study.folder.root)}\n")


def test_numbers_for_programs(study: Study, typed: Type) -> None:
    """One JSON object whose states sum to what is expected."""
    found = json.loads(typed("status", study.folder.root, "--json"))

    assert study.counts == found
    assert found.pop("expected") == sum(found.values())


def test_what_each_worker_runs(study: Study, typed: Type) -> None:
    """Each worker with its trial and step; an idle one has none."""
    slug = "beta=4,latent_dim=5,seed=0"
    with (
        HeartbeatWriter(study.folder.workers / "a.json", name="worker-a") as busy,
        HeartbeatWriter(study.folder.workers / "b.json", name="worker-b"),
    ):
        busy.report(slug, step=300, total=2000)
        said = typed("status", study.folder.root)

    assert f"worker-a: {slug}  step 300 of 2000\n" in said
    assert "worker-b: idle\n" in said
    assert {"1 running", "1 pending"} <= parts_of(said)


def test_time_left_while_it_runs(study: Study, typed: Type) -> None:
    """Two trials of 2 s by one worker; unknown before any worker runs one."""
    with HeartbeatWriter(study.folder.orchestrator, name="orchestrator"):
        assert "0:04" not in typed("status", study.folder.root)
        with HeartbeatWriter(study.folder.workers / "a.json", name="worker-a") as worker:
            worker.report(study.trials[2].slug, step=0, total=2000)

            assert "0:04" in typed("status", study.folder.root)


def test_a_finished_study_has_nothing_left_to_say(study: Study, typed: Type) -> None:
    """Neither a time nor a command."""
    for trial in study.trials:
        write_result(study, trial)

    assert {"tested", "6 trials", "6 complete"} == parts_of(typed("status", study.folder.root))
