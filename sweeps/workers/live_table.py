"""A running study in the terminal: a live table, or plain lines where there is no terminal."""

import os
import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.labels import clock
from sweeps.workers.progress import Snapshot

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def restore_cursor(self) -> None:
        """Show the cursor again before an immediate exit; safe in a signal handler."""
        if self._live is not None:
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
        parts.append(f"best so far {snapshot.best.configuration} ({snapshot.best.mean:.3f})")
    return " · ".join(parts)


def panel(snapshot: Snapshot) -> Group:
    """Draw a study: a bar, a line of counts, a row per worker, the best configuration so far."""
    counts = snapshot.counts
    done = counts["expected"] - counts["running"] - counts["pending"]
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(snapshot.name, style="bold"),
        ProgressBar(total=counts["expected"], completed=done, width=30),
        f"{done}/{counts['expected']}",
        f"{clock(snapshot.elapsed_s)} elapsed",
        f"{clock(snapshot.eta_s)} left",
    )
    parts: list[Table | Text] = [head, _counts(counts), _workers(snapshot)]
    if snapshot.best is not None:
        best = snapshot.best
        parts.append(
            Text.assemble(
                ("best so far  ", "dim"),
                (best.configuration, "bold"),
                f"  {snapshot.objective} {best.mean:.3f} over {best.seeds} seed(s)",
            )
        )
    parts += [Text(failure, style="red", no_wrap=True) for failure in snapshot.failures[-3:]]
    return Group(*parts)


def _counts(counts: dict[str, int]) -> Text:
    styles = {"complete": "green", "running": "cyan", "failed": "red", "pruned": "yellow"}
    words = [
        ("complete", "done"),
        ("running", "running"),
        ("failed", "failed"),
        ("pruned", "pruned"),
    ]
    text = Text()
    for name, word in words:
        if counts[name] or name != "pruned":
            text.append(f"{counts[name]} {word}", style=styles[name] if counts[name] else "dim")
            text.append(" · ", style="dim")
    return text.append(f"{counts['pending']} left", style="dim")


def _workers(snapshot: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    for worker in snapshot.workers:
        share = worker.step / worker.total if worker.total else 0.0
        bar = ProgressBar(total=1.0, completed=share, width=20)
        table.add_row(Text("▸", style="cyan"), worker.slug or "", bar, f"{share:4.0%}")
    return table
