"""How far a running study is: counts, what each worker trains, time left, the best so far."""

import os
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sweeps.queue.states import kind
from sweeps.study.heartbeat import Heartbeat, living_workers
from sweeps.study.ranking import best, ranked
from sweeps.study.results import AttemptResult, Results, stamp
from sweeps.study.study import Study, open_study
from sweeps.study.trials import Configuration, text
from sweeps.workers.logged import LastRows, Logged


@dataclass(frozen=True)
class BestConfiguration:
    """The configuration with the best mean of the objective so far, by `seeds` of `expected`."""

    configuration: str
    mean: float
    seeds: int
    expected: int


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment.

    `starting` is how many workers were launched and have yet to report; `logged` has what running
    trials have logged last, by slug.
    """

    name: str
    objective: str
    counts: dict[str, int]
    workers: tuple[Heartbeat, ...]
    elapsed_s: float
    eta_s: float | None
    best: BestConfiguration | None
    failures: tuple[str, ...]
    starting: int = 0
    logged: Mapping[str, Logged] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """How many trials need no further attempt."""
        return self.counts["complete"] + self.counts["failed"] + self.counts["pruned"]


class Progress:
    """Polls the result files of a study, and reads those that have changed."""

    def __init__(self, study: Study, results: Results | None = None) -> None:
        self._study = study
        self._results = results or Results(study.folder, objective=study.manifest.objective)
        self._open = {trial.slug for trial in study.trials}
        self._final: dict[str, AttemptResult] = {}
        self._last: dict[str, AttemptResult | None] = {}
        self._ended: list[tuple[str, str | None]] = []
        self._mutex = threading.Lock()
        self._started = time.monotonic()
        self._is_refreshed = False
        self._manifest_stamp = (0, 0)
        self._rows = LastRows(study.folder)
        self._first_steps: dict[tuple[str, str | None], tuple[int, float]] = {}

    @property
    def left(self) -> int:
        """How many trials need another attempt, those that a search has yet to find included."""
        return len(self._open) + self._study.manifest.unfound

    def refresh(self) -> None:
        """Read the results that were written, or set aside for a retry, since the last call."""
        with self._mutex:
            self._read_manifest()
            failed = {slug for slug, result in self._final.items() if result.state == "failed"}
            for slug in self._begun() & (self._open | failed):
                result = self._results.read(slug)
                if result is not self._last.get(slug):
                    self._record(slug, result)
            if not self._is_refreshed:  # earlier failures say nothing about this run
                self._is_refreshed = True
                self._ended.clear()

    def _read_manifest(self) -> None:
        """Take in what a search, or another command, has added or dropped since the last call."""
        try:
            written = stamp(self._study.folder.manifest)
        except FileNotFoundError:  # with all of the study: the queue says so
            return
        if written == self._manifest_stamp:
            return
        self._manifest_stamp = written
        self._study = open_study(self._study.folder.root)
        slugs = {trial.slug for trial in self._study.trials}
        self._final = {
            slug: result
            for slug, result in self._final.items()
            if slug in slugs and self._study.is_final(result)
        }
        self._open = slugs - self._final.keys()

    def _begun(self) -> set[str]:
        """Return the names of the folders in `trials/`, in which a result may be."""
        try:
            return {entry.name for entry in os.scandir(self._study.folder.trials)}
        except FileNotFoundError:
            return set()

    def _record(self, slug: str, result: AttemptResult | None) -> None:
        self._last[slug] = result
        if result is not None and not result.is_abandoned:
            self._ended.append((slug, result.cause))
        if result is not None and self._study.is_final(result):
            self._final[slug] = result
            self._open.discard(slug)
        else:
            self._final.pop(slug, None)
            self._open.add(slug)

    def same_cause_in_a_row(self, number: int) -> str | None:
        """Return the last cause if the last `number` different trials failed with the same one.

        Trials whose workers died do not count: a death says nothing about the trials that follow.
        """
        causes: dict[str, str] = {}
        for slug, cause in reversed(self._ended):
            if cause is None or (causes and kind(cause) not in map(kind, causes.values())):
                return None
            causes[slug] = cause
            if len(causes) >= number:
                return next(iter(causes.values()))
        return None

    def snapshot(self, *, launched: int = 0) -> Snapshot:
        """Return the study as it was when `refresh` was last called.

        Args:
            launched: how many workers should be running; those that do not are starting.
        """
        workers = living_workers(self._study.folder.workers)
        busy = [one for one in workers if one.slug]
        running = {worker.slug for worker in busy} & set(self._open)
        states = [result.state for result in self._final.values()]
        counts = {"expected": len(self._study.trials) + self._study.manifest.unfound}
        counts |= {state: states.count(state) for state in ("complete", "failed", "pruned")}
        counts |= {"running": len(running), "pending": self.left - len(running)}
        return Snapshot(
            name=self._study.name,
            objective=self._study.manifest.objective,
            counts=counts,
            workers=tuple(workers),
            elapsed_s=time.monotonic() - self._started,
            eta_s=self._eta_s(busy),
            best=self._best(),
            failures=tuple(
                f"{slug}: {result.cause}"
                for slug, result in self._final.items()
                if result.state == "failed" and result.cause
            ),
            starting=max(0, launched - sum(one.launched for one in workers)),
            logged=self._rows.of(str(one.slug) for one in busy if one.step),
        )

    def _eta_s(self, busy: Sequence[Heartbeat]) -> float | None:
        if not self.left:
            return 0.0
        times = [
            result.wall_time_s for result in self._final.values() if result.state == "complete"
        ] or self._timed(busy)
        if not times or not busy:
            return None
        steps = sum(worker.step / worker.total for worker in busy if worker.total)
        return max(0.0, self.left - steps) * statistics.median(times) / len(busy)

    def _timed(self, busy: Sequence[Heartbeat]) -> list[float]:
        """Return how long running trials take, by the steps since they were first seen to train."""
        now = time.monotonic()
        first = {(one.name, one.slug): (one.step, now) for one in busy if one.step}
        self._first_steps = first | {
            key: seen for key, seen in self._first_steps.items() if key in first
        }
        seen = [(one, *self._first_steps[one.name, one.slug]) for one in busy if one.step]
        return [
            (now - since) / (one.step - step) * one.total
            for one, step, since in seen
            if one.step > step
        ]

    def _best(self) -> BestConfiguration | None:
        """Return the best configuration so far; none by UDR, which is not a trial's own score."""
        ended = [
            (trial, self._final[trial.slug].ending)
            for trial in self._study.trials
            if trial.slug in self._final
        ]
        found = best(ranked(ended, n_seeds=self._study.repeats))
        if found is None:
            return None
        n_seeds = sum(trial.configuration == found.key for trial, _ in ended)
        expected = sum(trial.configuration == found.key for trial in self._study.trials)
        return BestConfiguration(
            _name(found.key), found.mean, n_seeds, max(expected, self._study.repeats)
        )


def _name(configuration: Configuration) -> str:
    return " ".join(f"{key}={text(value)}" for key, value in configuration)
