"""The head of the report: what the study is, how far it is, and what it was made with."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from sweeps.analysis.summary import Summary
from sweeps.labels import duration, score_label
from sweeps.study.manifest import Manifest

STATES = ("complete", "failed", "pruned", "running", "pending")


@dataclass(frozen=True)
class StateShare:
    """How many trials are in a state, and which part of all that is, in percent."""

    name: str
    count: int
    percent: float


@dataclass(frozen=True)
class Fact:
    """A line of the header."""

    name: str
    value: str
    is_code: bool = False


@dataclass(frozen=True)
class Header:
    """Everything above the first chart."""

    states: list[StateShare]
    expected: int
    unfinished: str
    facts: list[Fact]


def header(read: Summary, *, command: str) -> Header:
    """Describe a study as it stands."""
    counts = read.study.counts
    expected = counts["expected"]
    states = [
        StateShare(name, counts[name], 100 * counts[name] / expected)
        for name in STATES
        if counts[name]
    ]
    return Header(states, expected, _unfinished(counts), _facts(read, command))


def _unfinished(counts: dict[str, int]) -> str:
    """Say what is missing, nothing when every trial has ended well."""
    missing = [
        f"{counts[name]} {name}" for name in ("running", "pending", "failed") if counts[name]
    ]
    if not missing:
        return ""
    return f"{counts['complete']} of {counts['expected']} trainings complete; {', '.join(missing)}."


def _facts(read: Summary, command: str) -> list[Fact]:
    manifest = read.study.manifest
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    lattice = f", scored on {manifest.lattice}" if manifest.lattice else ""
    return [
        Fact("data", "swept" if "data" in manifest.axes else f"{manifest.data}{lattice}"),
        Fact("model", "swept" if "model" in manifest.axes else manifest.model),
        Fact("objective", f"{score_label(manifest.objective)}, protocol {manifest.protocol}"),
        *([Fact("search", _search(manifest))] if manifest.search else []),
        Fact("seeds a cell", _seeds_a_cell(read)),
        Fact("training time", _training_time(read)),
        *_on_the_clock(read),
        Fact("made with", versions or "versions unknown"),
        Fact("started", _moment(manifest.created_at)),
        Fact("command", command, is_code=True),
    ]


def _search(manifest: Manifest) -> str:
    """Say how the trials are found."""
    search = manifest.search or {}
    sampler = str(search["sampler"]["_target_"]).rpartition(".")[2]
    seeds = len(search["seeds"])
    return f"{search['n_trials']} trainings, {seeds} seed(s) for the cell in the lead, {sampler}"


def _seeds_a_cell(read: Summary) -> str:
    expected = [cell.n_expected for cell in read.cells]
    complete = Counter(trial.cell for trial in read.trials if trial.state == "complete")
    done = [complete[cell.number] for cell in read.cells]
    return _span(expected) if done == expected else f"{_span(done)} of {_span(expected)}"


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _moment(written: str) -> str:
    """Write a moment for people; one that is not in ISO 8601 stays as it is."""
    moment = _parsed(written)
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else written


def _parsed(written: str) -> datetime | None:
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except ValueError:
        return None


def _training_time(read: Summary) -> str:
    seconds = [t.wall_time_s for t in read.trials if math.isfinite(t.wall_time_s)]
    if not seconds:
        return "none yet"
    threads = read.study.manifest.threads
    words = f"{threads} thread{'s' if threads > 1 else ''}"
    return f"{duration(sum(seconds))} of work, {duration(median(seconds))} a training ({words})"


def _on_the_clock(read: Summary) -> list[Fact]:
    """Say how long it was from the start of the first training to the end of the last."""
    known = [
        (began.timestamp(), result.wall_time_s)
        for result in read.study.results.values()
        if result.wall_time_s and (began := _parsed(result.started_at))
    ]
    if not known:
        return []
    seconds = max(start + lasted for start, lasted in known) - min(start for start, _ in known)
    return [Fact("on the clock", f"{duration(seconds)} from first to last, breaks included")]
