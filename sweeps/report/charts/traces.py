"""The numbers behind a chart of scores: a trace for each line, as the chart's data sets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sweeps.report.charts.encodings import TARGET_PX
from sweeps.report.charts.values import params, short
from sweeps.report.vega import Spec

OF_A_SCORE = ("title", "params", "datasets")
"""What differs between charts of two scores."""

HEIGHT_PX = 360
LABEL_PX = 15


class Mark(NamedTuple):
    """A configuration on a chart: its score with its interval, how it is marked, what it says.

    `recon` is its reconstruction error (nats).
    """

    configuration: int
    beta: float
    beta_norm: float
    y: float
    low: float = math.nan
    high: float = math.nan
    recon: float = math.nan
    hollow: bool = False
    ringed: bool = False
    words: str = ""


class Seed(NamedTuple):
    """The score of one trial."""

    beta: float
    beta_norm: float
    y: float


@dataclass(frozen=True)
class Trace:
    """The configurations of one latent size in order of β, and their single seeds.

    `untrained` is what an untrained encoder scores.
    """

    label: str
    marks: Sequence[Mark]
    seeds: Sequence[Seed] = ()
    untrained: float = math.nan


def of_a_score(title: str, lines: Sequence[Trace], *, limits: tuple[float, float]) -> Spec:
    """Return what differs between charts of two scores (`OF_A_SCORE`)."""
    low, high = limits
    return {
        "title": title,
        "params": params(low, high),
        "datasets": {
            "means": [
                _row(mark) | {"line": i, "number": mark.configuration}
                for i, line in enumerate(lines)
                for mark in line.marks
            ],
            "seeds": [
                _row(seed) | {"line": i} for i, line in enumerate(lines) for seed in line.seeds
            ],
            "untrained": [
                {"line": i, "y": short(line.untrained)}
                for i, line in enumerate(lines)
                if math.isfinite(line.untrained)
            ],
            "labels": _labels(lines, low=low, high=high),
        },
    }


def score_limits(lines: Sequence[Trace]) -> tuple[float, float]:
    """Return the ends of the vertical axis: zero or less, and what holds every seed.

    Intervals may run off the top: with two seeds they would press the curve flat.
    """
    marks = [mark for line in lines for mark in line.marks]
    values = [mark.y for mark in marks] + [seed.y for line in lines for seed in line.seeds]
    values += [line.untrained for line in lines if math.isfinite(line.untrained)]
    highest = max([*values, 1e-3])
    longest = max([mark.high for mark in marks if math.isfinite(mark.high)], default=highest)
    return 1.05 * min([*values, 0]), 1.07 * min(max(highest, longest), 1.3 * highest)


def _row(record: Mark | Seed) -> Spec:
    """Return a record as a row, without what it has not; JSON has no NaN."""
    named: Spec = {**record._asdict(), "configuration": None}
    brief = {name: short(one) if isinstance(one, float) else one for name, one in named.items()}
    return {name: one for name, one in brief.items() if one is not None and one is not False}


def _labels(lines: Sequence[Trace], *, low: float, high: float) -> list[Spec]:
    """Return the lines' names at their right ends, moved apart where they would overlap."""
    apart = LABEL_PX * (high - low) / (HEIGHT_PX - 2 * TARGET_PX)
    ends = sorted((line.marks[-1].y, i, line.label) for i, line in enumerate(lines) if line.marks)
    places: list[float] = []
    for end, _, _ in ends:
        places.append(max(end, places[-1] + apart if places else low))
    ceiling = high
    for k in reversed(range(len(places))):  # where there is no room above, those below make it
        places[k] = min(places[k], ceiling)
        ceiling = places[k] - apart
    return [
        {"line": i, "label": label, "y": short(place)}
        for place, (_, i, label) in zip(places, ends, strict=True)
    ]
