import os
import signal
import threading
from collections.abc import Iterator

import pytest

from sweeps.study.study import Study
from sweeps.workers import stopping as module
from sweeps.workers.stopping import RateLimited, StopRequest, in_a_job, stopping_on


class TestRateLimited:
    def test_it_checks_again_when_the_answer_is_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Asked at every step, looked up every few seconds."""
        now, looks = [100.0], iter([False, False, True])
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        asked = RateLimited(lambda: next(looks), every_s=10)

        answers = []
        for seconds in (100, 105, 109, 111, 120, 122, 200):
            now[0] = seconds
            answers.append(asked())

        assert [False, False, False, False, False, True, True] == answers
        assert [] == list(looks)


class TestStopRequest:
    def test_waiting_ends_on_a_signal(self, study: Study) -> None:
        """A waiting worker does not miss a signal."""
        stop_request = StopRequest(study.folder)
        threading.Timer(0.05, stop_request.set_signalled).start()
        stop_request.wait(60)

        assert stop_request.is_signalled
        assert stop_request()

    def test_waiting_ends_in_time(self, study: Study) -> None:
        """No signal is needed."""
        stop_request = StopRequest(study.folder)
        stop_request.wait(0.01)

        assert not stop_request.is_signalled


class TestStoppingOn:
    @pytest.fixture
    def exits(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
        """Codes this process would have been left with."""
        codes: list[int] = []
        monkeypatch.setattr(module.os, "_exit", codes.append)
        return codes

    def test_once_cleanly_twice_at_once(self, study: Study, exits: list[int]) -> None:
        """The first signal asks, the second does not; afterwards all is as before."""
        before = signal.getsignal(signal.SIGTERM)
        stop_request = StopRequest(study.folder)
        with stopping_on(stop_request, signal.SIGTERM):
            signal.raise_signal(signal.SIGTERM)
            assert (True, []) == (stop_request.is_signalled, exits)
            signal.raise_signal(signal.SIGTERM)
            assert [130] == exits

        assert before is signal.getsignal(signal.SIGTERM)

    def test_in_time_whatever_holds_it(
        self, study: Study, exits: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A trial that does not ask the monitor cannot hold up Ctrl-C."""
        started: list[tuple[float, object, list[int]]] = []

        class Timer(threading.Thread):
            def __init__(self, seconds: float, function: object, arguments: list[int]) -> None:
                super().__init__()
                started.append((seconds, function, arguments))

            def cancel(self) -> None:
                cancelled.append(self)

        cancelled: list[Timer] = []
        monkeypatch.setattr(module.threading, "Timer", Timer)
        with stopping_on(StopRequest(study.folder), signal.SIGINT, within_s=8):
            signal.raise_signal(signal.SIGINT)
            assert [] == cancelled

        assert [(8, module.os._exit, [130])] == started
        assert 1 == len(cancelled)  # or it would end the process while the report is written

    def test_only_the_main_thread_can(self, study: Study) -> None:
        """Under the basic launcher a worker is a thread of the orchestrator's process."""
        before = signal.getsignal(signal.SIGTERM)
        seen: list[object] = []

        def inside() -> None:
            with stopping_on(StopRequest(study.folder), signal.SIGTERM):
                seen.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()

        assert [before] == seen


class TestInAJob:
    @pytest.fixture
    def requeued(self) -> Iterator[list[int]]:
        """The signals on which submitit's handler, of which this is a stand-in, was called."""
        calls: list[int] = []
        before = signal.signal(signal.SIGUSR2, lambda number, _: calls.append(number))
        yield calls
        signal.signal(signal.SIGUSR2, before)

    def test_a_job_is_requeued_when_its_worker_has_stopped(
        self, study: Study, requeued: list[int]
    ) -> None:
        """Not in the midst of a step, as submitit would do."""
        stop_request = StopRequest(study.folder)
        with in_a_job(stop_request):
            os.kill(os.getpid(), signal.SIGUSR2)
            assert stop_request.is_signalled
            assert [] == requeued

        assert [signal.SIGUSR2] == requeued

    @pytest.mark.parametrize(("engine", "waits"), [("slurm", [600.0]), ("local", [])])
    def test_slurm_decides_what_comes_after_sigterm(
        self,
        study: Study,
        requeued: list[int],
        monkeypatch: pytest.MonkeyPatch,
        engine: str,
        waits: list[float],
    ) -> None:
        """It runs a preempted job again if it is still there, and no cancelled one."""
        waited: list[float] = []
        monkeypatch.setenv("SUBMITIT_EXECUTOR", engine)
        monkeypatch.setattr(module.time, "sleep", waited.append)
        stop_request = StopRequest(study.folder)
        with in_a_job(stop_request):
            os.kill(os.getpid(), signal.SIGTERM)

        assert stop_request.is_signalled
        assert (waits, []) == (waited, requeued)

    def test_without_submitit_a_worker_only_stops(self, study: Study) -> None:
        """Under joblib and Ray there is no job to requeue."""
        stop_request = StopRequest(study.folder)
        with in_a_job(stop_request):
            os.kill(os.getpid(), signal.SIGTERM)

        assert stop_request.is_signalled
