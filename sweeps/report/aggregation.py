"""What each way to sum up the seeds says of a latent size, beside what is not trained at all."""

from dataclasses import dataclass

import numpy as np

from bvae.metrics.scores import UDR_NAMES
from sweeps.analysis.curve import Line
from sweeps.analysis.summary import Digest, facet_name
from sweeps.labels import interval, number, score_text
from sweeps.scoring.untrained import Floor
from sweeps.statistics.aggregates import summarise
from sweeps.statistics.contrasts import Floats
from sweeps.statistics.inverted_u import Judgement

WORDS = {
    "mean": "mean of the seeds",
    "median": "median",
    "higgins2017": "upper half (Higgins et al., 2017)",
}


@dataclass(frozen=True)
class Row:
    """One way to sum up the seeds: the best β by it, what it scores there, and the verdict."""

    name: str
    beta: str
    value: str
    interval: str
    verdict: str


def aggregation(read: Digest, line: Line, judged: Judgement) -> tuple[Row, ...]:
    """Return a row for every aggregate of a line, and one for the floor if it is known.

    Of UDR there is the mean only: the seeds of a cell share its pairs, so no half can be left out.
    """
    rows = tuple(
        Row(
            name=WORDS[one.aggregate],
            beta=number(one.beta),
            value=score_text(one.value),
            interval=interval(one.low, one.high),
            verdict=str(one.verdict),
        )
        for one in summarise(line, judged=judged, evaluations=evaluations(read, line))
        if one.aggregate == "mean" or line.score not in UDR_NAMES
    )
    floor = read.floors.get((facet_name(line.axes), line.latent_dim))
    return (*rows, _floor(floor, line.score)) if floor and line.score in floor.scores else rows


def evaluations(read: Digest, line: Line) -> Floats | None:
    """Return the single evaluations [C, S, E] of a line's seeds, NaN for a seed without a score.

    None where they were not kept, or their number is not the same for all.
    """
    kept = _kept(read, line)
    counts = {len(values) for values in kept.values()}
    if counts & {0} or len(counts) != 1:
        return None
    missing = (np.nan,) * counts.pop()
    return np.array(
        [[kept.get((beta, seed), missing) for seed in line.seeds] for beta in line.betas.tolist()],
        dtype=np.float64,
    )


def _kept(read: Digest, line: Line) -> dict[tuple[float, int], tuple[float, ...]]:
    facet = facet_name(line.axes)
    own = [c for c in read.cells if (c.facet, c.latent_dim) == (facet, line.latent_dim)]
    return {
        (cell.beta, trial.seed): _values(read, trial.slug, line.score)
        for cell in own
        for trial in read.trials_of(cell)
        if trial.state == "complete"
    }


def _values(read: Digest, slug: str, score: str) -> tuple[float, ...]:
    result = read.study.result(slug)
    scores = {} if result is None else result.scoring.get("scores", {})
    return tuple(scores.get(score, {}).get("values", ()))


def _floor(floor: Floor, score: str) -> Row:
    level = floor.scores[score]
    return Row(
        name=f"untrained encoder ({floor.n_encoders} of them)",
        beta="",
        value=score_text(level.mean),
        interval=f"± {score_text(level.spread)}",
        verdict="",
    )
