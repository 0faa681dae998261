import io
import os
from dataclasses import replace

import pytest
from rich.console import Console

from sweeps.study.heartbeat import Heartbeat, this_host
from sweeps.workers import live_table
from sweeps.workers.live_table import Display, line, panel
from sweeps.workers.logged import Logged
from sweeps.workers.progress import BestConfiguration, Snapshot

COUNTS = {"expected": 9, "complete": 4, "failed": 1, "pruned": 0, "running": 2, "pending": 2}
SNAPSHOT = Snapshot(
    name="quick",
    objective="mig",
    counts=COUNTS,
    workers=(Heartbeat("w", "here", 7, slug="beta=4,latent_dim=10,seed=0", step=30, total=60),),
    elapsed_s=75.0,
    eta_s=3700.0,
    best=BestConfiguration("beta=4 latent_dim=10", 0.3124, 3, 5),
    failures=tuple(f"beta={beta}: ValueError: no" for beta in (1, 2, 3, 4)),
)


def drawn(snapshot: Snapshot, *, width: int = 100) -> str:
    """Return the panel as text."""
    console = Console(file=io.StringIO(), width=width)
    console.print(panel(snapshot))
    return console.file.getvalue()  # type: ignore[attr-defined]


def plain() -> tuple[Display, io.StringIO]:
    """Return a display without a terminal, and what it writes to."""
    out = io.StringIO()
    return Display(Console(file=out, width=60)), out


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock whose last entry is now."""
    now = [1000.0]
    monkeypatch.setattr(live_table.time, "monotonic", lambda: now[-1])
    return now


class TestLine:
    def test_all_of_it_in_one_line(self) -> None:
        """Counts, times, and the best configuration so far."""
        assert (
            "quick: 4/9 complete · 2 running · 1 failed · 2 left · 1:15 elapsed · ETA 1:01:40 · "
            "best so far beta=4 latent_dim=10 (0.312, 3 of 5 seeds)"
        ) == line(SNAPSHOT)

    def test_pruned_trials_are_counted(self) -> None:
        """The counts add up to the trials of the study, with pruning too."""
        said = line(replace(SNAPSHOT, counts=COUNTS | {"complete": 3, "pruned": 1}))

        assert "3/9 complete · 2 running · 1 failed · 1 pruned · 2 left" in said

    def test_before_the_first_result(self) -> None:
        """No best configuration, no time to say."""
        assert line(replace(SNAPSHOT, best=None, eta_s=None)).endswith("ETA –")


class TestPanel:
    def test_counts_workers_and_the_best_configuration(self) -> None:
        """Done counts whatever needs no further attempt."""
        text = drawn(SNAPSHOT)

        assert "5/9" in text
        assert "4 done · 2 running · 1 failed · 2 left" in text
        assert "beta=4,latent_dim=10,seed=0" in text
        assert " 50%" in text
        assert "beta=4 latent_dim=10  mig 0.312 (3 of 5 seeds)" in text

    def test_the_last_failures_only(self) -> None:
        """A table of a thousand failures would hide the rest."""
        text = drawn(SNAPSHOT)

        assert "beta=1: ValueError" not in text
        assert "beta=4: ValueError: no" in text

    def test_pruned_trials_are_named_where_there_are_any(self) -> None:
        """Most studies have none."""
        assert "pruned" not in drawn(SNAPSHOT)
        assert "3 pruned" in drawn(replace(SNAPSHOT, counts=COUNTS | {"pruned": 3}))

    def test_a_worker_that_has_not_begun(self) -> None:
        """It has no steps to divide by."""
        fresh = Heartbeat("w", "here", 7, slug="beta=1")

        assert "preparing" in drawn(replace(SNAPSHOT, workers=(fresh,)))

    def test_a_worker_without_a_trial(self) -> None:
        """It says what it waits for, in one line: the first seconds of a sweep are no riddle."""
        fresh = Heartbeat("w", "here", 7, doing="importing torch")
        idle = Heartbeat("w", "here", 8)
        text = drawn(replace(SNAPSHOT, workers=(fresh, idle), starting=2))

        assert "importing torch " in text
        assert "waiting for a trial " in text
        assert "2 workers starting" in text

    def test_loss_validation_score_and_worker_of_a_running_trial(self) -> None:
        """The machine is named where it is another one; the score has a column if one is known."""
        (worker,) = SNAPSHOT.workers
        with_loss = replace(SNAPSHOT, logged={str(worker.slug): Logged(98.7654)})
        with_score = replace(SNAPSHOT, logged={str(worker.slug): Logged(98.7654, 0.25)})

        assert " here:7 " in drawn(with_loss)
        assert " 98.77" in drawn(with_loss)
        assert "MIG" not in drawn(with_loss)
        assert " 98.77     0.250" in drawn(with_score)
        here = replace(worker, host=this_host())
        assert " 7 " in drawn(replace(with_loss, workers=(here,)))
        assert ":7" not in drawn(replace(with_loss, workers=(here,)))

    def test_a_long_name_makes_way(self) -> None:
        """In a narrow terminal it is shortened: how far a trial is and its loss stay in sight."""
        (worker,) = SNAPSHOT.workers
        slug = "beta=4,latent_dim=10,seed=0,model=higgins,optimizer.lr=0.0005,loss=beta_tcvae"
        known = {slug: Logged(98.7654, 0.25)}
        shown = replace(SNAPSHOT, workers=(replace(worker, slug=slug),), logged=known)
        (row,) = [line for line in drawn(shown, width=72).splitlines() if "beta=4,l" in line]

        assert row.startswith("beta=4,latent_dim=10,seed=")
        assert row.rstrip().endswith(" 50%  98.77     0.250")
        assert len(row) <= 72

    def test_a_worker_that_scores(self) -> None:
        """After the last step there is no bar left to wait for."""
        (worker,) = SNAPSHOT.workers

        assert "scoring" in drawn(replace(SNAPSHOT, workers=(replace(worker, step=60),)))

    def test_brackets_are_no_markup(self) -> None:
        """A name or an error may hold anything."""
        assert "x[red]" in drawn(replace(SNAPSHOT, failures=("x[red]",)))


class TestWithoutATerminal:
    def test_a_line_when_a_trial_has_ended(self, clock: list[float]) -> None:
        """And none while nothing changes, until half a minute has passed."""
        shows, out = plain()
        with shows:
            shows.show(SNAPSHOT)
            clock.append(1001.0)
            shows.show(replace(SNAPSHOT, counts=COUNTS | {"running": 1, "pending": 3}))
            shows.show(replace(SNAPSHOT, counts=COUNTS | {"complete": 5, "running": 1}))
            clock.append(1031.5)
            shows.show(replace(SNAPSHOT, counts=COUNTS | {"complete": 5, "running": 1}))

        lines = out.getvalue().splitlines()
        assert ["4/9", "5/9", "5/9"] == [text.split()[1] for text in lines]

    def test_a_long_message_stays_one_line(self) -> None:
        """A line of a log is not folded, and its brackets are not markup."""
        shows, out = plain()
        shows.say("[x] " + "word " * 30)

        assert 1 == len(out.getvalue().splitlines())
        assert out.getvalue().startswith("[x] ")


class TestInATerminal:
    def test_the_table_stays_and_the_cursor_comes_back(self) -> None:
        """The last picture is left standing; the terminal is as it was."""
        out = io.StringIO()
        with Display(Console(file=out, force_terminal=True, width=100)) as shows:
            shows.show(SNAPSHOT)
            shows.say("a message")

        text = out.getvalue()
        assert "a message" in text
        assert "beta=4,latent_dim=10,seed=0" in text
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")

    def test_the_cursor_is_shown_before_an_immediate_exit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process about to exit does not wait for a lock of the table."""
        written: list[tuple[int, bytes]] = []
        with Display(Console(file=io.StringIO(), force_terminal=True)) as shows:
            monkeypatch.setattr(os, "write", lambda *call: written.append(call))
            shows.restore_cursor()
            monkeypatch.undo()

        assert [(2, b"\x1b[?25h\n")] == written
