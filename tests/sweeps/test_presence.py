import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from processes import be_present, end, held, start, wait_for

from sweeps import presence
from sweeps.presence import (
    AlreadyPresentError,
    Presence,
    Present,
    Watch,
    clear,
    here,
    is_locked,
    locked,
    new_worker_name,
    read,
    workers_at,
)

ELSEWHERE = Presence(name="worker-far", place="far/boot/pid:[1]", pid=7, beat=3, slug="beta=1")


def write(folder: Path, said: Presence) -> Path:
    """Write a presence file as its owner would."""
    path = folder / f"{said.name}.json"
    path.write_text(json.dumps(asdict(said)).ljust(presence.RECORD_BYTES))
    return path


class TestPresent:
    def test_the_file_says_who_and_goes_on_leaving(self, tmp_path: Path) -> None:
        """While the block runs the file names this process; afterwards it is gone."""
        path = tmp_path / "workers" / "w.json"
        with Present(path, name="w", launched=True):
            said = read(path)
            assert is_locked(path)

        assert said is not None
        assert ("w", here(), os.getpid(), True) == (said.name, said.place, said.pid, said.launched)
        assert not path.exists()

    def test_only_one_process_can_be_it(self, tmp_path: Path) -> None:
        """A second holder is told which process is the first."""
        path = tmp_path / "orchestrator.json"
        with (
            Present(path, name="one"),
            pytest.raises(AlreadyPresentError, match=f"^{os.getpid()} on "),
            Present(path, name="other"),
        ):
            pass

    def test_a_killed_holder_makes_way_at_once(self, tmp_path: Path) -> None:
        """The lock dies with its holder; the file it left is taken over."""
        path = tmp_path / "orchestrator.json"
        holder = start(be_present, path)
        wait_for(lambda: is_locked(path) and read(path))
        holder.kill()
        end(holder)

        with Present(path, name="next"):
            said = read(path)
        assert said is not None
        assert "next" == said.name

    def test_a_file_removed_while_it_is_waited_for_is_no_presence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Locking a file that its last holder removed meanwhile would let two processes in."""
        path = tmp_path / "orchestrator.json"
        locks = presence._locks

        def removed_before_locking(file: int) -> bool:
            monkeypatch.setattr(presence, "_locks", locks)
            path.unlink()
            return locks(file)

        monkeypatch.setattr(presence, "_locks", removed_before_locking)
        with Present(path, name="one"):
            assert is_locked(path)

    def test_progress_is_written_now_or_with_the_next_beat(self, tmp_path: Path) -> None:
        """A step need not cost a write."""
        path = tmp_path / "w.json"
        with Present(path, name="w") as present:
            present.at("beta=1", step=3, total=10, write=False)
            before = read(path)
            present.say()
            after = read(path)

        assert before is not None
        assert after is not None
        assert (None, 0) == (before.slug, before.step)
        assert ("beta=1", 3, 10) == (after.slug, after.step, after.total)
        assert before.beat + 1 == after.beat

    def test_the_heart_beats_on_over_a_full_disk(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One failed write does not stop the heart."""
        monkeypatch.setattr(presence, "HEARTBEAT_S", 0.01)
        path = tmp_path / "w.json"
        pwrite, refused = os.pwrite, []

        def failing_once(file: int, content: bytes, offset: int) -> int:
            if b'"beat": 2' in content and not refused:
                refused.append(content)
                raise OSError(28, "No space left on device")
            return pwrite(file, content, offset)

        monkeypatch.setattr(os, "pwrite", failing_once)
        with Present(path, name="w"):
            wait_for(lambda: (said := read(path)) and said.beat > 3)
        assert 1 == len(refused)


class TestWorkersAt:
    def test_here_the_lock_decides(self, tmp_path: Path) -> None:
        """A worker of this machine lives as long as its lock is held."""
        path = write(tmp_path, replace(ELSEWHERE, place=here()))
        with held(path):
            alive = workers_at(tmp_path)

        assert ["worker-far"] == [said.name for said in alive]
        assert [] == workers_at(tmp_path)

    def test_elsewhere_the_age_of_the_beat_decides(self, tmp_path: Path) -> None:
        """A worker of another machine is shown while its file is young."""
        path = write(tmp_path, ELSEWHERE)
        assert ["worker-far"] == [said.name for said in workers_at(tmp_path)]

        old = time.time() - presence.GRACE_S - 1
        os.utime(path, (old, old))
        assert [] == workers_at(tmp_path)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "w"}', '{"unknown": 1}'])
    def test_what_cannot_be_read_is_nobody(self, tmp_path: Path, content: str) -> None:
        """Half-written and foreign files are passed over."""
        (tmp_path / "w.json").write_text(content)

        assert [] == workers_at(tmp_path)


class TestWatch:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """A clock that is set by hand; the last entry is the time."""
        times = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: times[-1])
        return times

    def test_a_still_heart_elsewhere_is_death_after_the_grace_time(
        self, tmp_path: Path, clock: list[float]
    ) -> None:
        """The watcher's own clock counts, from when it first saw the beat."""
        write(tmp_path, ELSEWHERE)
        watch = Watch(tmp_path, grace_s=60)

        assert watch.lives("worker-far")
        clock.append(1059.9)
        assert watch.lives("worker-far")
        clock.append(1060.1)
        assert not watch.lives("worker-far")

    def test_a_beating_heart_elsewhere_lives(self, tmp_path: Path, clock: list[float]) -> None:
        """Each new beat starts the grace time anew."""
        watch = Watch(tmp_path, grace_s=60)
        for beat in range(5):
            write(tmp_path, replace(ELSEWHERE, beat=beat))
            assert watch.lives("worker-far")
            clock.append(clock[-1] + 50)

    @pytest.mark.parametrize("offset_s", [-3600, 3600])
    def test_clocks_need_not_agree(
        self, tmp_path: Path, clock: list[float], offset_s: float
    ) -> None:
        """A clock off by an hour neither kills a living worker nor keeps a dead one alive."""
        path = write(tmp_path, ELSEWHERE)
        os.utime(path, (time.time() + offset_s,) * 2)
        watch = Watch(tmp_path, grace_s=60)

        assert watch.lives("worker-far")
        clock.append(1061.0)
        assert not watch.lives("worker-far")

    def test_a_free_lock_here_is_death_at_once(self, tmp_path: Path) -> None:
        """On this machine nobody waits for the grace time."""
        path = write(tmp_path, replace(ELSEWHERE, place=here()))
        with held(path):
            assert Watch(tmp_path).lives("worker-far")
        assert not Watch(tmp_path).lives("worker-far")

    def test_a_stopped_process_here_is_taken_for_dead(
        self, tmp_path: Path, clock: list[float]
    ) -> None:
        """A worker that holds its lock but shows no life for the grace time is given up."""
        path = write(tmp_path, replace(ELSEWHERE, place=here()))
        watch = Watch(tmp_path, grace_s=60)
        with held(path):
            assert watch.lives("worker-far")
            clock.append(1061.0)
            assert not watch.lives("worker-far")

    def test_no_file_is_death(self, tmp_path: Path) -> None:
        """Who has left has no presence file."""
        assert not Watch(tmp_path).lives("worker-gone")

    def test_a_half_written_file_gets_the_grace_time(
        self, tmp_path: Path, clock: list[float]
    ) -> None:
        """A process that has just begun to write may be alive."""
        (tmp_path / "worker-new.json").touch()
        watch = Watch(tmp_path, grace_s=60)

        assert watch.lives("worker-new")
        clock.append(1061.0)
        assert not watch.lives("worker-new")

    def test_at_work_are_the_living_with_a_point(self, tmp_path: Path) -> None:
        """The dead and the idle are at no point."""
        write(tmp_path, ELSEWHERE)
        write(tmp_path, replace(ELSEWHERE, name="worker-idle", slug=None))
        write(tmp_path, replace(ELSEWHERE, name="worker-dead", place=here(), slug="beta=4"))

        assert {"beta=1": "worker-far"} == Watch(tmp_path).at_work()


class TestClear:
    def test_only_what_the_dead_of_this_machine_left_goes(self, tmp_path: Path) -> None:
        """The living keep their files, and so do workers elsewhere, whose locks are not seen."""
        write(tmp_path, ELSEWHERE)
        write(tmp_path, replace(ELSEWHERE, name="worker-dead", place=here()))
        alive = write(tmp_path, replace(ELSEWHERE, name="worker-alive", place=here()))
        (tmp_path / "worker-new.json").touch()

        with held(alive):
            clear(tmp_path)

        assert ["worker-alive", "worker-far", "worker-new"] == sorted(
            path.stem for path in tmp_path.iterdir()
        )

    def test_an_old_empty_file_goes(self, tmp_path: Path) -> None:
        """A worker killed before its first word leaves an empty file."""
        path = tmp_path / "worker-never.json"
        path.touch()
        old = time.time() - presence.GRACE_S - 1
        os.utime(path, (old, old))

        clear(tmp_path)

        assert not path.exists()


class TestLocked:
    def test_others_wait(self, tmp_path: Path) -> None:
        """While the block runs nobody else gets the lock; afterwards it is free."""
        path = tmp_path / "deep" / "guard.lock"
        with locked(path):
            assert is_locked(path)
        assert not is_locked(path)

    def test_a_file_that_is_not_there_is_not_locked(self, tmp_path: Path) -> None:
        """No file, no holder."""
        assert not is_locked(tmp_path / "none")


def test_names_differ() -> None:
    """No two workers have one name."""
    assert 100 == len({new_worker_name() for _ in range(100)})
