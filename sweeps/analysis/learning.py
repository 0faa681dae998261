"""Learning curves: what trials logged while they were trained, thinned for a chart."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bvae.history import History
from sweeps.study.study import Study

SERIES = ("train/loss", "train/recon", "train/kl", "kl/active_units")
"""The columns of history.csv that every training has; a validation score is the last."""

MAX_POINTS = 40


@dataclass(frozen=True)
class LearningCurve:
    """What one trial logged under one name: steps and values, equally many."""

    steps: Sequence[int]
    values: Sequence[float]


def learning_curves(study: Study) -> dict[str, dict[str, LearningCurve]]:
    """Return what each trial logged by slug and column; a running trial has what is on disk.

    Columns are `SERIES` and validation scores (`scores/…`), each with at most `MAX_POINTS` points:
    every second, every third, … step that any trial logged, the last among them. They are the same
    in all trials, so that means over seeds can be taken.
    """
    logged = {
        trial.slug: _columns(History(study.folder.trial(trial.slug).history, []).rows())
        for trial in study.trials
    }
    steps: dict[str, set[int]] = {}
    for columns in logged.values():
        for name, points in columns.items():
            steps.setdefault(name, set()).update(points)
    kept = {name: _thinned(sorted(own)) for name, own in steps.items()}
    return {
        slug: {
            name: _curve({step: points[step] for step in kept[name] if step in points})
            for name, points in columns.items()
            if points
        }
        for slug, columns in logged.items()
    }


def _columns(rows: Sequence[Mapping[str, str]]) -> dict[str, dict[int, float]]:
    scores = [name for name in (rows[0] if rows else ()) if name.startswith("scores/")]
    return {name: dict(_points(rows, name)) for name in (*SERIES, *scores)}


def _thinned(steps: Sequence[int]) -> Sequence[int]:
    every = math.ceil(len(steps) / MAX_POINTS) or 1
    return steps[::-every][::-1]


def _curve(points: Mapping[int, float]) -> LearningCurve:
    return LearningCurve(list(points), list(points.values()))


def _points(rows: Sequence[Mapping[str, str]], name: str) -> Iterator[tuple[int, float]]:
    for row in rows:
        value = float(row.get(name) or "nan")
        if math.isfinite(value):
            yield int(float(row["step"])), value
