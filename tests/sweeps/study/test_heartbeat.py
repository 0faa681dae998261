import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.study import heartbeat as module
from sweeps.study.heartbeat import (
    AlreadyRunningError,
    Heartbeat,
    HeartbeatWriter,
    Sighting,
    WorkerRegistry,
    living_workers,
    new_worker_name,
    read_heartbeat,
    remove_stale,
    this_host,
)
from sweeps.study.locks import is_locked
from sweeps.study.timeouts import TIMEOUTS, Timeouts
from tests.doubles.processes import end, held, hold_heartbeat, start, wait_for

ELSEWHERE = Heartbeat(name="worker-far", host="far/boot/pid:[1]", pid=7, beat=3, slug="beta=1")


def write(folder: Path, heartbeat: Heartbeat) -> Path:
    """Write a heartbeat file as its process would."""
    path = folder / f"{heartbeat.name}.json"
    path.write_text(heartbeat.to_json().ljust(module.RECORD_BYTES))
    return path


class TestHeartbeatWriter:
    def test_the_file_names_the_process_and_is_removed(self, tmp_path: Path) -> None:
        """While the block runs the file names this process; afterwards it is gone."""
        path = tmp_path / "workers" / "w.json"
        with HeartbeatWriter(path, name="w", launched=True):
            heartbeat = read_heartbeat(path)
            assert is_locked(path)

        assert heartbeat is not None
        assert ("w", this_host(), os.getpid(), True) == (
            heartbeat.name,
            heartbeat.host,
            heartbeat.pid,
            heartbeat.launched,
        )
        assert not path.exists()

    def test_only_one_process_can_be_it(self, tmp_path: Path) -> None:
        """The error of a second holder names the process of the first."""
        path = tmp_path / "orchestrator.json"
        with (
            HeartbeatWriter(path, name="one"),
            pytest.raises(AlreadyRunningError, match=f"^{os.getpid()} on "),
            HeartbeatWriter(path, name="other"),
        ):
            pass

    def test_a_killed_holder_makes_way_at_once(self, tmp_path: Path) -> None:
        """The lock is released when its holder dies; the file left behind is used again."""
        path = tmp_path / "orchestrator.json"
        holder = start(hold_heartbeat, path)
        wait_for(lambda: is_locked(path) and read_heartbeat(path))
        holder.kill()
        end(holder)

        with HeartbeatWriter(path, name="next"):
            heartbeat = read_heartbeat(path)
        assert heartbeat is not None
        assert "next" == heartbeat.name

    def test_a_file_removed_before_it_is_locked_is_opened_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Locking a file that its last holder removed meanwhile would let two processes in."""
        path = tmp_path / "orchestrator.json"
        try_lock = module.try_lock

        def removed_before_locking(file: int) -> bool:
            monkeypatch.setattr(module, "try_lock", try_lock)
            path.unlink()
            return try_lock(file)

        monkeypatch.setattr(module, "try_lock", removed_before_locking)
        with HeartbeatWriter(path, name="one"):
            assert is_locked(path)

    def test_progress_is_written_now_or_with_the_next_beat(self, tmp_path: Path) -> None:
        """A step need not cost a write."""
        path = tmp_path / "w.json"
        with HeartbeatWriter(path, name="w") as writer:
            writer.report("beta=1", step=3, total=10, write=False)
            before = read_heartbeat(path)
            writer.beat()
            after = read_heartbeat(path)

        assert before is not None
        assert after is not None
        assert (None, 0) == (before.slug, before.step)
        assert ("beta=1", 3, 10) == (after.slug, after.step, after.total)
        assert before.beat + 1 == after.beat

    def test_what_it_does_before_a_trial(self, tmp_path: Path) -> None:
        """It is said at once, until there is nothing to say."""
        path = tmp_path / "w.json"
        with HeartbeatWriter(path, name="w") as writer:
            writer.say("importing torch")
            before = read_heartbeat(path)
            writer.say("")
            after = read_heartbeat(path)

        assert before is not None
        assert after is not None
        assert ("importing torch", "") == (before.doing, after.doing)

    def test_heartbeats_continue_after_a_full_disk(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One failed write does not end the thread."""
        path = tmp_path / "w.json"
        pwrite, refused = os.pwrite, []

        def failing_once(file: int, content: bytes, offset: int) -> int:
            if b'"beat": 2' in content and not refused:
                refused.append(content)
                raise OSError(28, "No space left on device")
            return pwrite(file, content, offset)

        monkeypatch.setattr(os, "pwrite", failing_once)
        with HeartbeatWriter(path, name="w", timeouts=Timeouts(heartbeat=0.01)):
            wait_for(lambda: (heartbeat := read_heartbeat(path)) and heartbeat.beat > 3)
        assert 1 == len(refused)


class TestHeartbeat:
    def test_the_file_keeps_its_format(self, tmp_path: Path) -> None:
        """A study that was killed long ago has such files: the host is `place`."""
        content = {"name": "w", "place": "far/boot/pid:[1]", "pid": 7, "launched": True}
        content |= {"beat": 3, "slug": "beta=1", "step": 2, "total": 10}
        (tmp_path / "w.json").write_text(json.dumps(content))
        heartbeat = read_heartbeat(tmp_path / "w.json")

        assert heartbeat is not None
        assert ("far/boot/pid:[1]", "beta=1", 2) == (heartbeat.host, heartbeat.slug, heartbeat.step)
        assert content | {"doing": ""} == json.loads(heartbeat.to_json())


class TestLivingWorkers:
    def test_here_the_lock_decides(self, tmp_path: Path) -> None:
        """A worker of this machine lives as long as its lock is held."""
        path = write(tmp_path, replace(ELSEWHERE, host=this_host()))
        with held(path):
            alive = living_workers(tmp_path)

        assert ["worker-far"] == [heartbeat.name for heartbeat in alive]
        assert [] == living_workers(tmp_path)

    def test_elsewhere_the_age_of_the_beat_decides(self, tmp_path: Path) -> None:
        """A worker of another machine is shown while its file is young."""
        path = write(tmp_path, ELSEWHERE)
        assert ["worker-far"] == [heartbeat.name for heartbeat in living_workers(tmp_path)]

        old = time.time() - TIMEOUTS.heartbeat_lost - 1
        os.utime(path, (old, old))
        assert [] == living_workers(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            *("", "{", "[]", "[" * 100_000, '{"name": "w"}', '{"unknown": 1}'),
            *(
                f'{{"place": "h", "name": "w", "pid": 1, "slug": {slug}}}'
                for slug in ("[]", "{}", "3")
            ),
        ],
    )
    def test_what_cannot_be_read_is_nobody(self, tmp_path: Path, content: str) -> None:
        """Half-written and foreign files are passed over."""
        (tmp_path / "w.json").write_text(content)

        assert [] == living_workers(tmp_path)


class TestWorkerRegistry:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """A clock that is set by hand; the last entry is the time."""
        times = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: times[-1])
        return times

    def test_without_a_new_beat_a_remote_worker_is_dead_after_the_timeout(
        self, tmp_path: Path, clock: list[float]
    ) -> None:
        """The observer's own clock counts, from when it first saw the beat."""
        write(tmp_path, ELSEWHERE)
        registry = WorkerRegistry(tmp_path)

        assert registry.is_alive("worker-far")
        clock.append(1059.9)
        assert registry.is_alive("worker-far")
        clock.append(1060.1)
        assert not registry.is_alive("worker-far")

    def test_a_remote_worker_with_new_beats_is_alive(
        self, tmp_path: Path, clock: list[float]
    ) -> None:
        """Each new beat restarts the timeout."""
        registry = WorkerRegistry(tmp_path)
        for beat in range(5):
            write(tmp_path, replace(ELSEWHERE, beat=beat))
            assert registry.is_alive("worker-far")
            clock.append(clock[-1] + 50)

    @pytest.mark.parametrize("offset_s", [-3600, 3600])
    def test_clocks_need_not_agree(
        self, tmp_path: Path, clock: list[float], offset_s: float
    ) -> None:
        """A clock off by an hour neither kills a living worker nor keeps a dead one alive."""
        path = write(tmp_path, ELSEWHERE)
        os.utime(path, (time.time() + offset_s,) * 2)
        registry = WorkerRegistry(tmp_path)

        assert registry.is_alive("worker-far")
        clock.append(1061.0)
        assert not registry.is_alive("worker-far")

    def test_a_free_lock_here_is_death_at_once(self, tmp_path: Path) -> None:
        """On this machine the timeout is not waited for."""
        path = write(tmp_path, replace(ELSEWHERE, host=this_host()))
        with held(path):
            assert WorkerRegistry(tmp_path).is_alive("worker-far")
        assert not WorkerRegistry(tmp_path).is_alive("worker-far")

    def test_a_stopped_process_here_counts_as_dead(
        self, tmp_path: Path, clock: list[float]
    ) -> None:
        """A worker that holds its lock but writes no beat for the timeout is dead."""
        path = write(tmp_path, replace(ELSEWHERE, host=this_host()))
        registry = WorkerRegistry(tmp_path)
        with held(path):
            assert registry.is_alive("worker-far")
            clock.append(1061.0)
            assert not registry.is_alive("worker-far")

    def test_no_file_is_death(self, tmp_path: Path) -> None:
        """A worker that has ended has no heartbeat file."""
        assert not WorkerRegistry(tmp_path).is_alive("worker-gone")

    def test_a_half_written_file_gets_the_timeout(self, tmp_path: Path, clock: list[float]) -> None:
        """A process that has just begun to write may be alive."""
        (tmp_path / "worker-new.json").touch()
        registry = WorkerRegistry(tmp_path)

        assert registry.is_alive("worker-new")
        clock.append(1061.0)
        assert not registry.is_alive("worker-new")

    def test_all_that_is_seen(self, tmp_path: Path, clock: list[float]) -> None:
        """What each trains and since when, and whether it has ended."""
        write(tmp_path, ELSEWHERE)
        write(tmp_path, replace(ELSEWHERE, name="worker-idle", slug=None))
        write(tmp_path, replace(ELSEWHERE, name="worker-dead", host=this_host(), slug="beta=4"))

        assert WorkerRegistry(tmp_path).sightings() == {
            "worker-far": Sighting(1000.0, slug="beta=1", step=ELSEWHERE.step),
            "worker-idle": Sighting(1000.0, step=ELSEWHERE.step),
            "worker-dead": Sighting(1000.0, holds_lock=False, slug="beta=4", step=ELSEWHERE.step),
        }


class TestRemoveStale:
    def test_only_what_the_dead_of_this_machine_left_goes(self, tmp_path: Path) -> None:
        """The living keep their files, and so do workers elsewhere, whose try_lock are not seen."""
        write(tmp_path, ELSEWHERE)
        write(tmp_path, replace(ELSEWHERE, name="worker-dead", host=this_host()))
        alive = write(tmp_path, replace(ELSEWHERE, name="worker-alive", host=this_host()))
        (tmp_path / "worker-new.json").touch()

        with held(alive):
            remove_stale(tmp_path)

        assert ["worker-alive", "worker-far", "worker-new"] == sorted(
            path.stem for path in tmp_path.iterdir()
        )

    def test_an_old_empty_file_goes(self, tmp_path: Path) -> None:
        """A worker killed before its first beat leaves an empty file."""
        path = tmp_path / "worker-never.json"
        path.touch()
        old = time.time() - TIMEOUTS.heartbeat_lost - 1
        os.utime(path, (old, old))

        remove_stale(tmp_path)

        assert not path.exists()


def test_names_differ() -> None:
    """No two workers have one name."""
    assert 100 == len({new_worker_name() for _ in range(100)})
