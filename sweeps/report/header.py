"""How far a study is, for the head of its page, and what it was made with, for the foot."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bvae.metrics.scores import ACTIVE, SAMPLED
from sweeps.analysis.summary import Summary
from sweeps.study.study import Study

STATES = ("complete", "failed", "pruned", "running", "pending")


@dataclass(frozen=True)
class Header:
    """What the head and the foot of the page say of the study itself.

    `states` are those some trial is in, `missing` those of trials that have no result;
    `seeds_complete` and `seeds_expected` count by configuration. `elapsed_s` is the time from the
    start of the first trial to the end of the last, None where no start is known. `score_notes` are
    how scores were computed where that is not as usual, and why others are missing.
    """

    command: str
    counts: Mapping[str, int]
    states: Sequence[str]
    missing: Sequence[str]
    sampler: str
    seeds_complete: Sequence[int]
    seeds_expected: Sequence[int]
    wall_times_s: Sequence[float]
    elapsed_s: float | None
    started: str
    score_notes: Sequence[str]


def header(read: Summary) -> Header:
    """Describe a study as it stands."""
    study, counts = read.study, read.study.counts
    search = study.manifest.search
    complete = Counter(trial.configuration for trial in read.trials if trial.state == "complete")
    return Header(
        command=study.manifest.command,
        counts=counts,
        states=[name for name in STATES if counts[name]],
        missing=[name for name in ("running", "pending", "failed") if counts[name]],
        sampler=search.sampler_name if search else "",
        seeds_complete=[complete[configuration.number] for configuration in read.configurations],
        seeds_expected=[configuration.n_expected for configuration in read.configurations],
        wall_times_s=[t.wall_time_s for t in read.trials if math.isfinite(t.wall_time_s)],
        elapsed_s=_elapsed_s(study),
        started=_moment(study.manifest.created_at),
        score_notes=_score_notes([result.scoring for result in study.results.values()]),
    )


def _score_notes(scorings: Sequence[Mapping[str, Any]]) -> list[str]:
    draws = dict.fromkeys(scoring["draws"] for scoring in scorings if "draws" in scoring)
    names: dict[str, dict[str, None]] = {}
    for scoring in scorings:
        for name, reason in scoring.get("missing", {}).items():
            stem = name.removesuffix(SAMPLED).removesuffix(ACTIVE)
            names.setdefault(reason, {})[stem] = None
    return [*draws, *(f"no {', '.join(missing)}: {reason}" for reason, missing in names.items())]


def _elapsed_s(study: Study) -> float | None:
    known = [
        (began.timestamp(), result.wall_time_s)
        for result in study.results.values()
        if result.wall_time_s and (began := _parsed(result.started_at))
    ]
    if not known:
        return None
    return max(start + lasted for start, lasted in known) - min(start for start, _ in known)


def _moment(written: str) -> str:
    """Write a moment for people; one that is not in ISO 8601 stays as it is."""
    moment = _parsed(written)
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else written


def _parsed(written: str) -> datetime | None:
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except ValueError:
        return None
