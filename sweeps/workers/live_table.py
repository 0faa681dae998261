"""A running study in the terminal: a live table, or plain lines where there is no terminal."""

import contextlib
import os
import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.labels import clock, counted, number, score_text
from sweeps.study.heartbeat import Heartbeat, this_host
from sweeps.workers.logged import Logged
from sweeps.workers.progress import BestConfiguration, Snapshot

LINE_EVERY_S = 30.0
"""Where the output is no terminal: a line at most so often, unless a trial has ended."""


class Display:
    """Shows snapshots of a study; a context manager, so that the terminal is left clean."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live: Live | None = None
        self._last_counts: dict[str, int] = {}
        self._last_line_at = -LINE_EVERY_S

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def restore_cursor(self) -> None:
        """Show the cursor again before an immediate exit; safe in a signal handler."""
        if self._live is not None:
            with contextlib.suppress(OSError):  # the terminal is gone
                os.write(2, b"\x1b[?25h\n")

    def say(self, message: str) -> None:
        """Print a line above the table."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        if self._live is not None:
            self._live.update(panel(snapshot))
        elif self._is_line_due(snapshot):
            self.say(line(snapshot))

    def _is_line_due(self, snapshot: Snapshot) -> bool:
        ended = {name: snapshot.counts[name] for name in ("complete", "failed", "pruned")}
        changed = ended != self._last_counts
        if not changed and time.monotonic() - self._last_line_at < LINE_EVERY_S:
            return False
        self._last_counts = ended
        self._last_line_at = time.monotonic()
        return True


def line(snapshot: Snapshot) -> str:
    """Return the progress of a study in one line."""
    counts = snapshot.counts
    parts = [
        f"{snapshot.name}: {counts['complete']}/{counts['expected']} complete",
        f"{counts['running']} running",
        f"{counts['failed']} failed",
        *([f"{counts['pruned']} pruned"] if counts["pruned"] else []),
        f"{counts['pending']} left",
        f"{clock(snapshot.elapsed_s)} elapsed",
        f"ETA {clock(snapshot.eta_s)}",
    ]
    if snapshot.best is not None:
        best = snapshot.best
        parts.append(f"best so far {best.configuration} ({best.mean:.3f}, {_of_seeds(best)})")
    return " · ".join(parts)


def panel(snapshot: Snapshot) -> Group:
    """Draw a study: a bar, a line of counts, a row per worker, the best configuration so far."""
    counts = snapshot.counts
    done = snapshot.ended
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(snapshot.name, style="bold"),
        ProgressBar(total=counts["expected"], completed=done, width=30),
        f"{done}/{counts['expected']}",
        f"{clock(snapshot.elapsed_s)} elapsed",
        f"{clock(snapshot.eta_s)} left",
    )
    parts: list[Table | Text] = [head, _counts(counts), _workers(snapshot)]
    if snapshot.starting:
        parts.append(Text(f"{counted(snapshot.starting, 'worker')} starting…", style="dim"))
    if snapshot.best is not None:
        best = snapshot.best
        parts.append(
            Text.assemble(
                ("best so far  ", "dim"),
                (best.configuration, "bold"),
                f"  {snapshot.objective} {best.mean:.3f} ({_of_seeds(best)})",
            )
        )
    parts += [Text(failure, style="red", no_wrap=True) for failure in snapshot.failures[-3:]]
    return Group(*parts)


def _counts(counts: dict[str, int]) -> Text:
    text = Text()
    for name, word, style in (
        ("complete", "done", "green"),
        ("running", "running", "cyan"),
        ("failed", "failed", "red"),
        ("pruned", "pruned", "yellow"),
    ):
        if counts[name] or name != "pruned":
            text.append(f"{counts[name]} {word}", style=style if counts[name] else "dim")
            text.append(" · ", style="dim")
    return text.append(f"{counts['pending']} left", style="dim")


def _of_seeds(best: BestConfiguration) -> str:
    return f"{best.seeds} of {counted(best.expected, 'seed')}"


def _workers(snapshot: Snapshot) -> Table:
    """Draw a row for each worker: what it trains and how far, or what it waits for."""
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=bool(snapshot.workers))
    # which makes way: of all columns it alone may wrap, and does not
    table.add_column("trial", min_width=20)
    table.add_column("worker", no_wrap=True)
    table.add_column("steps", min_width=10, no_wrap=True)
    table.add_column("", justify="right", min_width=4, no_wrap=True)
    table.add_column("loss", justify="right", no_wrap=True)
    has_score = any(logged.score is not None for logged in snapshot.logged.values())
    if has_score:
        table.add_column("val. MIG", justify="right", no_wrap=True)
    for worker in snapshot.workers:
        logged = snapshot.logged.get(worker.slug or "", Logged())
        values = [number(logged.loss, digits=4), *([score_text(logged.score)] * has_score)]
        table.add_row(
            _trial(worker),
            Text(_place(worker), style="dim"),
            *_steps(worker),
            *(values if worker.step else []),
        )
    return table


def _trial(worker: Heartbeat) -> Text:
    """Name what a worker trains, shortened where there is no room; or say what it waits for."""
    said, style = (
        (worker.slug, "") if worker.slug else (worker.doing or "waiting for a trial", "dim")
    )
    return Text(said, style=style, no_wrap=True, overflow="ellipsis")


def _place(worker: Heartbeat) -> str:
    """Return the process of a worker, and its machine where it is another one."""
    machine = "" if worker.host == this_host() else worker.host.partition("/")[0] + ":"
    return f"{machine}{worker.pid}"


def _steps(worker: Heartbeat) -> tuple[ProgressBar | Text, str]:
    """Draw how far a worker's trial is, or say what it does before and after the steps."""
    if not worker.step:
        return Text("preparing" if worker.slug else "", style="dim"), ""
    if worker.step >= worker.total:
        return Text("scoring", style="dim"), ""
    share = worker.step / worker.total
    return ProgressBar(total=1.0, completed=share, width=10), f"{share:4.0%}"
